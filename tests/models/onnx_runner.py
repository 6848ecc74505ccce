"""Runs an ONNX graph through run-onnx (ONNX Runtime has no Python package in Debian)."""
import os
import pathlib
import subprocess
import tempfile

import numpy as np

from ..support.paths import ROOT


def program(onnxruntime, folder):
    """The path of run-onnx, built by Meson, or else here in `folder` with cc."""
    if "MELA_RUN_ONNX" in os.environ:
        return os.environ["MELA_RUN_ONNX"]
    subprocess.run(["cc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{onnxruntime}/include", ROOT / "models/run-onnx.c",
                    f"-L{onnxruntime}/lib", "-lonnxruntime", f"-Wl,-rpath,{onnxruntime.resolve()}/lib", "-o", folder / "run-onnx"], check=True)
    return str(folder / "run-onnx")


def run(program, model, **inputs):
    """Arrays by input name in, arrays by output name out. Inputs have the graph's types; float64 is given as float32."""
    with tempfile.TemporaryDirectory() as directory:
        folder, arguments = pathlib.Path(directory), []
        for name, array in inputs.items():
            array = np.asarray(array)
            np.asarray(array, np.float32 if array.dtype == np.float64 else None).tofile(folder / f"{name}.in")
            arguments.append(f"{name}={folder / name}.in:{','.join(map(str, array.shape))}")
        done = subprocess.run([program, str(model), directory, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        lines = (line.rsplit(" ", 2) for line in done.stdout.splitlines())
        return {name: np.fromfile(folder / f"{name}.raw", kind).reshape([int(d) for d in dims.split(",") if d])
                for name, kind, dims in lines}
