"""Drives diffusion_tool, and skips by name what is not there."""
import json
import os
import pathlib
import subprocess

import pytest

from ..support.paths import BUILD, ROOT

DEPS = pathlib.Path(os.environ.get("MELA_DEPS", ROOT / ".deps"))
TOOL = str(BUILD / "tests/diffusion/diffusion_tool")


class ToolError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.code, _, self.message = text.strip().partition(": ")


@pytest.fixture(scope="session")
def tool():
    """tool(command, *arguments, input=None) -> what each line of its output says"""
    def run(*command, input=None):
        done = subprocess.run([TOOL, *map(str, command)], input=input, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise ToolError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]
    return run


@pytest.fixture(scope="session")
def clip():
    """The folder with SDXL's two tokenizers."""
    if not (DEPS / "clip").exists():
        pytest.skip(f"CLIP's vocabulary is not in {DEPS}/clip; run script/setup")
    return DEPS / "clip"


@pytest.fixture(scope="session")
def prompts(tool):
    """prompts(folder, texts, weighted, chunks, pad) -> what the tokenizer in the folder makes of each"""
    def run(folder, texts, weighted=False, chunks=1, pad=0):
        return tool("prompts", folder, int(weighted), chunks, pad, input=json.dumps(texts))
    return run
