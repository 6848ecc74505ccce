"""BlazeFace: the published ONNX, in one plain contract for both sizes.

The file has NHWC input of batch 1 and four outputs. Ours has NCHW input of any batch and two outputs, anchors in the order of
MediaPipe's SSD options: `boxes` [N,896,16] and `scores` [N,896,1] (logits). The weights are untouched.
"""
import onnx
from onnx import numpy_helper

from onnx_graph import Graph

KEPT = {"Conv": ("group", "pads", "strides"), "MaxPool": ("kernel_shape", "pads", "strides"), "Relu": (), "Add": ()}


def _transposed_input(source):
    first = source.node[0]
    if first.op_type != "Transpose":
        raise ValueError("blazeface: the first node is not the NHWC to NCHW transpose")
    return first.output[0]


def convert(data, size):
    source = onnx.load_from_string(data).graph
    weights = {t.name: numpy_helper.to_array(t) for t in source.initializer}
    g = Graph(f"blazeface-{size}")
    values = {_transposed_input(source): g.input("input", ["N", 3, size, size])}
    added_channels = {}

    def value(name):
        if name not in values:
            values[name] = g.const(weights[name])
        return values[name]

    for node in source.node[1:]:
        out = node.output[0]
        if node.op_type in KEPT:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if a.name in KEPT[node.op_type]}
            values[out] = g.op(node.op_type, *[value(i) for i in node.input], **attributes)
        elif node.op_type == "ConstantOfShape":
            added_channels[out] = int(weights[node.input[0]][1])
        elif node.op_type == "Concat":  # zero channels after the real ones: a Pad does not fix the batch
            pads = g.i64(0, 0, 0, 0, 0, added_channels[node.input[1]], 0, 0)
            values[out] = g.op("Pad", value(node.input[0]), pads)
        elif node.op_type == "Transpose":
            values[out] = g.op("Transpose", value(node.input[0]), perm=[0, 2, 3, 1])
        elif node.op_type == "Reshape":
            _, anchors, width = weights[node.input[1]]
            values[out] = g.op("Reshape", value(node.input[0]), g.i64(0, anchors, width))
        else:
            raise ValueError(f"blazeface: unexpected operator {node.op_type}")
    for name, parts, width in (("boxes", ("Identity_2:0", "Identity_3:0"), 16), ("scores", ("Identity:0", "Identity_1:0"), 1)):
        g.output(g.op("Concat", *[values[p] for p in parts], axis=1), name, ["N", 896, width])
    return g.bytes()
