"""Redis is busy, full, stopped, gone, or somewhere else: an idle worker and the API find it again, and the next job is done.
The worker takes the CPU pool's jobs, so that a campaign's plan tells whether it hears."""
import json
import signal
import subprocess
import time

import pytest

from ..support.network import free_port
from ..support.redis_server import SAVED, RedisServer
from ..support.tcp_proxy import TcpProxy
from ..support.waiting import wait_for
from .farm_process import Farm
from .production import Production

LEASE_S = 30


class Trouble:
    """Production around a Redis behind a proxy."""

    def __init__(self, folder, clips):
        self.clips = clips
        self.redis = RedisServer(folder / "redis", persistence=SAVED, address="127.0.0.1").start()
        self.proxy = TcpProxy(("127.0.0.1", self.redis.port))
        self.production = Production(folder, f"redis://127.0.0.1:{self.proxy.port}").start("cpu")
        self.farm = Farm(folder)

    def next_job_is_done(self):
        """Both programs hear of a new campaign: the API takes it, the idle worker plans it within a lease."""
        done = wait_for(lambda: (d := self.farm.run("submit", "--video", self.clips / "talk.mp4", "--dub",
                                                    f"en={self.clips / 'en.wav'}", "--json", check=False)).returncode == 0 and d,
                        "the API to take a campaign")
        campaign = json.loads(done.stdout)["id"]
        wait_for(lambda: [j for j in self.farm.jobs(campaign) if j["id"] == f"{campaign}/plan" and j["state"] == "done"],
                 "the plan", LEASE_S)

    def api_says_unavailable(self):
        assert self.production.status("/v1/campaigns/none") == 503
        assert self.production.error["code"] == "queue.unavailable"

    def close(self):
        self.redis.process.send_signal(signal.SIGCONT)
        self.production.stop()
        self.proxy.close()
        self.redis.kill()


@pytest.fixture
def trouble(tmp_path, clips):
    trouble = Trouble(tmp_path, clips)
    yield trouble
    trouble.close()


def test_busy_is_waited_out_and_kills_no_script(trouble):
    trouble.redis.cli("config", "set", "lua-time-limit", "100")
    script = "for i = 1, 4e8 do end redis.call('SET', 'unhurt', '1')"
    busy = subprocess.Popen(["redis-cli", "-p", str(trouble.redis.port), "eval", script, "0"], stdout=subprocess.DEVNULL)
    wait_for(lambda: "BUSY" in trouble.redis.cli("ping"), "a busy Redis")
    trouble.api_says_unavailable()
    assert "BUSY" in trouble.production.error["message"]
    assert busy.wait(60) == 0
    assert trouble.redis.cli("get", "unhurt") == "1"
    trouble.next_job_is_done()


def test_full_memory_is_waited_out(trouble):
    trouble.redis.cli("config", "set", "maxmemory", "1")
    done = trouble.farm.run("submit", "--video", trouble.clips / "talk.mp4", "--dub", f"en={trouble.clips / 'en.wav'}", "--json",
                            check=False)
    assert json.loads(done.stderr)["error"]["code"] == "queue.unavailable", done.stderr
    wait_for(lambda: "OOM" in trouble.production.log_of("worker"), "the worker to meet the full memory")
    trouble.redis.cli("config", "set", "maxmemory", "0")
    trouble.next_job_is_done()


def test_a_stall_of_ten_seconds_is_waited_out(trouble):
    trouble.redis.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    trouble.api_says_unavailable()
    time.sleep(max(0, 10 - (time.monotonic() - began)))
    trouble.redis.process.send_signal(signal.SIGCONT)
    trouble.next_job_is_done()


def test_a_peer_that_vanished_without_an_end_is_left(trouble):
    trouble.proxy.silence()
    trouble.next_job_is_done()
    assert "no answer within the time limit" in trouble.production.log_of("worker")


def test_nobody_spins_while_redis_is_away(trouble):
    """At most twenty attempts to connect a second: a slow machine takes longer for twenty."""
    trouble.proxy.refuse()
    wait_for(lambda: "waiting for Redis" in trouble.production.log_of("worker"), "the worker to notice")
    before, began = trouble.proxy.accepted, time.monotonic()
    wait_for(lambda: trouble.proxy.accepted >= before + 20, "twenty attempts")
    assert time.monotonic() - began >= 1
    trouble.proxy.refuse(False)
    trouble.next_job_is_done()


class Moved(Trouble):
    """Primary and replica at two addresses, and a name that stands for the primary's."""

    def __init__(self, folder, clips):
        self.clips, port = clips, free_port("127.0.0.2")
        self.primary = RedisServer(folder / "primary", persistence=SAVED, address="127.0.0.2", port=port).start()
        self.replica = RedisServer(folder / "replica", "--replicaof", "127.0.0.2", port, persistence=SAVED, address="127.0.0.3",
                                   port=port).start()
        self.hosts = folder / "hosts"
        self.name_stands_for("127.0.0.2")
        # A file of hosts of their own.
        prefix = ["unshare", "--mount", "sh", "-c", f"mount --make-rprivate / && mount --bind {self.hosts} /etc/hosts && exec \"$@\"",
                  "sh"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
            self.close_servers()
            pytest.skip("needs the right to mount a file of hosts of its own")
        self.production = Production(folder, f"redis://the-queue:{port}", prefix).start("cpu")
        self.farm = Farm(folder)

    def name_stands_for(self, address):
        with open(self.hosts, "w") as file:  # in place: it is mounted
            file.write(f"127.0.0.1 localhost\n{address} the-queue\n")

    def promote(self):
        wait_for(lambda: "master_link_status:up" in self.replica.cli("info", "replication"), "the replica")
        wait_for(lambda: self.replica.cli("dbsize") == self.primary.cli("dbsize"), "the replica to catch up")
        self.replica.cli("replicaof", "no", "one")

    def close_servers(self):
        self.primary.kill()
        self.replica.kill()

    def close(self):
        self.production.stop()
        self.close_servers()


@pytest.fixture
def moved(tmp_path, clips):
    moved = Moved(tmp_path, clips)
    yield moved
    moved.close()


def test_failover_to_a_replica_at_a_new_address(moved):
    moved.next_job_is_done()
    moved.promote()
    moved.primary.kill()
    moved.name_stands_for("127.0.0.3")
    moved.next_job_is_done()


def test_a_primary_that_became_a_replica_is_left(moved):
    """The old address answers still, but takes no writes; who blocked there is sent away."""
    moved.promote()
    moved.name_stands_for("127.0.0.3")
    moved.primary.cli("replicaof", "127.0.0.3", moved.replica.port)
    moved.next_job_is_done()
    assert "internal" not in moved.production.log_of("worker")
