"""Many small jobs on real workers under constant trouble: workers are killed, or stopped past their lease; their executors
misbehave (chaos_executor.c); some workers are ill, and some campaigns kill whatever does them; Redis is restarted, and wiped and
rebuilt from the store; what workers say to Redis and to the S3 server goes through proxies that do harm. At the end the auditor
(chaos_tool audit) reads Redis and the store. With `scaler` the campaigns come in waves, and KEDA's scaler is asked all the time
what it makes of them."""
import datetime
import fcntl
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
from ..support.waiting import wait_for
from .memory_s3 import MemoryS3
from .witness import Witness
from .workers import Executors, IllWorker, Worker, astray, clock_shifted_by

TOOL = BUILD / "tests/chaos/chaos_tool"
SHOW_JOBS = 6  # of a campaign of pictures, its sheet aside
WAVE_EVERY, STILL_EVERY = 1.0, 4.0  # seconds; with the scaler only
LOOK_EVERY = 0.5  # seconds, for what takes other programs to know
SKEW_MOST_S = 15 * 60  # S3's


def is_locked(folder):
    """Whether a live worker holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


class Chaos:
    def __init__(self, campaigns, segments, languages, workers, lease_ms=1000, job_ms=10, hurt_every=1.0, restart_every=15.0,
                 wipes=0, clocks_off_s=0, scaler=False, net_harm=0, store="folder", store_harm=0, misdeed_every=0, ill=(), bombs=0,
                 shows=0, seed=None, enough=lambda done: True):
        """`net_harm`: one piece of data in so many between workers and Redis meets a reset or a stall; `store_harm`: one
        request in so many to the store fails or stalls, if it is "s3", a real server, or "memory", a fast one; `misdeed_every`: one job in so many meets an
        executor that misbehaves. 0: none. `ill`: faults that one worker each falls ill of, beside the `workers`. `shows`: campaigns of
        pictures. While `enough`
        says that too little has been done to the farm, more campaigns are submitted: how long the first ones take depends on the
        machine."""
        self.__dict__.update({name: value for name, value in locals().items() if name not in ("self", "seed", "store")})
        self.random, self.seed = random.Random(seed), seed or random.randrange(2 ** 31)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mela-chaos-"))
        self.redis = RedisServer(self.folder, "--appendfsync", "everysec", persistence=SAVED)
        self.cli = self.redis.cli
        self.url, self.store, self.store_kind = self.redis.url, f"file://{self.folder}/store", store
        self.executors = Executors(self.folder / "executors", seed=self.seed, job_ms=job_ms, misdeed_every=misdeed_every,
                                   stillborn_every=20 if misdeed_every else 0)
        self.processes, self.stopped, self.names, self.ill_workers = {}, [], 0, []
        self.witness, self.submitted, self.denied_keys = None, 0, set()
        self.done = {"killed": 0, "stopped": 0, "restarts": 0, "wipes": 0, "retried": 0}
        self.worker_url, self.environment, self.worker_environment = self.url, dict(os.environ), dict(os.environ)
        self.redis_proxy = self.s3 = self.s3_proxy = None
        if net_harm:
            self.redis_proxy = TcpProxy(str(self.redis.socket), net_harm, stall_s=1.5 * lease_ms / 1000, seed=seed)
            self.worker_url = f"redis://127.0.0.1:{self.redis_proxy.port}"
        if store != "folder":
            self.start_s3()

    def start_s3(self):
        """The tools talk to the S3 server itself, the workers to a proxy before it."""
        if self.store_kind == "s3":
            self.s3 = s3_servers.start_any(self.folder)
            assert self.s3, "no S3 server: neither moto_server nor s3rver is here"
            self.s3_proxy = s3_servers.Proxy(self.s3.address)
        else:
            self.s3 = MemoryS3({})
            self.s3_proxy = MemoryS3(self.s3.objects)
        self.s3_proxy.server.handle_error = lambda request, address: None  # the killed do not listen
        self.s3_proxy.rules += [self.refuse_request, self.harm_request]
        self.store = "s3://bucket/chaos"
        keys = {"AWS_ACCESS_KEY_ID": self.s3.keys[0], "AWS_SECRET_ACCESS_KEY": self.s3.keys[1]}
        self.environment.update(keys, MELA_S3_ENDPOINT=f"http://{self.s3.address}")
        self.worker_environment.update(keys, MELA_S3_ENDPOINT=f"http://{self.s3_proxy.address}")
        self.done.update(store_harms={})

    def refuse_request(self, method, path, headers):
        """As S3 does: by the clock of who signed it, and by his key."""
        sent = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%S%z").timestamp()
        if abs(sent - time.time()) > SKEW_MOST_S:
            return 403, "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
        key = headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        return (403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>") if key in self.denied_keys else None

    def harm_request(self, method, path, headers):
        """What happens to a request: an error, no connection, no answer to what was done, half an answer, or a wait."""
        if not self.store_harm or self.random.random() * self.store_harm >= 1:
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

    def workers_alive(self):
        return json.loads(self.tool("workers"))

    def farm_options(self):
        return "--redis", self.worker_url, "--store", self.store

    def start_worker(self):
        self.names += 1
        name, environment = f"w{self.names}", self.worker_environment
        if self.clocks_off_s:
            shift = self.folder / f"{name}.shift"
            shift.write_text(str(self.clocks_off_s * (-1) ** self.names))  # one ahead, the next behind
            environment = {**environment, **clock_shifted_by(shift)}
        self.processes[name] = Worker(name, self.folder, self.executors, self.farm_options(), environment, self.lease_ms)

    def start_ill_workers(self):
        for kind in self.ill:
            self.ill_workers.append(IllWorker(self, kind, {"seed": self.seed, "job_ms": self.job_ms}, self.farm_options(),
                                              self.worker_environment, self.lease_ms))

    def replace_ended(self):
        """A worker that cannot reach Redis when it starts ends, and whoever started it does so again; none ends otherwise."""
        for name in [n for n, w in self.processes.items() if w.process.poll() is not None]:
            worker = self.processes.pop(name)
            self.stopped = [(n, due) for n, due in self.stopped if n != name]  # it was told to stop amid its end
            assert worker.said("[queue.unavailable]") and not worker.said("claimed"), \
                f"{name} ended: {worker.log.read_text()[-2000:]}"
            self.start_worker()

    # ---- trouble ----

    def awake(self):
        return [n for n in self.processes if n not in [s for s, _ in self.stopped]]

    def hurt_two(self):
        """Kills one worker and stops another past its lease; new ones take their places."""
        self.processes.pop(self.random.choice(self.awake())).kill()
        victim = self.random.choice(self.awake())
        self.processes[victim].process.send_signal(signal.SIGSTOP)
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
            self.processes[name].process.send_signal(signal.SIGCONT)
            extra = self.random.choice([n for n in self.awake() if n != name])
            time.sleep(0.05)
            self.processes.pop(extra).kill()

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
            self.processes[name].process.send_signal(signal.SIGSTOP)
        self.submit(1)
        self.witness.ask_at_rest(100)
        for name in still:
            self.processes[name].process.send_signal(signal.SIGCONT)
        self.done["stills"] = self.done.get("stills", 0) + 1

    # ---- the run ----

    def submit(self, most):
        count = min(most, self.campaigns - self.submitted)
        self.tool("submit", self.store, self.submitted, count, self.segments, self.languages)
        self.submitted += count

    def submit_others(self):
        if self.shows:
            self.tool("shows", self.store, self.shows, SHOW_JOBS // 3)
        if self.bombs:
            self.tool("bombs", self.store, 0, self.bombs, self.segments, self.languages)

    def running(self):
        """Campaigns not done; dead jobs are revived: a job may well have met three deaths that were not its fault. Counted before,
        since a job may die in between."""
        left = int(self.cli("zcard", "{mela}:campaigns") or 0) - int(self.cli("zcard", "{mela}:finished") or 0)
        retried = int(self.tool("retry"))
        self.done["retried"] += retried
        return left + retried

    def run(self):
        try:
            self.redis.start()
            for _ in range(self.workers):
                self.start_worker()
            self.start_ill_workers()
            if self.scaler:
                self.witness = Witness(self.folder, self.redis, self.store)
            started = time.monotonic()
            self.submit(1 if self.scaler else self.campaigns)
            self.submit_others()
            self.torment(started)
            self.settle()
            return self.report(started)
        finally:
            self.close()

    def torment(self, started):
        hurt, restart = started + self.hurt_every, started + self.restart_every
        wave, still, look = started + WAVE_EVERY, started + STILL_EVERY, started
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
            if now < look:
                time.sleep(0.05)
                continue
            look = now + LOOK_EVERY
            self.replace_ended()
            for worker in self.ill_workers:
                worker.step()
            if not wipes and self.submitted == self.campaigns and self.running() == 0:
                if self.is_enough():
                    return
                self.campaigns += 8
                self.submit(1 if self.scaler else 8)

    def is_enough(self):
        done = {**self.done, **(self.redis_proxy.done if self.redis_proxy else {})}
        return self.enough(done) and (not self.witness or self.witness.has_seen_enough()) and \
            all(worker.stage == "recovered" for worker in self.ill_workers)

    def settle(self):
        """Nothing is to do any more: those who were stopped wake, and idle workers have no files of jobs, no executor is left of
        one that was killed, and none is a zombie."""
        for name, _ in self.stopped:
            self.processes[name].process.send_signal(signal.SIGCONT)
        self.stopped = []
        wait_for(lambda: not self.left_behind(), "workers to tidy up")

    def left_behind(self):
        """Files of jobs in the folders of workers that live; executors that are nobody's, or zombies."""
        supervisors = {w.process.pid for w in [*self.processes.values(), *self.ill_workers]}
        folders = [self.folder / "work", *(self.folder / f"ill-{kind}/work" for kind in self.ill)]
        return [path for folder in folders for path in folder.glob("scratch/worker*/slot*/*") if is_locked(path.parents[1])] + \
