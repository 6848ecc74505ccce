"""Finds what the model tests need: the packages and models under .deps, and run-onnx (built by Meson, or here with cc)."""
import os
import pathlib
import subprocess
import sys

import pytest

from ..support.paths import ROOT

DEPS = pathlib.Path(os.environ.get("MELA_DEPS", ROOT / ".deps"))
sys.path.insert(0, str(ROOT / "models"))


def needed(path):
    if not path.exists():
        pytest.skip(f"{path} is missing; run script/setup")
    return path


@pytest.fixture(scope="session")
def downloads():
    return needed(DEPS / "download")


@pytest.fixture(scope="session")
def media():
    return needed(DEPS / "media")


@pytest.fixture(scope="session")
def model():
    return lambda name: needed(DEPS / "models" / f"{name}.onnx")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """run(model path, name=array, ...) -> {name: array}"""
    from . import onnx_runner
    program = os.environ.get("MELA_RUN_ONNX")
    if not program:
        ort = needed(DEPS / "onnxruntime")
        program = str(tmp_path_factory.mktemp("bin") / "run-onnx")
        subprocess.run(["cc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ort}/include", ROOT / "models/run-onnx.c", f"-L{ort}/lib",
                        "-lonnxruntime", f"-Wl,-rpath,{ort.resolve()}/lib", "-o", program], check=True)
    return lambda path, **inputs: onnx_runner.run(program, path, **inputs)


@pytest.fixture(scope="session")
def franck(media):
    """Half a second of the talking man, RGB [12,288,360,3]."""
    from . import face
    return face.frames(media / "franck.mp4", 360, 288, 20, 0.5)
