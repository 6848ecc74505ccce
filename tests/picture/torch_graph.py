"""Writes ONNX graphs that are named as torch.onnx.export names them, and draws the weights.

naming "torchscript": what optimum makes. A node is called after the module that it comes from, weights keep torch's names, but for those
that constant folding changes (transposed matrices, scales and shifts of group norms), which lose theirs: onnx::MatMul_7.
"unfolded": the same without constant folding; a matrix keeps its name, behind a Transpose.
"dynamo": torch's newer exporter. Nodes and changed weights are counted; the module stands in the node's metadata.
"""
import collections
import contextlib
import hashlib
import pathlib

import numpy as np
import onnx
import onnx_graph

OPSET = 17  # the first with LayerNormalization


class Weights(dict):
    """Arrays by torch's names, in torch's layout. Each depends on the seed and its name alone, not on which others there are."""

    def __init__(self, seed, component, dtype):
        super().__init__()
        self.seed, self.component, self.dtype = seed, component, np.dtype(dtype)

    def generator(self, name):
        key = hashlib.sha256(f"{self.seed}/{self.component}/{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(key, "little"))

    def draw(self, name, shape, deviation, mean=0):
        self[name] = (mean + deviation * self.generator(name).standard_normal(shape)).astype(np.float32).astype(self.dtype)
        return self[name]


class TorchGraph(onnx_graph.Graph):
    """Modules are entered and left with `module`; what is written meanwhile belongs to them.

    data: an open file, to which all weights but the smallest go as they come, as exporters write models over 2 GB; None: they stay inside.
    """

    def __init__(self, name, weights, naming, data=None):
        super().__init__(name)
        self.model.opset_import[0].version = OPSET
        self.weights, self.naming, self.data = weights, naming, data
        self.path, self.used = [], collections.Counter()

    @contextlib.contextmanager
    def module(self, name):
        self.path.append(name)
        yield
        self.path.pop()

    def _unique(self, kind):
        name = "/" + "/".join([*self.path, kind])
        self.used[name] += 1
        return f"{name}_{self.used[name] - 1}" if self.used[name] > 1 else name

    def op(self, kind, *inputs, **attributes):
        if self.naming != "dynamo":
            node = self.node(kind, self._unique(kind), inputs, attributes)
            node.output[0] += "_output_0"
            return node.output[0]
        node = self.node(kind, self._name(f"node_{kind}"), inputs, attributes)
        node.output[0] = f"val_{self.count}"
        scopes = ["", *(".".join(self.path[:i + 1]) for i in range(len(self.path))), kind.lower()]
        node.MergeFromString(_metadata("pkg.torch.onnx.name_scopes", str(scopes)))
        return node.output[0]

    def initializer(self, name, array):
        if not self.data or array.nbytes < 100:
            return super().initializer(name, array)
        tensor = self.model.graph.initializer.add(name=name, data_type=onnx_graph.TYPES[array.dtype], dims=array.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", pathlib.Path(self.data.name).name), ("offset", self.data.tell()), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self.data.write(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return name

    def const(self, array):
        return self.initializer(self._unique("Constant") + "_output_0", np.asarray(array))

    def number(self, value):
        """A constant of the graph's own type."""
        return self.const(self.weights.dtype.type(value))

    def anonymous(self, user, array):
        return self.initializer(self._name("val" if self.naming == "dynamo" else f"onnx::{user}"), array)

    def _draw(self, leaf, shape, deviation, mean=0):
        return self.weights.draw(".".join([*self.path, leaf]), shape, deviation, mean)

    def parameter(self, leaf, shape, deviation, mean=0):
        """A weight that keeps torch's name and layout."""
        return self.initializer(".".join([*self.path, leaf]), self._draw(leaf, shape, deviation, mean))

    def bias(self, width):
        return self.parameter("bias", (width,), 0.05)

    # A gain of 1 keeps the variance of what goes in.

    def linear(self, x, name, inputs, outputs, bias=True, rank=3, gain=1):
        with self.module(name):
            shape, deviation = (outputs, inputs), gain / inputs ** 0.5
            if rank == 2 and bias:
                return self.op("Gemm", x, self.parameter("weight", shape, deviation), self.bias(outputs), transB=1)
            if self.naming == "unfolded":
                matrix = self.op("Transpose", self.parameter("weight", shape, deviation), perm=(1, 0))
            else:
                matrix = self.anonymous("MatMul", self._draw("weight", shape, deviation).T)
            y = self.op("MatMul", x, matrix)
            return self.op("Add", self.bias(outputs), y) if bias else y

    def conv(self, x, name, inputs, outputs, kernel=3, stride=1, pads=None, gain=1):
        """pads: top, left, bottom, right; None: as many as keep the size."""
        with self.module(name):
            weight = self.parameter("weight", (outputs, inputs, kernel, kernel), gain / (inputs * kernel * kernel) ** 0.5)
            return self.op("Conv", x, weight, self.bias(outputs), kernel_shape=(kernel, kernel), strides=(stride, stride),
                           pads=pads or (kernel // 2,) * 4)

    def group_norm(self, x, name, channels, groups, epsilon):
        with self.module(name):
            y = self.op("Reshape", x, self.i64(0, groups, -1))
            ones, zeros = (self.const(np.full(groups, value, self.weights.dtype)) for value in (1, 0))
            y = self.op("InstanceNormalization", y, ones, zeros, epsilon=epsilon)
            y = self.op("Reshape", y, self.op("Shape", x))
            y = self.op("Mul", y, self.anonymous("Mul", self._draw("weight", (channels,), 0.1, 1)[:, None, None]))
            return self.op("Add", y, self.anonymous("Add", self._draw("bias", (channels,), 0.1)[:, None, None]))

    def layer_norm(self, x, name, width):
        with self.module(name):
            return self.op("LayerNormalization", x, self.parameter("weight", (width,), 0.1, 1), self.parameter("bias", (width,), 0.1),
                           axis=-1, epsilon=1e-5)

    def silu(self, x, name):
        with self.module(name):
            return self.op("Mul", x, self.op("Sigmoid", x))

    def gelu(self, x):
        """Exact."""
        erf = self.op("Erf", self.op("Div", x, self.number(2 ** 0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.number(1))), self.number(0.5))

    def attend(self, query, key, value, width, heads, mask=None):
        """softmax(QK'/sqrt(d) + mask)V of [batch,tokens,width]."""
        split = lambda x, order: self.op("Transpose", self.op("Reshape", x, self.i64(0, -1, heads, width // heads)), perm=order)
        scores = self.op("MatMul", split(query, (0, 2, 1, 3)), split(key, (0, 2, 3, 1)))
        scores = self.op("Mul", scores, self.number((width // heads) ** -0.5))
        if mask:
            scores = self.op("Add", scores, mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), split(value, (0, 2, 1, 3)))
        return self.op("Reshape", self.op("Transpose", mixed, perm=(0, 2, 1, 3)), self.i64(0, -1, width))

    def save(self, path):
        path.write_bytes(self.model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(path))  # by its path, for weights that lie beside it


def _metadata(key, value):
    """An entry of NodeProto.metadata_props, field 9, which onnx 1.12 does not know."""
    entry = onnx.StringStringEntryProto(key=key, value=value).SerializeToString()
    length = bytearray()
    rest = len(entry)
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return bytes([9 << 3 | 2, *length, rest]) + entry
