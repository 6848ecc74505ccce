"""Makes diffusers' safetensors from the ONNX files of a model that export.py wrote, for a trainer that wants them: nothing is
stored twice. python3-onnx and numpy.

usage: weights.py FOLDER OUT     writes OUT/{unet,vae,text_encoder,text_encoder_2}/*.safetensors and the configs beside them
"""
import json
import os
import shutil
import struct
import sys

import numpy as np
import onnx
from onnx import numpy_helper

SOURCES = {"unet/diffusion_pytorch_model": ["unet"], "vae/diffusion_pytorch_model": ["vae_encoder", "vae_decoder"],
           "text_encoder/model": ["text_encoder"], "text_encoder_2/model": ["text_encoder_2"]}
TYPES = {"float16": "F16", "float32": "F32"}


def named_weights(path):
    """{module's name: array} of an ONNX file, by the table in its metadata."""
    model = onnx.load(path)
    stored = {one.name: one for one in model.graph.initializer}
    table = json.loads(next(one.value for one in model.metadata_props if one.key == "weights"))
    weights = {}
    for name, (initializer, order, shape) in table.items():
        array = numpy_helper.to_array(stored[initializer])
        weights[name] = np.ascontiguousarray(array.T if order == "transposed" else array).reshape(shape)
    return weights


def safetensors(weights):
    """The bytes of a safetensors file, names sorted."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in sorted(weights.items()):
        header[name] = {"dtype": TYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def main():
    folder, out = sys.argv[1:]
    for target, sources in SOURCES.items():
        weights = {name: array for source in sources for name, array in named_weights(f"{folder}/{source}/model.onnx").items()}
        variant = ".fp16" if all(array.dtype == np.float16 for array in weights.values()) else ""
        path = f"{out}/{target}{variant}.safetensors"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(safetensors(weights))
        shutil.copy(f"{folder}/{sources[0]}/config.json", os.path.dirname(path))


if __name__ == "__main__":
    main()
