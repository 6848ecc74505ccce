"""Runs an ONNX graph through run-onnx (ONNX Runtime has no Python package in Debian)."""
import pathlib
import subprocess
import tempfile

import numpy as np


def run(program, model, **inputs):
    """Arrays by input name in, arrays by output name out."""
    with tempfile.TemporaryDirectory() as directory:
        folder, arguments = pathlib.Path(directory), []
        for name, array in inputs.items():
            np.ascontiguousarray(array, np.float32).tofile(folder / f"{name}.in")
            arguments.append(f"{name}={folder / name}.in:{','.join(map(str, array.shape))}")
        done = subprocess.run([program, str(model), directory, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        shapes = (line.rsplit(" ", 1) for line in done.stdout.splitlines())
        return {name: np.fromfile(folder / f"{name}.f32", np.float32).reshape([int(d) for d in dims.split(",") if d])
                for name, dims in shapes}
