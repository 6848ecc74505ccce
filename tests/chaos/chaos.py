"""Many small jobs on real processes under constant trouble: workers are killed, or stopped past their lease; Redis is
restarted, and wiped and rebuilt from the store; what workers say to Redis and to the S3 server goes through proxies that
do harm. At the end the auditor (chaos_tool audit) reads Redis and the store. With `scaler` the campaigns come in waves, and
KEDA's scaler is asked all the time what it makes of them."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from ..support import s3_servers
from ..support.paths import BUILD
from ..support.redis_server import SAVED, RedisServer
from ..support.tcp_proxy import TcpProxy
from .witness import Witness

TOOL = BUILD / "tests/chaos/chaos_tool"
WAVE_EVERY, STILL_EVERY = 1.0, 4.0  # seconds; with the scaler only


def clock_shifted_by(seconds):
    """What in its environment makes a program's clock be off."""
    environment = {"LD_PRELOAD": str(BUILD / "tests/chaos/shifted_clock.so"), "SHIFT_SECONDS": str(seconds)}
    shown = subprocess.run(["date", "+%s"], env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout
    assert abs(int(shown) - time.time() - seconds) < 60, "the clock could not be shifted"
    return environment


class Chaos:
    def __init__(self, campaigns, segments, languages, workers, lease_ms=1000, job_ms=10, hurt_every=1.0, restart_every=15.0,
                 wipes=0, clocks_off_s=0, scaler=False, net_harm=0, store_harm=0, seed=None, enough=lambda done: True,
                 say=lambda text: None):
        """`net_harm`: one piece of data in so many between workers and Redis meets a reset or a stall; `store_harm`: one
        request in so many to the store, which then is an S3 server, fails or stalls. 0: none. While `enough` says that too little
        has been done to the farm, more campaigns are submitted: how long the first ones take depends on the machine."""
        self.__dict__.update({name: value for name, value in locals().items() if name not in ("self", "seed")})
        self.random = random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mela-chaos-"))
        self.redis = RedisServer(self.folder, "--appendfsync", "everysec", persistence=SAVED)
        self.cli = self.redis.cli
        self.url, self.store = self.redis.url, f"file://{self.folder}/store"
        self.processes, self.stopped, self.names = {}, [], 0
        self.witness, self.submitted = None, 0
        self.done = {"killed": 0, "stopped": 0, "restarts": 0, "wipes": 0, "retried": 0}
        self.worker_url, self.environment, self.worker_environment = self.url, dict(os.environ), dict(os.environ)
        self.redis_proxy = self.s3 = self.s3_proxy = None
        if net_harm:
            self.redis_proxy = TcpProxy(str(self.redis.socket), net_harm, stall_s=1.5 * lease_ms / 1000, seed=seed)
            self.worker_url = f"redis://127.0.0.1:{self.redis_proxy.port}"
        if store_harm:
            self.start_s3()

    def start_s3(self):
        """The tools talk to the S3 server itself, the workers to a proxy before it."""
        self.s3 = s3_servers.start_any(self.folder)
        assert self.s3, "no S3 server: neither moto_server nor s3rver is here"
        self.s3_proxy = s3_servers.Proxy(self.s3.address)
        self.s3_proxy.server.handle_error = lambda request, address: None  # the killed do not listen
        self.s3_proxy.rules.append(self.harm_request)
        self.store = "s3://bucket/chaos"
        keys = {"AWS_ACCESS_KEY_ID": self.s3.keys[0], "AWS_SECRET_ACCESS_KEY": self.s3.keys[1]}
        self.environment.update(keys, MELA_S3_ENDPOINT=f"http://{self.s3.address}")
        self.worker_environment.update(keys, MELA_S3_ENDPOINT=f"http://{self.s3_proxy.address}")
        self.done.update(store_harms={})

    def harm_request(self, method, path):
        """What happens to a request: an error, no connection, no answer to what was done, half an answer, or a wait."""
        if self.random.random() * self.store_harm >= 1:
            return None
        name, harm = self.random.choice([("503", (503, "<Error><Code>SlowDown</Code></Error>")), ("500", (500, "")), ("drop", "drop"),
                                         ("lose", "lose"), ("cut", ("cut", 3)), ("stall", None)])
        self.done["store_harms"][name] = self.done["store_harms"].get(name, 0) + 1
        if name == "stall":
            time.sleep(self.random.uniform(0, 1.5 * self.lease_ms / 1000))
        return harm

    # ---- processes ----

    def published(self, campaign):
        """How many of its jobs have an artifact."""
        return self.cli("hkeys", f"{{mela}}:campaign:{campaign}:results").count(":artifact")

    def tool(self, command, *arguments):
        done = subprocess.run([TOOL, command, self.url, *map(str, arguments)], capture_output=True, text=True,
                              env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(self):
        self.names += 1
        name = f"w{self.names}"
        shift = self.clocks_off_s * (-1) ** self.names  # one ahead, the next behind
        with open(self.folder / "workers.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [TOOL, "work", self.worker_url, self.store, name, str(self.lease_ms), str(self.job_ms)], stderr=log,
                env={**self.worker_environment, **(clock_shifted_by(shift) if shift else {})})

    # ---- trouble ----

    def awake(self):
        return [n for n in self.processes if n not in [s for s, _ in self.stopped]]

    def hurt_two(self):
        """Kills one worker and stops another past its lease; new ones take their places."""
        victim = self.random.choice(self.awake())
        self.processes[victim].kill()
        self.processes.pop(victim).wait()
        victim = self.random.choice(self.awake())
        self.processes[victim].send_signal(signal.SIGSTOP)
        self.stopped.append((victim, time.monotonic() + 2.5 * self.lease_ms / 1000))
        self.start_worker()
        self.start_worker()
        self.done["killed"] += 1
        self.done["stopped"] += 1

    def wake_stopped(self):
        """They go on where they were, as zombies, and work on as anybody; as many as before are kept."""
        for name, due in list(self.stopped):
            if time.monotonic() < due:
                continue
            self.stopped.remove((name, due))
            self.processes[name].send_signal(signal.SIGCONT)
            extra = self.random.choice([n for n in self.awake() if n != name])
            time.sleep(0.05)
            self.processes[extra].kill()
            self.processes.pop(extra).wait()

    def restart_redis(self):
        self.random.choice([self.redis.kill, self.redis.stop])()
        self.redis.start()
        self.done["restarts"] += 1

    def wipe(self):
        assert self.cli("flushall") == "OK"
        self.recover()
        self.done["wipes"] += 1

    def mela(self, *arguments):
        done = subprocess.run([BUILD / "mela", *arguments, "--json", "--redis", self.url], capture_output=True, text=True,
                              cwd=self.folder, env=self.environment)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def recover(self):
        self.mela("recover", "--store", self.store)

    def check(self):
        return self.mela("queue", "check")

    def stand_still(self):
        """In the middle of a wave no worker moves for so long that the scaler must know all of what is counted now, and has said it
        often enough. The last campaign is submitted when none moves, so that there is work to count."""
        self.submit(min(self.random.randint(1, 7), self.campaigns - self.submitted - 1))
        time.sleep(self.random.uniform(0.1, 0.6))
        still = self.awake()
        for name in still:
            self.processes[name].send_signal(signal.SIGSTOP)
        self.submit(1)
        self.witness.ask_at_rest(100)
        for name in still:
            self.processes[name].send_signal(signal.SIGCONT)
        self.done["stills"] = self.done.get("stills", 0) + 1

    # ---- the run ----

    def submit(self, most):
        count = min(most, self.campaigns - self.submitted)
        self.tool("submit", self.store, self.submitted, count, self.segments, self.languages)
        self.submitted += count

    def running(self):
        """Campaigns not done; dead jobs are revived: a job may well have met three deaths that were not its fault."""
        retried = int(self.tool("retry"))
        self.done["retried"] += retried
        return int(self.cli("zcard", "{mela}:campaigns") or 0) - int(self.cli("zcard", "{mela}:finished") or 0) + retried

    def run(self):
        try:
            self.redis.start()
            for _ in range(self.workers):
                self.start_worker()
            if self.scaler:
                self.witness = Witness(self.folder, self.redis, self.store)
            started = time.monotonic()
            self.submit(1 if self.scaler else self.campaigns)
            self.torment(started)
            return self.report(started)
        finally:
            self.close()

    def torment(self, started):
        hurt, restart = started + self.hurt_every, started + self.restart_every
        wave, still = started + WAVE_EVERY, started + STILL_EVERY
        wipes = [started + self.random.uniform(0.2, 0.9) * self.wipe_within() for _ in range(self.wipes)]
        while True:
            now = time.monotonic()
            self.wake_stopped()
            if now >= hurt:
                self.hurt_two()
                hurt = now + self.hurt_every
            if now >= restart:
                self.restart_redis()
                restart = time.monotonic() + self.restart_every
            if self.scaler and now >= wave and self.submitted < self.campaigns:
                self.submit(self.random.randint(1, 6))
                wave = now + WAVE_EVERY
            if self.scaler and now >= still and self.submitted < self.campaigns:
                self.stand_still()
                still = time.monotonic() + STILL_EVERY
            if wipes and now >= min(wipes):
                wipes.remove(min(wipes))
                self.wipe()
            for name in [n for n, p in self.processes.items() if p.poll() is not None]:
                raise AssertionError(f"{name} ended: {(self.folder / 'workers.log').read_text()[-2000:]}")
            if not wipes and self.submitted == self.campaigns and self.running() == 0:
                if self.is_enough():
                    return
                self.campaigns += 8
                self.submit(1 if self.scaler else 8)
            time.sleep(0.05)

    def is_enough(self):
        done = {**self.done, **(self.redis_proxy.done if self.redis_proxy else {})}
        return self.enough(done) and (not self.witness or self.witness.has_seen_enough())

    def wipe_within(self):
        jobs = self.campaigns * (1 + self.segments + len(self.languages.split()) * (self.segments + 1))
        return jobs * 2.2 * self.job_ms / 1000 / self.workers

    def report(self, started):
        seconds = time.monotonic() - started
        audit = json.loads(self.tool("audit", self.store, self.campaigns))
        published = sum(self.published(f"chaos-{i}") for i in range(self.campaigns))
        result = {"seconds": round(seconds, 1), "campaigns": self.campaigns, **self.done, **(self.redis_proxy.done if self.redis_proxy else {}), **audit,
                  "published": published}
        if self.witness:
            self.witness.stop()
            result["scaler"] = self.witness.judge()
            self.witness = None
        return result

    def close(self):
        if self.witness:
            self.witness.stop()
        for process in [*self.processes.values(), self.redis.process]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        for other in (self.redis_proxy and self.redis_proxy.close, self.s3_proxy and self.s3_proxy.stop, self.s3 and self.s3.stop):
            if other:
                other()
        shutil.rmtree(self.folder)


def problems_of(result):
    """What the audit holds against the run."""
    problems = result["problems"] + [f"{f['where']}: {f['what']}" for f in result["findings"]]
    if result["published"] != result["jobs"]:
        problems.append(f"{result['published']} artifacts can be reached of {result['jobs']} jobs")
    if result["wipes"] == 0 and result["finished_by_totals"] != result["jobs"]:
        problems.append(f"{result['finished_by_totals']} finishes of {result['jobs']} jobs: not each was published once")
    if "scaler" in result:
        problems += [f"the scaler said what the rule does not: {wrong}" for wrong in result["scaler"]["wrong"]]
    return problems