astray(self.folder, supervisors)

    def wipe_within(self):
        jobs = self.campaigns * (1 + self.segments + len(self.languages.split()) * (self.segments + 1))
        return jobs * 2.2 * self.job_ms / 1000 / self.workers

    def report(self, started):
        seconds = time.monotonic() - started
        audit = json.loads(self.tool("audit", self.store, self.campaigns, self.bombs, self.shows))
        published = sum(self.published(f"chaos-{i}") for i in range(self.campaigns)) + \
            sum(self.published(f"show-{i}") for i in range(self.shows))
        result = {"seconds": round(seconds, 1), "campaigns": self.campaigns, **self.done, **(self.redis_proxy.done if self.redis_proxy else {}), **audit,
                  "published": published, "bombs": self.bombs, "shows": self.shows, "misdeeds": self.executors.misdeeds(), "ill": list(self.ill)}
        if self.witness:
            self.witness.stop()
            result["scaler"] = self.witness.judge()
            self.witness = None
        return result

    def close(self):
        if self.witness:
            self.witness.stop()
        for worker in [*self.processes.values(), *self.ill_workers]:
            worker.kill()
        self.redis.kill()
        for other in (self.redis_proxy and self.redis_proxy.close, self.s3_proxy and self.s3_proxy.stop, self.s3 and self.s3.stop):
            if other:
                other()
        shutil.rmtree(self.folder)


