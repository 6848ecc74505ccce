"""mela-bench: what it says of itself, and that it ends when its Redis fails."""
import os
import re
import signal
import socket
import subprocess

import pytest

from ..support.paths import BUILD, ROOT
from ..support.waiting import DEADLINE, wait_for
from .cli_farm import children_of

COMMANDS = ["queue", "dub", "image"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_docs_have_every_option(mela, command):
    done = subprocess.run([BUILD / "mela-bench", command, "--help"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and re.search(rf"Example:\n +mela-bench {command}", done.stdout), done.stdout
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"mela-bench {command}" in page
    for option in re.findall(r"^\s+(?:-\w, )?--([\w-]+)", done.stdout, re.M):
        assert f"--{option}" in page, option


def ask(folder, command):
    """The first line that the private Redis below the folder replies with; "" while there is none."""
    for path in folder.rglob("*.sock"):
        with socket.socket(socket.AF_UNIX) as redis:
            try:
                redis.connect(str(path))
                redis.sendall(command.encode() + b"\r\n")
                return redis.recv(64).decode().strip()
            except OSError:
                return ""
    return ""


def end_redis(bench, folder):
    for child in children_of(bench.pid):
        os.kill(child, signal.SIGKILL)


def fill_redis(bench, folder):
    """From now on nothing can be submitted, while a worker may still ask for jobs."""
    assert ask(folder, "CONFIG SET maxmemory 1") == "+OK"


@pytest.mark.parametrize("break_redis", [end_redis, fill_redis])
def test_the_queues_measurement_ends_when_its_redis_fails(tmp_path, break_redis):
    bench = subprocess.Popen([BUILD / "mela-bench", "queue", "--most", "0", "--seconds", "0.1"], env={**os.environ, "TMPDIR": str(tmp_path)},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: ask(tmp_path, "DBSIZE") not in ("", ":0"), "the first jobs")
        break_redis(bench, tmp_path)
        out, errors = bench.communicate(timeout=DEADLINE)
    finally:
        bench.kill()
    assert bench.returncode in (1, 3) and out == "" and re.search(r"\[queue\.\w+\]", errors), (bench.returncode, errors)
    assert list(tmp_path.iterdir()) == []
