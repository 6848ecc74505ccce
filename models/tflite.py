"""Reads a TFLite flatbuffer by hand: operators, tensors and their constants. Field numbers are those of
tensorflow/lite/schema/schema.fbs (version 3)."""
import struct
from collections import namedtuple

import numpy as np

Tensor = namedtuple("Tensor", "name shape dtype data")  # data is None for an activation
Operator = namedtuple("Operator", "kind inputs outputs options")
Model = namedtuple("Model", "tensors operators inputs outputs")

DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
KINDS = {0: "ADD", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 17: "MAX_POOL_2D", 34: "PAD", 54: "PRELU"}
OPTIONS = {  # field number: (name, struct format); all default to 0
    "CONV_2D": {0: ("padding", "b"), 1: ("stride_w", "i"), 2: ("stride_h", "i"), 3: ("activation", "b")},
    "DEPTHWISE_CONV_2D": {0: ("padding", "b"), 1: ("stride_w", "i"), 2: ("stride_h", "i"), 4: ("activation", "b")},
    "MAX_POOL_2D": {0: ("padding", "b"), 1: ("stride_w", "i"), 2: ("stride_h", "i"), 3: ("filter_w", "i"),
                    4: ("filter_h", "i"), 5: ("activation", "b")},
    "ADD": {0: ("activation", "b")},
}


class Table:
    """One flatbuffer table: a position and, through its vtable, the offsets of the fields that are present."""

    def __init__(self, data, pos):
        self.data, self.pos = data, pos
        self.vtable = pos - struct.unpack_from("<i", data, pos)[0]
        self.vtable_size = struct.unpack_from("<H", data, self.vtable)[0]

    def _field(self, number):
        slot = 4 + 2 * number
        if slot >= self.vtable_size:
            return 0
        offset = struct.unpack_from("<H", self.data, self.vtable + slot)[0]
        return self.pos + offset if offset else 0

    def scalar(self, number, form):
        at = self._field(number)
        return struct.unpack_from("<" + form, self.data, at)[0] if at else 0

    def _target(self, number):
        at = self._field(number)
        return at + struct.unpack_from("<I", self.data, at)[0] if at else 0

    def table(self, number):
        at = self._target(number)
        return Table(self.data, at) if at else None

    def vector(self, number, dtype):
        at = self._target(number)
        if not at:
            return np.zeros(0, dtype)
        return np.frombuffer(self.data, dtype, struct.unpack_from("<I", self.data, at)[0], at + 4)

    def tables(self, number):
        at = self._target(number)
        count = struct.unpack_from("<I", self.data, at)[0] if at else 0
        slots = range(at + 4, at + 4 + 4 * count, 4)
        return [Table(self.data, s + struct.unpack_from("<I", self.data, s)[0]) for s in slots]

    def text(self, number):
        return self.vector(number, np.uint8).tobytes().decode()


def _tensor(table, buffers):
    shape = tuple(int(d) for d in table.vector(0, "<i4"))
    dtype = np.dtype(DTYPES[table.scalar(1, "b")])
    raw = buffers[table.scalar(2, "I")].vector(0, np.uint8)
    data = raw.view(dtype).reshape(shape) if raw.size else None
    return Tensor(table.text(3), shape, dtype, data)


def _operator(table, kinds):
    kind = kinds[table.scalar(0, "I")]
    fields, options = table.table(4), {}
    for number, (name, form) in OPTIONS.get(kind, {}).items():
        options[name] = fields.scalar(number, form)
    return Operator(kind, table.vector(1, "<i4").tolist(), table.vector(2, "<i4").tolist(), options)


def read(data):
    """The first subgraph of a model. An operator kind this reader does not know is named by its number."""
    if data[4:8] != b"TFL3":
        raise ValueError("not a TFLite file: no TFL3 identifier")
    root = Table(data, struct.unpack_from("<I", data, 0)[0])
    codes = [max(c.scalar(0, "b"), c.scalar(3, "i")) for c in root.tables(1)]
    kinds = [KINDS.get(c, f"OPERATOR_{c}") for c in codes]
    graph, buffers = root.tables(2)[0], root.tables(4)
    return Model([_tensor(t, buffers) for t in graph.tables(0)], [_operator(o, kinds) for o in graph.tables(3)],
                 graph.vector(1, "<i4").tolist(), graph.vector(2, "<i4").tolist())