BOMB_ENDS = {"abort": "job.crashed", "hang": "job.timeout", "leak": "job.crashed", "refuse": "media.corrupt"}


def jobs_of(result, segments, languages):
    """How many the campaigns, and those of pictures, every second one with a sheet, must have had."""
    return result["campaigns"] * (1 + segments + languages * (segments + 1)) + result["shows"] * SHOW_JOBS + (result["shows"] + 1) // 2


def problems_of(result):
    """What the audit holds against the run."""
    problems = result["problems"] + [f"{f['where']}: {f['what']}" for f in result["findings"]]
    if result["published"] != result["jobs"]:
        problems.append(f"{result['published']} artifacts can be reached of {result['jobs']} jobs")
    if result["wipes"] == 0 and result["finished_by_totals"] != result["jobs"] + result["done_in_bombs"]:
        problems.append(f"{result['finished_by_totals']} finishes of {result['jobs']} jobs: not each was published once")
    if result["missing"] and not result["retried"] and not result["wipes"]:
        problems.append(f"{result['missing']} pictures are missing from sheets")
    if "scaler" in result:
        problems += [f"the scaler said what the rule does not: {wrong}" for wrong in result["scaler"]["wrong"]]
    for misdeed, ends in result["bomb_ends"].items():  # a killed worker is a crash of whatever it did
        if set(ends) - {BOMB_ENDS[misdeed]} - ({"job.crashed"} if result["killed"] else set()):
            problems.append(f"bombs whose jobs {misdeed} ended in {ends}")
    return problems
