"""Reads an ncnn network (.param text and .bin weights) and writes it as ONNX: the layers that the Real-ESRGAN files use.

Half-float weights (flag 0x01306B47 in the .bin) are stored as they are. Input `input` [N,3,H,W] RGB in [0,1]; output `output`
[N,3,4H,4W], not clipped.
"""
import struct

import numpy as np

from onnx_graph import Graph

MAGIC, HALF = "7767517", 0x01306B47


class _Weights:
    def __init__(self, data):
        self.data, self.at = data, 0

    def _take(self, dtype, count):
        if self.at + count * np.dtype(dtype).itemsize > len(self.data):
            raise ValueError("ncnn: the .bin file ends too early")
        array = np.frombuffer(self.data, dtype, count, self.at)
        self.at += -(-array.nbytes // 4) * 4
        return array

    def plain(self, count):
        return self._take("<f4", count).astype(np.float32)

    def flagged(self, count):
        flag = struct.unpack("<I", self._take("u1", 4).tobytes())[0]
        if flag not in (0, HALF):
            raise ValueError(f"ncnn: weights of an unknown kind, flag {flag:#x}")
        return self._take("<f2", count).astype(np.float16) if flag else self.plain(count)


def _parameters(words):
    """{id: value}; an array has the id -23300 - id and is written count,value,..."""
    found = {}
    for key, text in (w.split("=") for w in words):
        if int(key) <= -23300:
            found[-23300 - int(key)] = [float(v) for v in text.split(",")[1:]]
        else:
            found[int(key)] = float(text) if "." in text else int(text)
    return found


class _Converter:
    def __init__(self, name, weights):
        self.g, self.weights, self.values = Graph(name), weights, {}

    def layer(self, line):
        kind, _, inputs, outputs, *words = line.split()
        ends = int(inputs), int(inputs) + int(outputs)
        tops = words[ends[0]:ends[1]]
        result = getattr(self, kind.lower())(_parameters(words[ends[1]:]), *[self.values[w] for w in words[:ends[0]]])
        self.values.update((top, result) for top in tops)
        return result

    def input(self, p):
        return self.g.input("input", ["N", 3, "H", "W"])

    def split(self, p, x):
        return x

    def convolution(self, p, x):
        outputs, kernel, pad = p[0], p[1], p[4]
        if p.get(9, 0) not in (0, 2) or p.get(2, 1) != 1 or p.get(3, 1) != 1 or not p.get(5):
            raise ValueError("ncnn: a convolution with stride, dilation, no bias or an unknown activation")
        weights = self.weights.flagged(p[6]).reshape(outputs, -1, kernel, kernel)
        bias = self.weights.plain(outputs)
        y = self.g.op("Conv", x, self.g.const(weights), self.g.const(bias), pads=[pad] * 4)
        return self.g.op("LeakyRelu", y, alpha=p[10][0]) if p.get(9) else y

    def prelu(self, p, x):
        return self.g.op("PRelu", x, self.g.const(self.weights.plain(p[0]).reshape(-1, 1, 1)))

    def concat(self, p, *parts):
        return self.g.op("Concat", *parts, axis=1)

    def eltwise(self, p, a, b):
        if p[0] != 1:
            raise ValueError("ncnn: only sums of Eltwise are known")
        scaled = [x if k == 1 else self.g.op("Mul", x, self.g.f32(k)) for x, k in zip((a, b), p[1])]
        return self.g.op("Add", *scaled)

    def binaryop(self, p, a, b):
        if p.get(0, 0) != 0:
            raise ValueError("ncnn: only additions of BinaryOp are known")
        return self.g.op("Add", a, b)

    def interp(self, p, x):
        if p[0] != 1 or p[1] != p[2]:
            raise ValueError("ncnn: only nearest Interp of equal factors is known")
        return self.g.op("Resize", x, "", self.g.f32(1, 1, p[1], p[2]), mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")

    def pixelshuffle(self, p, x):
        return self.g.op("DepthToSpace", x, blocksize=p[0], mode="CRD")


def convert(name, param, weights):
    magic, _, *lines = param.splitlines()
    if magic.strip() != MAGIC:
        raise ValueError("ncnn: not a .param file")
    converter = _Converter(name, _Weights(weights))
    for line in lines:
        last = converter.layer(line)
    if converter.weights.at != len(weights):
        raise ValueError(f"ncnn: {len(weights) - converter.weights.at} bytes of the .bin file are left over")
    converter.g.output(last, "output", ["N", 3, "4H", "4W"])
    return converter.g.bytes()
