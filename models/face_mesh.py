"""Face Mesh (468 landmarks): MediaPipe's face_landmark.tflite as ONNX.

Input `input` [N,3,192,192] RGB in [0,1]; outputs `landmarks` [N,468,3] (x, y, z in pixels of the 192 square, z towards the camera is
negative) and `presence` [N], a probability (the file gives a logit; the sigmoid is added here). Half-float weights are kept as they are.
"""
import tflite
from onnx_graph import Graph

SIZE, LANDMARKS = 192, 468
SAME = 0  # Padding enum of the schema; 1 is VALID


def _padding(same, size, kernel, stride):
    """TensorFlow's SAME: (before, after); the odd pixel goes after."""
    if not same:
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Converter:
    def __init__(self, model):
        self.model, self.g = model, Graph("face-mesh")
        self.values = {model.inputs[0]: self.g.input("input", ["N", 3, SIZE, SIZE])}
        self.constants = {}

    def convert(self):
        for op in self.model.operators:
            if op.options.get("activation", 0):
                raise ValueError(f"face-mesh: {op.kind} with a fused activation")
            getattr(self, "_" + op.kind.lower())(op, *op.inputs)
        flat, logit = (self.values[o] for o in self.model.outputs)
        g = self.g
        g.output(g.op("Reshape", flat, g.i64(0, LANDMARKS, 3)), "landmarks", ["N", LANDMARKS, 3])
        g.output(g.op("Reshape", g.op("Sigmoid", logit), g.i64(-1)), "presence", ["N"])
        return g.bytes()

    def _set(self, op, kind, *inputs, **attributes):
        self.values[op.outputs[0]] = self.g.op(kind, *inputs, **attributes)

    def _window(self, op, tensor, kernel):
        """Strides and pads; TFLite shapes are NHWC."""
        strides = [op.options["stride_h"], op.options["stride_w"]]
        sizes = self.model.tensors[tensor].shape[1:3]
        pads = [_padding(op.options["padding"] == SAME, *v) for v in zip(sizes, kernel, strides)]
        return dict(kernel_shape=kernel, strides=strides, pads=[p[0] for p in pads] + [p[1] for p in pads])

    def _dequantize(self, op, tensor):
        self.constants[op.outputs[0]] = self.model.tensors[tensor].data

    def _conv(self, op, tensor, weights, bias, group):
        window = self._window(op, tensor, weights.shape[2:])
        self._set(op, "Conv", self.values[tensor], self.g.const(weights), self.g.const(self.constants[bias]), group=group, **window)

    def _conv_2d(self, op, tensor, weights, bias):
        self._conv(op, tensor, self.constants[weights].transpose(0, 3, 1, 2), bias, 1)

    def _depthwise_conv_2d(self, op, tensor, weights, bias):
        weights = self.constants[weights].transpose(3, 0, 1, 2)
        self._conv(op, tensor, weights, bias, len(weights))

    def _max_pool_2d(self, op, tensor):
        kernel = [op.options["filter_h"], op.options["filter_w"]]
        self._set(op, "MaxPool", self.values[tensor], **self._window(op, tensor, kernel))

    def _pad(self, op, tensor, pads):
        n, h, w, c = self.model.tensors[pads].data.tolist()
        self._set(op, "Pad", self.values[tensor], self.g.i64(*[side[i] for i in (0, 1) for side in (n, c, h, w)]))

    def _prelu(self, op, tensor, slope):
        self._set(op, "PRelu", self.values[tensor], self.g.const(self.constants[slope].transpose(2, 0, 1)))

    def _add(self, op, a, b):
        self._set(op, "Add", self.values[a], self.values[b])


def convert(data):
    return _Converter(tflite.read(data)).convert()
