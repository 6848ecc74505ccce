"""Drives diffusion_tool, and skips by name what is not there."""
import json
import subprocess

import pytest

from ..support.paths import BUILD

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
