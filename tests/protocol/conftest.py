import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("MELA_BUILD", "build")


@pytest.fixture(scope="session")
def redis_url():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mela-protocol-"))
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", folder / "s", "--save", "", "--dir", folder,
                               "--appendonly", "no", "--loglevel", "warning"], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while subprocess.run(["redis-cli", "-s", folder / "s", "ping"], capture_output=True).stdout != b"PONG\n":
        assert time.monotonic() < end
        time.sleep(0.02)
    yield f"unix://{folder}/s"
    server.terminate()
    server.wait(20)
    shutil.rmtree(folder)
