"""Plain numpy versions of the layers, in the layout of the file they come from, to check converted graphs against."""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x, kernel, stride):
    """[H,W,C] -> [H',W',C,kh,kw]"""
    return sliding_window_view(x, kernel, axis=(0, 1))[::stride, ::stride]


def same(x, kernel, stride, value=0.):
    """TensorFlow's SAME padding: the odd pixel after."""
    pads = []
    for size in x.shape[:2]:
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, (*pads, (0, 0)), constant_values=value)


def tflite(model, image):
    """Outputs of a TFLite model (as read by models/tflite.py) for one NHWC image."""
    values = {model.inputs[0]: image}
    for op in model.operators:
        get = lambda i: values[i] if i in values else model.tensors[i].data.astype(np.float32)
        x, options = get(op.inputs[0]), op.options
        if op.kind == "DEQUANTIZE":
            y = x
        elif op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights, bias = get(op.inputs[1]), get(op.inputs[2])
            kernel, stride = weights.shape[1], options["stride_h"]
            cut = windows(same(x, kernel, stride) if options["padding"] == 0 else x, (kernel, kernel), stride)
            form = "hwcij,oijc->hwo" if op.kind == "CONV_2D" else "hwcij,oijc->hwc"
            y = np.einsum(form, cut, weights, optimize=True) + bias
        elif op.kind == "MAX_POOL_2D":
            kernel, stride = options["filter_h"], options["stride_h"]
            padded = same(x, kernel, stride, -np.inf) if options["padding"] == 0 else x
            y = windows(padded, (kernel, kernel), stride).max((3, 4))
        elif op.kind == "PAD":
            y = np.pad(x, model.tensors[op.inputs[1]].data[1:])
        elif op.kind == "PRELU":
            y = np.where(x > 0, x, x * get(op.inputs[1]))
        elif op.kind == "ADD":
            y = x + get(op.inputs[1])
        else:
            raise AssertionError(op.kind)
        values[op.outputs[0]] = y
    return [values[o] for o in model.outputs]


def ncnn(param, weights, image):
    """Output of an ncnn network for one CHW image; its own reading of both files."""
    at, values = 0, {}

    def take(count):
        nonlocal at
        array = np.frombuffer(weights, "<f4", count, at)
        at += 4 * count
        return array

    def take_half(count):
        nonlocal at
        assert weights[at:at + 4] == b"\x47\x6b\x30\x01"
        array = np.frombuffer(weights, "<f2", count, at + 4)
        at += 4 + (2 * count + 3) // 4 * 4
        return array.astype(np.float32)

    for line in param.splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        bottoms, tops = rest[:int(inputs)], rest[int(inputs):int(inputs) + int(outputs)]
        p = dict(word.split("=") for word in rest[int(inputs) + int(outputs):])
        x = [values[b] for b in bottoms]
        if kind == "Input":
            y = image
        elif kind == "Split":
            y = x[0]
        elif kind == "Convolution":
            count = int(p["0"])
            kernels, bias = take_half(int(p["6"])).reshape(count, -1, 3, 3), take(count)
            padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
            y = np.tensordot(kernels, sliding_window_view(padded, (3, 3), axis=(1, 2)), ([1, 2, 3], [0, 3, 4])) + bias[:, None, None]
            if p.get("9") == "2":
                y = np.where(y > 0, y, y * np.float32(p["-23310"].split(",")[1]))
        elif kind == "PReLU":
            y = np.where(x[0] > 0, x[0], x[0] * take(int(p["0"]))[:, None, None])
        elif kind == "Concat":
            y = np.concatenate(x)
        elif kind == "Eltwise":
            first, second = map(np.float32, p["-23301"].split(",")[1:])
            y = x[0] * first + x[1] * second
        elif kind == "BinaryOp":
            y = x[0] + x[1]
        elif kind == "Interp":
            y = x[0].repeat(int(float(p["1"])), 1).repeat(int(float(p["2"])), 2)
        elif kind == "PixelShuffle":
            r, (c, h, w) = int(p["0"]), x[0].shape
            y = x[0].reshape(c // r // r, r, r, h, w).transpose(0, 3, 1, 4, 2).reshape(-1, h * r, w * r)
        else:
            raise AssertionError(kind)
        values.update((top, y.astype(np.float32)) for top in tops)
    assert at == len(weights)
    return y
