import pathlib
import tempfile

import pytest

from ..support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_url():
    with tempfile.TemporaryDirectory(prefix="mela-protocol-") as folder:
        server = RedisServer(pathlib.Path(folder)).start()
        yield server.url
        server.stop()
