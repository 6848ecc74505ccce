"""Reading, and all that a file may not be."""
import json
import struct

import numpy as np
import pytest

from . import tensors
from .conftest import ToolError

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def test_reads_every_type(tool, tmp_path):
    rng = np.random.default_rng(1)
    arrays = {"z.f32": rng.normal(size=(2, 3)).astype(np.float32), "a.f16": rng.normal(size=5).astype(np.float16), "f64": rng.normal(size=(1, 1, 2)),
              "bf16": tensors.bfloat16([1.5, -2, 0]), "scalar": np.array(0.5, np.float32), "none": np.zeros((3, 0), np.float32), "ids": np.arange(3),
              "long": rng.normal(size=40000).astype(np.float32), "last": np.zeros(0, np.float16)}
    *lines, key = tool("tensors", tensors.write(tmp_path / "x.safetensors", arrays, {"key": "value é", "other": ""}))
    assert key == "value é" and [line["name"] for line in lines] == sorted(arrays)
    for line in lines:
        array = arrays[line["name"]]
        wanted = [1.5, -2, 0] if line["type"] == "BF16" else None if line["type"] == "I64" else array.astype(np.float32).ravel().tolist()
        assert line["shape"] == list(array.shape) and line["values"] == wanted
    padded = tensors.pack(json.dumps({"a": ONE}).encode() + b"    ", b"\0" * 8)
    (tmp_path / "y").write_bytes(padded)
    assert tool("tensors", tmp_path / "y")[0]["values"] == [0, 0]
    (tmp_path / "z").write_bytes(tensors.pack({}, b""))
    assert tool("tensors", tmp_path / "z") == [None]


def entry(**changes):
    return tensors.pack({"a": {**ONE, **changes}}, b"\0" * 8)


def pair(first, second, size):
    shape = {"dtype": "U8"}
    return tensors.pack({"a": {**shape, "shape": [first[1] - first[0]], "data_offsets": first}, "b": {**shape, "shape": [second[1] - second[0]], "data_offsets": second}},
                        b"\0" * size)


@pytest.mark.parametrize("data, words", [
    (b"", "too short"), (b"\0" * 7, "too short"), (tensors.pack(b"", b""), "header of 0"), (tensors.pack(b"{}", b"", 3), "header of 3"),
    (struct.pack("<Q", 2 ** 64 - 1) + b"{}", "header of 18446744073709551615"), (struct.pack("<Q", 17 << 20) + b"{}" + b" " * (17 << 20), "header of 17825792"),
    (tensors.pack(b" {}", b""), "not a JSON object"), (tensors.pack(b"[]", b""), "not a JSON object"), (tensors.pack(b"{nonsense", b""), "not a JSON object"),
    (tensors.pack(b"{}x", b""), "not a JSON object"), (tensors.pack(b"{" * 500000, b""), "not a JSON object"),
    (tensors.pack(b'{"a": %s, "a": %s}' % ((json.dumps(ONE).encode(),) * 2), b"\0" * 8), "twice"), (tensors.pack({"a": 1}, b""), "not just"),
    (tensors.pack({"a": {**ONE, "more": 1}}, b"\0" * 8), "not just"), (tensors.pack({"__metadata__": {"a": 1}}, b""), "__metadata__"), (tensors.pack({"__metadata__": []}, b""), "__metadata__"),
    (entry(dtype="F4"), "dtype"), (entry(dtype=1), "dtype"), (entry(shape=[-2]), "shape"), (entry(shape=[2.0]), "shape"), (entry(shape=2), "shape"), (entry(shape=[1] * 9), "shape"),
    (entry(shape=[2 ** 62, 4]), "shape"), (entry(shape=[2 ** 61]), "shape"), (entry(shape=[2 ** 32, 2 ** 32]), "shape"), (entry(shape=[3]), "bytes of its shape"),
    (entry(data_offsets=[8, 0]), "data_offsets"), (entry(data_offsets=[-8, 0]), "data_offsets"), (entry(data_offsets=[0, 8, 9]), "data_offsets"), (entry(data_offsets=[0]), "data_offsets"),
    (entry(data_offsets=[0, 2 ** 70]), "not a JSON object"), (entry(data_offsets=[4, 12]), "does not begin"), (entry(data_offsets=["0", "8"]), "data_offsets"),
    (pair([0, 4], [5, 8], 8), "does not begin"), (pair([0, 4], [2, 8], 8), "does not begin"), (pair([0, 8], [0, 8], 8), "does not begin"), (pair([0, 4], [4, 8], 9), "9 bytes of tensors"),
    (pair([0, 4], [4, 8], 7), "7 bytes of tensors"), (tensors.pack({}, b"x"), "1 bytes of tensors")], ids=lambda value: value if isinstance(value, str) else "file")
def test_refuses(tool, tmp_path, data, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ToolError) as failure:
        tool("tensors", path)
    assert failure.value.code == "weights.invalid" and words in failure.value.message


def test_a_file_that_is_not_there(tool, tmp_path):
    with pytest.raises(ToolError) as failure:
        tool("tensors", tmp_path / "x")
    assert failure.value.code == "io"
