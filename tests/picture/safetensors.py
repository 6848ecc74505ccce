"""Reads and writes safetensors files: https://github.com/huggingface/safetensors#format. Names are sorted, so equal tensors give equal bytes."""
import json
import struct

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
NAMES = {np.dtype(numpy): name for name, numpy in TYPES.items()}


def layout(tensors):
    """The header's entries for these tensors, one after the other by name."""
    header, at = {}, 0
    for name in sorted(tensors):
        array = tensors[name]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    return header


def pack(header, data):
    """A file's bytes; the header is JSON text, padded with spaces as the reference implementation does."""
    header = header.encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def write(path, tensors, metadata=None):
    header = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    header.update(layout(tensors))
    path.write_bytes(pack(json.dumps(header, separators=(",", ":")), b"".join(tensors[name].tobytes() for name in sorted(tensors))))


def read(path):
    """Tensors by name."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]], TYPES[entry["dtype"]])
            .reshape(entry["shape"]) for name, entry in header.items()}
