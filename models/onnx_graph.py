"""A small writer of ONNX graphs whose files are the same, byte for byte, on every machine.

Everything that could vary is pinned here: IR version, opset, producer, names (counted, never hashed) and the order of
attributes. Only message classes of the onnx package are used, none of its helpers, so that onnx 1.12 and 1.17 agree.
"""
import numpy as np
import onnx

IR_VERSION = 8  # what onnx 1.12 writes by default; every ONNX Runtime since 1.12 reads it
OPSET = 16  # the first with GridSample
TYPES = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.float16): onnx.TensorProto.FLOAT16,
         np.dtype(np.int64): onnx.TensorProto.INT64, np.dtype(bool): onnx.TensorProto.BOOL}


def _attribute(name, value):
    a = onnx.AttributeProto(name=name)
    if isinstance(value, float):
        a.type, a.f = onnx.AttributeProto.FLOAT, value
    elif isinstance(value, int):
        a.type, a.i = onnx.AttributeProto.INT, value
    elif isinstance(value, str):
        a.type, a.s = onnx.AttributeProto.STRING, value.encode()
    else:
        a.type = onnx.AttributeProto.INTS
        a.ints.extend(int(v) for v in value)
    return a


def _describe(info, name, shape, dtype):
    info.name = name
    info.type.tensor_type.elem_type = TYPES[np.dtype(dtype)]
    info.type.tensor_type.shape.SetInParent()  # rank 0 is a shape too
    for size in shape:
        dim = info.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size


class Graph:
    """Values are named by strings. A string in a shape is a dynamic size of that name."""

    def __init__(self, name):
        self.model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="mela", producer_version="1")
        self.model.opset_import.add(domain="", version=OPSET)
        self.model.graph.name = name
        self.count = 0

    def _name(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    def input(self, name, shape, dtype=np.float32):
        _describe(self.model.graph.input.add(), name, shape, dtype)
        return name

    def output(self, value, name, shape, dtype=np.float32):
        self.model.graph.node.add(op_type="Identity", name=f"out_{name}", input=[value], output=[name])
        _describe(self.model.graph.output.add(), name, shape, dtype)

    def const(self, array):
        """A constant; half floats are stored as they are and cast where they are used (folded when the model is loaded)."""
        array = np.asarray(array)
        name = self.initializer(self._name("w"), array)
        return self.op("Cast", name, to=int(onnx.TensorProto.FLOAT)) if array.dtype == np.float16 else name

    def initializer(self, name, array):
        tensor = self.model.graph.initializer.add(name=name, data_type=TYPES[array.dtype], dims=array.shape)
        tensor.raw_data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        return name

    def f32(self, *values):
        return self.const(np.float32(values[0] if len(values) == 1 else values))

    def i64(self, *values):
        return self.const(np.array(values, np.int64))

    def op(self, kind, *inputs, **attributes):
        return self.node(kind, self._name(kind.lower()), inputs, attributes).name

    def node(self, kind, name, inputs, attributes):
        """A node with one output, of the node's name."""
        node = self.model.graph.node.add(op_type=kind, name=name, input=inputs, output=[name])
        node.attribute.extend(_attribute(k, v) for k, v in sorted(attributes.items()))
        return node

    def bytes(self):
        """The finished file; the model is checked first (shapes too where they are static)."""
        if self.model.ByteSize() < 1 << 28:
            onnx.checker.check_model(self.model)
        return self.model.SerializeToString(deterministic=True)
