"""Networks of Wav2Lip's true shapes with seeded random weights: for measuring speed, never for making pictures.

96 is models/wav2lip.py of Rudrabha/Wav2Lip, 384 is Wav2Lip_384 in models/sam.py of primepake/wav2lip_288x288. Batch norms are folded
into the convolutions, as an exporter for inference does.
"""
import numpy as np

from onnx_graph import Graph


class _Net:
    def __init__(self, name, size, seed):
        self.g, self.size = Graph(name), size
        self.random = np.random.RandomState(seed)  # its stream is frozen across numpy versions
        self.parameters = 0

    def weights(self, shape, fan_in, gain):
        """Uniform with He's variance: only exact arithmetic, so every machine draws the same bits."""
        bound = np.sqrt(6 / fan_in) * gain
        self.parameters += int(np.prod(shape))
        return self.g.const(((self.random.random_sample(shape) * 2 - 1) * bound).astype(np.float32))

    def conv(self, x, fan, kernel=3, stride=(1, 1), pad=1, relu=True, gain=1.):
        inputs, outputs = fan
        parameters = [self.weights((outputs, inputs, kernel, kernel), inputs * kernel * kernel, gain), self.weights((outputs,), 6, 0.02)]
        y = self.g.op("Conv", x, *parameters, pads=[pad] * 4, strides=stride)
        return self.g.op("Relu", y) if relu else y

    def deconv(self, x, fan, stride, pad):  # half of He's gain: what came before has grown by residuals and gates
        inputs, outputs = fan
        parameters = [self.weights((inputs, outputs, 3, 3), inputs * 9 / stride ** 2, .5), self.weights((outputs,), 6, 0.02)]
        extra = dict(output_padding=[1, 1]) if stride == 2 else {}
        return self.g.op("Relu", self.g.op("ConvTranspose", x, *parameters, pads=[pad] * 4, strides=[stride] * 2, **extra))

    def residuals(self, x, channels, count):
        for _ in range(count):
            y = self.conv(x, (channels, channels), relu=False, gain=0.5)
            x = self.g.op("Relu", self.g.op("Add", y, x))
        return x

    def encoder(self, x, inputs, layers):
        """layers: (channels, stride, residual convolutions); the outputs of all. The face's first kernel is 7, all others 3."""
        kept = []
        for channels, stride, count in layers:
            kernel = 7 if inputs == 6 else 3
            x = self.conv(x, (inputs, channels), kernel, stride, kernel // 2)
            x = self.residuals(x, channels, count)
            kept.append(x)
            inputs = channels
        return kept

    def bottom(self, x, inputs, channels):
        """3x3 to 1x1."""
        return self.conv(self.conv(x, (inputs, channels), pad=0), (channels, channels), 1, pad=0)

    def decoder(self, audio, skips, layers, gate):
        """layers: (inputs, outputs, residual convolutions) of each deconvolution; the first makes 3x3 of 1x1."""
        channels = layers[0][0] // 2
        x = self.conv(audio, (channels, channels), 1, pad=0)
        for i, (inputs, outputs, count) in enumerate(layers):
            x = self.g.op("Concat", *gate(x, skips.pop()), axis=1)
            x = self.deconv(x, (inputs, outputs), 2 if i else 1, 1 if i else 0)
            x = self.residuals(x, outputs, count)
        return self.g.op("Concat", *gate(x, skips.pop()), axis=1)

    def inputs(self):
        return self.g.input("mel_spectrogram", ["B", 1, 80, 16]), self.g.input("video_frames", ["B", 6, self.size, self.size])

    def finish(self, x, channels, squash):
        x = self.conv(self.conv(x, (channels, 32)), (32, 3), 1, pad=0, relu=False, gain=0.05)
        self.g.output(self.g.op(squash, x), "predicted_frames", ["B", 3, self.size, self.size])
        return self.g.bytes()


ONE, TWO = (1, 1), (2, 2)


def build_96():
    net = _Net("wav2lip-96-random", 96, seed=96)
    mel, faces = net.inputs()
    skips = net.encoder(faces, 6, [(16, ONE, 0), (32, TWO, 2), (64, TWO, 3), (128, TWO, 2), (256, TWO, 2), (512, TWO, 1)])
    skips.append(net.bottom(skips[-1], 512, 512))
    audio = net.encoder(mel, 1, [(32, ONE, 2), (64, (3, 1), 2), (128, (3, 3), 2), (256, (3, 2), 1)])[-1]
    audio = net.bottom(audio, 256, 512)
    layers = [(1024, 512, 1), (1024, 512, 2), (768, 384, 2), (512, 256, 2), (320, 128, 2), (160, 64, 2)]
    x = net.decoder(audio, skips, layers, lambda x, skip: (x, skip))
    return net.finish(x, 80, "Sigmoid")


def build_384():
    net = _Net("wav2lip-384-random", 384, seed=384)
    mel, faces = net.inputs()
    skips = net.encoder(faces, 6, [(8, ONE, 0)] + [(8 << i, TWO, 2) for i in range(1, 8)])
    skips.append(net.bottom(skips[-1], 1024, 1024))
    audio = net.encoder(mel, 1, [(32, ONE, 2), (64, (3, 1), 2), (128, (3, 3), 2), (256, (3, 2), 2), (512, ONE, 2)])[-1]
    audio = net.bottom(audio, 512, 1024)
    for _ in range(2):  # the refining layers that sam.py has with an audio encoder of its own
        audio = net.conv(audio, (1024, 1024), 1, pad=0)
    audio = net.g.op("LpNormalization", audio, axis=1, p=2)
    kernel = net.weights((1, 2, 7, 7), 98, 1.)

    def gate(x, skip):
        """The spatial attention of sam.py, one for all levels: where the skip is strong, x is raised."""
        strength = [net.g.op(op, skip, axes=[1], keepdims=1) for op in ("ReduceMean", "ReduceMax")]
        mask = net.g.op("Sigmoid", net.g.op("Conv", net.g.op("Concat", *strength, axis=1), kernel, pads=[3] * 4))
        return net.g.op("Add", x, net.g.op("Mul", x, mask)), skip

    layers = [(2048, 1024, 1), (2048, 1024, 2), (1536, 768, 2), (1024, 512, 2), (640, 256, 2), (320, 128, 2), (160, 80, 2), (96, 64, 2)]
    x = net.decoder(audio, skips, layers, gate)
    return net.finish(x, 72, "Tanh")
