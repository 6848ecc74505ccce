"""Writes safetensors files, right ones and wrong ones."""
import json
import struct

import numpy as np

TYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint8": "U8"}


def header_and_data(tensors, metadata=None):
    """({name: entry}, bytes) of {name: array}; an array of uint16 is taken for bfloat16."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        kind = "BF16" if array.dtype == np.uint16 else TYPES[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return header, data


def pack(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def write(path, tensors, metadata=None):
    path.write_bytes(pack(*header_and_data(tensors, metadata)))
    return path


def bfloat16(array):
    """The upper halves of float32, as uint16; exact where the lower ones are zero."""
    return (np.asarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
