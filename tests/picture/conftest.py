"""The tiny model of SDXL's structure, and the runner of its graphs."""
import numpy as np
import pytest

from ..models.conftest import run  # noqa: F401
from ..support.once import make_once
from . import tiny_sdxl


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """tiny(dtype="float16", ...) -> the folder of that model, made once; the options are those of tiny_sdxl.make."""
    def folder(**options):
        name = "-".join(["tiny", *(f"{key}-{value}" for key, value in sorted(options.items()))])
        return make_once(tmp_path_factory, name, lambda folder: tiny_sdxl.make(folder / "model", **options)) / "model"
    return folder


@pytest.fixture(scope="session")
def networks(run):  # noqa: F811
    """networks(folder, type) -> its ONNX files, to be called as an Oracle is."""
    def load(folder, dtype=np.float32):
        def call(name, **inputs):
            inputs = {key: np.asarray(array) for key, array in inputs.items()}
            return run(folder / name / "model.onnx", **{key: x if x.dtype == np.int64 else x.astype(dtype) for key, x in inputs.items()})
        return call
    return load
