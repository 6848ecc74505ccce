"""Trouble around the farm: a Redis that goes away, a disk that is full, uploads that lie."""
import json
import os
import shutil
import socket
import subprocess

import pytest

from ..support.waiting import wait_for
from .farm_process import Farm
from .held import LONG
from .production import Production


@pytest.fixture
def held_production(tmp_path, held, monkeypatch):
    """Its worker's dubs are held."""
    for name, value in held.environment.items():
        monkeypatch.setenv(name, value)
    production = Production(tmp_path).start()
    yield production
    production.stop()


def test_redis_goes_away_in_mid_run_and_comes_back(held_production, clips, held):
    production = held_production
    farm = Farm(production.folder)  # the same client; its data directory holds address and key
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    production.redis.kill()
    assert production.status(f"/v1/campaigns/{campaign}") == 503
    assert production.error["code"] == "queue.unavailable"
    assert production.status("/healthz") == 200
    wait_for(lambda: production.status("/readyz") == 503, "the API to notice")
    production.start_redis()
    held.release()
    assert farm.wait(campaign)["state"] == "done"


def test_cancel_reaches_a_running_job_at_its_next_heartbeat(held_production, clips, held):
    """Beats are counted, not timed: behind the cancel a job's worker may ask once more, and learns it then. Meanwhile
    the dub is slow, and hears between two frames that it has to stop."""
    production = held_production
    held.hold(LONG)
    farm = Farm(production.folder)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3")
    held.wait()
    [job] = production.claimed("dub")
    with open(production.folder / "monitor", "wb") as out:
        monitor = subprocess.Popen(["redis-cli", "-p", str(production.redis_port), "monitor"], stdout=out)
    seen = lambda: (production.folder / "monitor").read_text(errors="replace")
    try:
        wait_for(lambda: f'"{job}"' in seen(), "a heartbeat")
        farm.run("cancel", campaign)
        production.redis.cli("echo", "cancelled by now")
        wait_for(lambda: "the campaign was cancelled" in production.log_of("worker"), "the worker to stop")
    finally:
        monitor.kill()
        monitor.wait()
    assert seen().split("cancelled by now")[1].count(f'"{{mela}}:" "{job}" "') <= 1
    assert farm.campaign(campaign)["state"] == "cancelled"


def test_the_limits_of_farm_json_reach_the_queue(tmp_path):
    production = Production(tmp_path)
    production.configure(failure={"dub": {"errors": 9, "longest_run_s": 60}})
    production.start("cpu")
    try:
        told = lambda: production.redis.cli("hget", "{mela}:failure", "dub") == "9 2000 300000 60000 3 10 5"
        wait_for(told, "the server to tell")
        production.redis.cli("del", "{mela}:failure")
        wait_for(told, "the server to tell again")
    finally:
        production.stop()


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
