import importlib.machinery
import importlib.util
import sys

import pytest

from ..support.paths import ROOT

SCRIPTS = ROOT / "script"


@pytest.fixture
def script():
    """Loads a Python script by name, without running it."""
    def load(name):
        sys.dont_write_bytecode = True
        loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(SCRIPTS / name))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        return module
    return load
