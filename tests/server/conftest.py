"""A farm for each test: a real redis-server, a store in a folder, the API on a free port, and a worker's hand."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
import requests

from ..support.hand import TOOL, Painter, Worker
from ..support.redis_server import SAVED, RedisServer

TIMEOUT = 20  # seconds; of any single wait


class Farm:
    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store"
        self.store_url = f"file://{self.store}"
        self.redis = RedisServer(folder, persistence=SAVED)
        self.redis_url = self.redis.url
        self.server = self._worker = None
        self.keys = {role: self.tool("key", self.keys_file, role, role) for role in ("viewer", "producer", "admin")}

    keys_file = property(lambda self: self.folder / "keys.json")

    def tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def start(self, upload_limit=0, idle_s=0, before=(), environment=None, emf_ms=None):
        """`before` are words that go before the command, as in `nice COMMAND`."""
        self.server = subprocess.Popen(
            [*before, TOOL, "serve", "127.0.0.1:0", self.redis_url, self.store_url, self.keys_file, str(upload_limit), str(idle_s),
             *([str(emf_ms)] if emf_ms else [])],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        self.port = int(next(line for line in self.server.stdout if line.strip().isdigit()))
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        """SIGTERM; the server's exit code."""
        self.server.send_signal(signal.SIGTERM)
        code = self.server.wait(TIMEOUT)
        self.server.stdout.close()
        return code

    @property
    def worker(self):
        self._worker = self._worker or Worker(self.redis_url)
        return self._worker

    def close(self):
        if self._worker:
            self._worker.close()
        if self.server and self.server.poll() is None:
            assert self.stop() == 0
        self.redis.stop()

    def ask(self, method, path, role="admin", headers=None, **more):
        headers = {**({"Authorization": f"Bearer {self.keys[role]}"} if role else {}), **(headers or {})}
        return requests.request(method, self.url + path, headers=headers, timeout=TIMEOUT, **more)

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def connect(self, data):
        """A connection on which these bytes were sent; the caller closes it."""
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        connection.sendall(data)
        return connection

    def raw(self, data, shutdown=False):
        """Sends bytes as they are; returns all that comes back until the server closes."""
        with self.connect(data) as connection:
            if shutdown:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

    def put(self, data):
        """Uploads bytes; returns their URI."""
        digest = hashlib.sha256(data).hexdigest()
        answer = self.ask("PUT", f"/v1/files/{digest}", data=data)
        assert answer.status_code in (200, 201), answer.text
        return f"sha256:{digest}"

    def spec(self, **members):
        return {"name": "diwali", "video": self.put(b"a video"), "dubs": [{"language": "hi", "audio": self.put(b"speech")}],
                **members}

    def submit(self, spec=None, **more):
        return self.ask("POST", "/v1/campaigns", json=spec or self.spec(), **more)

    def submitted(self, **more):
        answer = self.submit(**more)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def stored(self):
        """Every file in the store, temporary ones too."""
        return sorted(str(path.relative_to(self.store)) for path in self.store.rglob("*") if path.is_file())

    def images(self, *prompts, **members):
        """A spec of pictures; each prompt is a text or an object."""
        return {"name": "doors", "images": {"prompts": [p if isinstance(p, dict) else {"prompt": p} for p in prompts], **members}}

    @property
    def painter(self):
        return Painter(self.worker, self.store)

    def run_campaign(self, campaign, video=b"the dubbed video"):
        """Plays the workers: plan, then the join, whose artifact is `video`."""
        plan = self.worker.claim()
        assert plan["job"] == f"{campaign}/plan"
        self.worker.finish(plan, artifact=f"campaigns/{campaign}/plan.json", report={"frames": 0, "steps_ms": {"probe": 5}},
                           children=[{"id": f"{campaign}/hi/join", "waits_for": 0}])
        join = self.worker.claim()
        key = f"campaigns/{campaign}/hi/final.{join['attempt']}.mp4"
        (self.store / key).parent.mkdir(parents=True, exist_ok=True)
        (self.store / key).write_bytes(video)
        self.worker.finish(join, artifact=key, report={"frames": 240, "steps_ms": {"join": 7, "encode": 11}})


@pytest.fixture
def folder():
    # Unix sockets allow for about 100 bytes of path only, which pytest's own folders exceed.
    path = pathlib.Path(tempfile.mkdtemp(prefix="mela-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def cold_farm(folder):
    """A farm whose server is not started."""
    farm = Farm(folder)
    try:
        farm.redis.start()
        yield farm
    finally:
        farm.close()


@pytest.fixture
def farm(cold_farm):
    cold_farm.start()
    return cold_farm


def assert_error(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["message"]
    assert isinstance(answer.json()["error"]["details"], list)
    return answer.json()["error"]
