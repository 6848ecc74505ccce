"""Finds what the model tests need: the packages and models under .deps, and run-onnx (built by Meson, or here with cc)."""
import os
import pathlib
import sys

import pytest

from ..support.paths import ROOT
from . import onnx_runner

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
    program = onnx_runner.program(needed(DEPS / "onnxruntime"), tmp_path_factory.mktemp("bin"))
    return lambda path, **inputs: onnx_runner.run(program, path, **inputs)


@pytest.fixture(scope="session")
def franck(media):
    """Half a second of the talking man, RGB [12,288,360,3]."""
    from . import face
    return face.frames(media / "franck.mp4", 360, 288, 20, 0.5)
