"""mela recover on a farm whose Redis was emptied."""
import subprocess

from ..support.waiting import wait_for


def redis(farm, *command):
    done = subprocess.run(["redis-cli", "-s", farm.data / "redis/redis.sock", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wiped_farm_is_told_and_brought_back(farm):
    kept, cancelled = farm.submit("--name", "kept"), farm.submit("--name", "cancelled")
    farm.json("cancel", cancelled)
    redis(farm, "FLUSHALL")
    assert farm.json("list") == []
    dry = {c["id"]: c["state"] for c in farm.json("recover", "--dry-run")}
    assert dry == {kept: "running", cancelled: "cancelled"}
    assert farm.json("list") == []
    assert "running" in farm("recover").stdout
    assert [c["id"] for c in farm.json("list")] == [kept]
    assert [c["known"] for c in farm.json("recover", "--campaign", kept)] == [True]
    farm.error(4, "store.not_found", "recover", "--campaign", "nobody-0000000000")


def test_up_tells_that_redis_is_empty(farm):
    farm.submit("--name", "kept")
    assert farm.stop() == 0
    for file in (farm.data / "redis").rglob("*"):
        if file.is_file() and "aof" in file.name:
            file.unlink()
    farm.start()
    wait_for(lambda: "mela recover" in farm.log.read_text(), "the advice to recover")


def test_recover_needs_a_farm(mela):
    assert "--store" in mela.error(2, "usage", "recover")["message"]
