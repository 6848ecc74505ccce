"""Trouble around the farm: a Redis that goes away, a disk that is full, uploads that lie."""
import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from farm_process import BUILD, DEPS, ROOT, Farm, wait_for

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Production:
    """The two programs as production runs them: mela serve and mela-worker run around a Redis of their own."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.redis_port, self.port = free_port(), free_port()
        self.key = subprocess.run([BUILD / "mela", "keys", "add", "test", "--role", "admin", "--keys", folder / "keys.json"],
                                  capture_output=True, text=True, check=True).stdout.strip()
        (folder / "farm.json").write_text(json.dumps({"pools": {p: {"quiet_hours": None} for p in ("cpu", "lipsync")}}))
        (folder / "key").write_text(self.key)
        (folder / "address").write_text(f"http://127.0.0.1:{self.port}")
        (folder / "farm.json").write_text(json.dumps({"pools": {p: {"quiet_hours": None} for p in ("cpu", "lipsync")}}))

    def spawn(self, name, *command):
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL,
                                   stderr=open(self.folder / f"{name}.log", "ab"), cwd=self.folder)
        self.processes.append(process)
        return process

    def start_redis(self):
        self.redis = self.spawn("redis", "redis-server", "--port", self.redis_port, "--appendonly", "yes", "--dir", self.folder,
                                "--maxmemory-policy", "noeviction", "--bind", "127.0.0.1", "--logfile", "redis.out")
        wait_for(lambda: subprocess.run(["redis-cli", "-p", str(self.redis_port), "ping"], capture_output=True).stdout == b"PONG\n",
                 "Redis")

    def start(self):
        self.start_redis()
        farm = ["--redis", f"redis://127.0.0.1:{self.redis_port}", "--store", f"file://{self.folder}/store"]
        self.spawn("serve", BUILD / "mela", "serve", *farm, "--keys", self.folder / "keys.json", "--listen", f"127.0.0.1:{self.port}")
        wait_for(lambda: self.status("/readyz") == 200, "the API")
        self.spawn("worker", BUILD / "mela-worker", "run", *farm, "--models", DEPS / "models", "--manifests", ROOT / "models",
                   "--work", self.folder / "work", "--device", "cpu")

    def status(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.key}"})
        try:
            return urllib.request.urlopen(request, timeout=30).status
        except urllib.error.HTTPError as error:
            self.error = json.loads(error.read())["error"]
            return error.code
        except OSError:
            return 0

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(60)


@pytest.fixture
def production(tmp_path):
    production = Production(tmp_path)
    production.start()
    yield production
    production.stop()


def test_redis_goes_away_in_mid_run_and_comes_back(production, clips):
    farm = Farm(production.folder)  # the same client; its data directory holds address and key
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1", "--lips", "wav2lip-96-random")
    wait_for(lambda: farm.running(campaign, "dub"), "a dub in work")
    production.redis.kill()
    production.redis.wait()
    assert production.status(f"/v1/campaigns/{campaign}") == 503
    assert production.error["code"] == "queue.unavailable"
    assert production.status("/healthz") == 200 and production.status("/readyz") == 503
    production.start_redis()
    assert farm.wait(campaign)["state"] == "done"


@pytest.fixture
def small_disk(tmp_path):
    """A store on a file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
                                           capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path, small_disk):
    farm = Farm(tmp_path / "farm", "--store", f"file://{small_disk}").start()
    try:
        (tmp_path / "big.mp4").write_bytes(os.urandom(6 << 20))
        done = farm.run("submit", "--video", tmp_path / "big.mp4", "--dub", f"en={tmp_path / 'big.mp4'}", "--json", check=False)
        assert json.loads(done.stderr)["error"]["code"] == "disk.full", done.stderr
        assert not [path for path in small_disk.rglob("*") if path.is_file()]
        (tmp_path / "small.mp4").write_bytes(b"x" * 1000)  # and the farm goes on
        assert farm.submit(tmp_path / "small.mp4", {"en": tmp_path / "small.mp4"})
    finally:
        farm.stop()


def test_two_gigabytes_with_a_wrong_hash(farm):
    size, block = 2 << 30, bytes(1 << 20)
    if shutil.disk_usage(farm.data).free < 2 * size:
        pytest.skip("needs 4 GB of free disk")
    host, port = (farm.data / "address").read_text().strip().removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as wire:
        wire.sendall(f"PUT /v1/files/{'0' * 64} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n"
                     f"Authorization: Bearer {(farm.data / 'key').read_text().strip()}\r\n\r\n".encode())
        for _ in range(size // len(block)):
            wire.sendall(block)
        answer = wire.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 422") and "store.hash_mismatch" in answer, answer
    assert not [path for path in (farm.data / "store").rglob("*") if path.is_file()]
