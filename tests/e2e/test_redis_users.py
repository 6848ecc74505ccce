"""Each program as its own user of Redis, with the rights of deploy/redis/users.acl and no others."""
import re
import subprocess

import pytest

from ..support.network import free_port
from ..support.paths import BUILD, ROOT
from ..support.redis_server import RedisServer
from ..support.waiting import wait_for
from .farm_process import Farm
from .production import Production

RULES = ROOT / "deploy/redis/users.acl"
USERS = ("mela-serve", "mela-worker")
NEVER = ["flushall", "flushdb", "keys *", "config get maxmemory-policy", "config set maxmemory-policy allkeys-lru", "shutdown",
         "acl list", "client list", "monitor", "replicaof no one", "eval return 0", "script flush", "save", "publish a b", "get other",
         "hgetall {other}:campaigns", "lpush {mela}:x a", "rename {mela}:a {mela}:b", "randomkey", "dbsize", "swapdb 0 1", "module list"]


@pytest.fixture
def redis(tmp_path):
    """A Redis with the farm's users, whose passwords are their names, and the tests' own, who may do all."""
    lines = [f"{line} >{line.split()[1]}" for line in RULES.read_text(encoding="ascii").splitlines()]
    rules = tmp_path / "users.acl"
    rules.write_text("\n".join(["user default on nopass ~* &* +@all", *lines, ""]), encoding="ascii")
    redis = RedisServer(tmp_path / "redis", "--aclfile", rules, address="127.0.0.1", port=free_port()).start()
    yield redis
    redis.stop()


def url(redis, user):
    return redis.url.replace("redis://", f"redis://{user}:{user}@")


def refusals(redis):
    return redis.cli("acl", "log")


def mela(redis, *arguments):
    """What an operator runs in a pod of the API."""
    done = subprocess.run([BUILD / "mela", *map(str, arguments), "--redis", url(redis, "mela-serve")], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_farm_needs_no_other_rights(redis, clips, tmp_path):
    production = Production(tmp_path, url(redis, "mela-serve"), worker_redis_url=url(redis, "mela-worker"))
    production.start()
    try:
        farm = Farm(tmp_path)
        campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
        assert farm.wait(campaign)["state"] == "done"
        other = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
        farm.run("cancel", other)
        for path in ("/readyz", "/metrics", "/v1/workers", "/v1/workers/history", "/v1/dead", "/v1/pools/cpu/desired",
                     f"/v1/campaigns/{campaign}/trace", f"/v1/campaigns/{campaign}/jobs"):
            assert production.status(path) == 200, path
        wait_for(lambda: b"\nmela_queue_up 1\n" in farm.api("/metrics"), "the metrics")
        mela(redis, "queue", "stats")
        mela(redis, "queue", "check")
        mela(redis, "recover", "--store", f"file://{tmp_path}/store")
    finally:
        production.stop()
    assert refusals(redis) == ""


def test_the_rules_have_every_command_of_the_scripts():
    """A script whose command is refused halfway is not undone."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src/queue/script").rglob("*.lua")]
    used = {f"+{name.lower()}" for text in texts for name in re.findall(r"call\(\s*['\"](\w+)", text)}
    assert len(used) > 20
    for line in RULES.read_text(encoding="ascii").splitlines():
        assert used <= set(line.split()), used - set(line.split())


@pytest.mark.parametrize("user", USERS)
def test_what_no_program_may(redis, user):
    as_user = ("--user", user, "--pass", user, "--no-auth-warning")
    assert redis.cli(*as_user, "ping") == "PONG"
    for command in NEVER:
        assert redis.cli(*as_user, *command.split(" ")).startswith("NOPERM"), command


def test_a_user_without_info_is_told_and_served(redis):
    """Rights that somebody else wrote."""
    redis.cli("acl", "setuser", "mela-serve", "-info")
    done = subprocess.run([BUILD / "mela", "queue", "check", "--redis", url(redis, "mela-serve")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "may not ask INFO" in done.stderr, done.stderr
