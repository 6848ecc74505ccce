"""Fetching over lines that break: a small HTTP server plays the farm, since a real one cannot be made to fail on cue."""
import hashlib
import http.server
import json
import os
import pty
import socket
import struct
import subprocess
import threading

import pytest

from ..support.network import free_port
from ..support.paths import BUILD
from ..support.waiting import DEADLINE

VIDEO = bytes(range(256)) * 4000
PART = ".c-hi-final.3.mp4.part"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        return self.wfile

    def do_GET(self):
        farm = self.server
        if self.path == "/v1/jobs/c/hi/join":
            body = json.dumps({"state": "done", "artifact": "campaigns/c/hi/final.3.mp4", "report": farm.report}).encode()
            self.answer(200, body).write(body)
        elif self.path == "/v1/campaigns/c/files/hi/final.mp4":
            farm.ranges.append(self.headers["Range"])
            if not self.is_busy():
                self.send_video(farm)
        else:
            body = b"<html>an intermediary's page</html>"
            self.answer(502, body).write(body)

    def do_HEAD(self):
        self.answer(404, b"")

    def do_PUT(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_busy():
            self.answer(201, b"{}").write(b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"id":"c"}'
        self.answer(202, body).write(body)

    def is_busy(self):
        """Answers with the next of the farm's troubles, if there is one left."""
        harm = self.server.busy.pop(0) if self.server.busy else None
        if harm == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif harm:
            body = b'{"error":{"code":"api.busy","message":"try again"}}' if harm == 503 else b"<html>bad gateway</html>"
            self.answer(harm, body, Retry_After="1").write(body)
        return bool(harm)

    def send_video(self, farm):
        start = int((self.headers["Range"] or "bytes=0-").split("=")[1].rstrip("-"))
        if not farm.gives_ranges:
            start = 0
        if start >= len(VIDEO):
            self.answer(416, b"", Content_Range=f"bytes */{len(VIDEO)}")
            return
        rest = VIDEO[start:]
        out = self.answer(206 if start else 200, rest,
                          **({"Content_Range": f"bytes {start}-{len(VIDEO) - 1}/{len(VIDEO)}"} if start else {}))
        breaks_after = farm.breaks.pop(0) if farm.breaks else None
        out.write(rest[:breaks_after])
        if breaks_after is not None:
            self.close_connection = True


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.gives_ranges, server.breaks, server.busy, server.bodies = [], True, [], [], []
    server.report = {"sha256": hashlib.sha256(VIDEO).hexdigest()}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def get(mela, server):
    return lambda: mela("get", "c", "--language", "hi", "-o", "out", "--address", f"http://127.0.0.1:{server.server_port}")


def check_fetched(mela, done):
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out/c-hi.mp4\n"
    assert (mela.folder / "out/c-hi.mp4").read_bytes() == VIDEO
    assert [f.name for f in (mela.folder / "out").iterdir()] == ["c-hi.mp4"]


def test_a_fetch_that_broke_is_continued(mela, server, get):
    server.breaks = [100_000, 50_000]
    check_fetched(mela, get())
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_fetch_that_was_interrupted_is_continued(mela, server, get):
    (mela.folder / "out").mkdir()
    (mela.folder / "out" / PART).write_bytes(VIDEO[:100_000])
    check_fetched(mela, get())
    assert server.ranges == ["bytes=100000-"]


def test_a_farm_that_stays_busy_is_given_up(mela, server, get):
    server.busy = [503] * 6
    done = get()
    assert done.returncode == 1 and "[api.busy]" in done.stderr and len(server.ranges) == 6
    assert [f.name for f in (mela.folder / "out").iterdir()] == [PART]


@pytest.mark.parametrize("busy", [[503, 502], ["reset"]], ids=["busy", "reset"])
def test_an_upload_that_meets_a_busy_farm_is_sent_again(mela, server, busy):
    """On a terminal, the line of the transfer says that it waits."""
    server.busy = list(busy)
    (mela.folder / "talk.mp4").write_bytes(VIDEO)
    master, slave = pty.openpty()
    done = subprocess.run([BUILD / "mela", "submit", "--video", "talk.mp4", "--dub", "hi=sha256:" + "0" * 64, "--address",
                           f"http://127.0.0.1:{server.server_port}"], cwd=mela.folder, env=mela.environment, stdout=subprocess.PIPE,
                          stderr=slave, timeout=DEADLINE)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0 and done.stdout == b"c\n", shown
    assert len(server.bodies) == 1 + len(busy) and server.bodies[-1] == VIDEO
    assert "talk.mp4: the farm is busy or away; again in 1 s" in shown


def test_a_farm_that_is_not_there_is_told_at_once(mela):
    (mela.folder / "talk.mp4").write_bytes(VIDEO)
    mela.error(3, "api.unreachable", "submit", "--video", "talk.mp4", "--dub", "hi=sha256:" + "0" * 64, "--address",
               f"http://127.0.0.1:{free_port()}")


def test_a_part_is_dropped_when_the_farm_sends_all(mela, server, get):
    (mela.folder / "out").mkdir()
    (mela.folder / "out" / PART).write_bytes(b"x" * 5000)
    server.gives_ranges = False
    check_fetched(mela, get())


def test_a_part_of_full_length_is_fetched_anew(mela, server, get):
    (mela.folder / "out").mkdir()
    (mela.folder / "out" / PART).write_bytes(b"x" * len(VIDEO))
    check_fetched(mela, get())
    assert server.ranges == [f"bytes={len(VIDEO)}-", None]


def test_an_answer_that_is_not_the_farms_is_told_by_its_status(mela, server):
    error = mela.error(3, "api.unreachable", "list", "--address", f"http://127.0.0.1:{server.server_port}")
    assert "502" in error["message"]


def test_bytes_that_were_not_published_are_thrown_away(mela, server, get):
    server.report = {"sha256": hashlib.sha256(b"another video").hexdigest()}
    done = get()
    assert done.returncode == 1 and "[store.hash_mismatch]" in done.stderr, done.stderr
    assert list((mela.folder / "out").iterdir()) == []
    server.report = {}
    check_fetched(mela, get())


def forget(farm, campaign, *languages):
    """A campaign as the store keeps it, which Redis has forgotten: of hi and ta, those that have a video."""
    folder = farm.data / "store/campaigns" / campaign
    for language in languages:
        artifact = f"{language}/final.2-0123456789.mp4"
        (folder / language).mkdir(parents=True)
        (folder / artifact).write_bytes(VIDEO)
        receipt = folder / "receipts" / language / "join.json"
        receipt.parent.mkdir(parents=True)
        receipt.write_text(json.dumps({"artifact": f"campaigns/{campaign}/{artifact}"}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps({"dubs": [{"language": "hi"}, {"language": "ta"}]}))


def test_a_campaign_that_redis_has_forgotten_is_fetched(farm):
    forget(farm, "old-0123456789", "hi")
    for language in ([], ["--language", "hi"]):
        done = farm("get", "old-0123456789", "-o", "out", *language)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "out/old-0123456789-hi.mp4\n"
        assert [f.name for f in (farm.folder / "out").iterdir()] == ["old-0123456789-hi.mp4"]
        assert (farm.folder / "out/old-0123456789-hi.mp4").read_bytes() == VIDEO
        (farm.folder / "out/old-0123456789-hi.mp4").unlink()
    farm.error(4, "api.not_found", "get", "old-0123456789", "--language", "ta")


def test_a_forgotten_campaign_without_a_video_is_told_from_one_that_never_was(farm):
    forget(farm, "old-0123456789")
    farm.error(4, "api.not_found", "get", "old-0123456789")
    farm.error(4, "queue.not_found", "get", "never-0123456789")
