"""Random sequences of every operation of the queue, on a clock moved by hand, against the oracle; hypothesis shrinks what
fails. MELA_EXAMPLES: how many sequences (default 150)."""
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (RuleBasedStateMachine, initialize, invariant, precondition, rule,
                                 run_state_machine_as_test)

from .oracle import LIMITS, Oracle, affinity_of
from .queue_tool import Tool

IDS, WORKERS = ["a", "b", "c"], ["w1", "w2", "w3", "w4"]
LANGUAGES, ALL = ["hi", "hi ta"], ["lipsync", "cpu", "image"]
POOLS = [["cpu"], ["lipsync"], ["image"], ["lipsync", "cpu"], ALL]
LORAS = ["a", "a b", "b a b", "a a b c"]
HOLDS = [None, [], ["a"], ["b", "a"], ["c"]]
LEASES = [1000, 30_000]
WAITERS = [("w1", ALL, None), ("w2", ["cpu"], "batch"), ("w3", ALL, "urgent"), ("w4", ["lipsync", "image"], None)]
CLASSES = {None: ["urgent", "batch"], "urgent": ["urgent"], "batch": ["batch"]}


class Waiter:
    """A worker that claims, and blocks when there is nothing. Awake it is on its way to claim; blocked, until a marker of
    its pools and classes, or the time at which its look said that something may be due."""

    def __init__(self, name, pools, only, holds=None):
        self.holds = None if holds is None else [affinity_of(lora) for lora in holds]
        self.asks = {"worker": name, "pools": pools, "only": only or "", **({} if holds is None else {"holds": self.holds})}
        self.pools, self.classes = pools, CLASSES[only]
        self.lanes = [f"{pool}:{class_}" for pool in pools for class_ in CLASSES[only]]
        self.until = None

    def watches(self, job):
        return job.pool in self.pools and job.campaign.class_ in self.classes


class QueueMachine(RuleBasedStateMachine):
    tool = None

    def __init__(self):
        super().__init__()
        self.oracle, self.held = Oracle(), []
        assert self.tool.do("reset")["error"] is None

    def error(self, operation, **members):
        return self.tool.do(operation, **members)["error"]

    def shape(self, id):
        campaign = self.oracle.campaigns.get(id)
        return campaign.shape if campaign else {}

    @rule(id=st.sampled_from(IDS), class_=st.sampled_from(["urgent", "batch"]), languages=st.sampled_from(LANGUAGES),
          segments=st.integers(1, 3))
    def submit_dubs(self, id, class_, languages, segments):
        self.submit(id, class_, {"languages": languages, "segments": segments})

    @rule(id=st.sampled_from(IDS), class_=st.sampled_from(["urgent", "batch"]), loras=st.sampled_from(LORAS), sheet=st.booleans())
    def submit_images(self, id, class_, loras, sheet):
        self.submit(id, class_, {"loras": loras, "sheet": sheet})

    def submit(self, id, class_, shape):
        answer = self.tool.do("submit", id=id, **shape, **{"class": class_})
        assert (answer["error"], answer["created"]) == (None, self.oracle.submit(id, class_, shape))

    @rule(worker=st.sampled_from(WORKERS), pools=st.sampled_from(POOLS), capacity=st.integers(1, 4),
          lease=st.sampled_from(LEASES), only=st.sampled_from(list(CLASSES)), holds=st.sampled_from(HOLDS))
    def claim(self, worker, pools, capacity, lease, only, holds=None):
        self.claim_by(Waiter(worker, pools, only, holds), capacity, lease)

    def claim_by(self, waiter, capacity, lease):
        return self.follow(waiter, self.tool.do("claim", **waiter.asks, capacity=capacity, lease=lease)["claims"], capacity, lease)

    def follow(self, waiter, claims, capacity, lease):
        self.oracle.expire()
        self.promote(waiter)
        worker = waiter.asks["worker"]
        self.oracle.claim(worker, waiter.pools, waiter.classes, waiter.holds, capacity, lease, claims)
        self.held += [{"worker": worker, **claim} for claim in claims]
        return claims

    @initialize(order=st.permutations(WAITERS))
    def some_wait_from_the_start(self, order):
        self.busy, self.awake, self.blocked = [], [], []
        for waiter in order:
            self.look(Waiter(*waiter))

    @precondition(lambda self: self.busy)
    @rule()
    def a_busy_worker_becomes_idle(self):
        self.look(self.busy.pop(0))

    def look(self, waiter):
        if self.tool.do("wait", **waiter.asks, lease=LEASES[0])["ready"]:
            self.awake.append(waiter)
            return
        ends = [job.until for job in self.oracle.jobs() if job.state == "leased"]
        ends += [job.due[1] for job in self.oracle.jobs() if job.state == "delayed" and waiter.watches(job)]
        waiter.until = min([self.oracle.now + LEASES[0], *ends])
        self.blocked.append(waiter)

    @precondition(lambda self: self.awake)
    @rule()
    def a_woken_worker_claims(self):
        waiter = self.awake.pop(0)
        claims = self.claim_by(waiter, 1, LEASES[0])
        if claims:
            waiter.held = claims[0]
            self.busy.append(waiter)
        else:
            self.look(waiter)

    @precondition(lambda self: self.busy)
    @rule()
    def a_busy_worker_finishes_and_claims(self):
        waiter = self.busy.pop(0)
        answer = self.tool.do("finish", **waiter.asks, **waiter.held, capacity=1, lease=LEASES[0],
                              **self.shape(waiter.held["job"].split("/")[0]))
        held = {"worker": waiter.asks["worker"], **waiter.held}
        known = self.oracle.is_done(held)
        assert answer["error"] == self.oracle.finish(held)
        if not known and answer["error"] is None and self.follow(waiter, answer["claims"], 1, LEASES[0]):
            waiter.held = answer["claims"][0]
            self.busy.append(waiter)
        else:
            assert not answer["claims"]
            self.look(waiter)

    @invariant()
    def nobody_sleeps_beside_a_job(self):
        for waiter in list(self.blocked):
            woken = self.oracle.now >= waiter.until or self.tool.do("take_marker", lanes=waiter.lanes)["taken"]
            if woken:
                self.blocked.remove(waiter)
                self.awake.append(waiter)
        for job in self.oracle.jobs():
            due = job.state == "ready" or job.state == "delayed" and job.due[1] <= self.oracle.now
            if due and any(waiter.watches(job) for waiter in self.blocked):
                assert any(waiter.watches(job) for waiter in self.awake), f"{job.id} waits, and who could run it sleeps"
            if job.state == "leased" and job.until <= self.oracle.now:
                assert self.awake or not self.blocked, f"nobody will see that the lease of {job.id} ran out"

    def promote(self, waiter):
        """When a delay ends is left to chance within bounds."""
        seen = {}
        for job in self.oracle.jobs():
            if job.state != "delayed" or not waiter.watches(job) or job.due[0] > self.oracle.now:
                continue
            if job.campaign.id not in seen:
                jobs = self.tool.do("look", id=job.campaign.id)["jobs"]
                seen[job.campaign.id] = {j["id"]: j["state"] for j in jobs}
            late = seen[job.campaign.id][job.id] == "delayed"
            assert not (late and job.due[1] <= self.oracle.now), f"{job.id} was due"
            if not late:
                job.make_ready()

    def any_held(self, data):
        """Mostly the latest claims, so that campaigns get somewhere; also those of long ago."""
        return self.held[-1 - data.draw(st.integers(0, len(self.held) - 1))]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish(self, data):
        held = self.any_held(data)
        assert self.error("finish", **held, **self.shape(held["job"].split("/")[0])) == self.oracle.finish(held)

    @precondition(lambda self: self.held)
    @rule(number=st.integers(1, 4))
    def finish_latest(self, number):
        for held in self.held[-number:]:
            assert self.error("finish", **held, **self.shape(held["job"].split("/")[0])) == self.oracle.finish(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), fault=st.sampled_from(["world", "worker", "world", "worker", "input"]))
    def fail(self, data, fault):
        held = self.any_held(data)
        assert self.error("fail", **held, fault=fault) == self.oracle.fail(held, fault)

    @precondition(lambda self: self.held)
    @rule(fault=st.sampled_from(["world", "worker"]), times=st.integers(2, 20), takers=st.integers(1, 3), alive=st.integers(0, 4))
    def a_job_fails_again_and_again(self, fault, times, takers, alive):
        """On some workers in turn, whenever it is due, while so many live."""
        job = self.held[-1]["job"]
        for number in range(times):
            held = next(h for h in reversed(self.held) if h["job"] == job)
            assert self.error("fail", **held, fault=fault) == self.oracle.fail(held, fault)
            self.time_passes(400_000)
            for worker in WORKERS[:alive]:
                self.beat(worker)
            self.claim(WORKERS[number % takers], ALL, 16, 30_000, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def crash(self, data):
        held = self.any_held(data)
        assert self.error("crash", **held) == self.oracle.crash(held)

    @rule(worker=st.sampled_from(WORKERS))
    def beat(self, worker):
        assert self.error("beat", worker=worker) is None
        self.oracle.beat(worker)

    @rule(worker=st.sampled_from(WORKERS))
    def gone(self, worker):
        assert self.error("gone", worker=worker) is None
        self.oracle.gone(worker)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data):
        held = self.any_held(data)
        assert self.error("release", **held) == self.oracle.release(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), lease=st.sampled_from(LEASES))
    def heartbeat(self, data, lease):
        held = self.any_held(data)
        assert self.error("heartbeat", **held, lease=lease) == self.oracle.heartbeat(held, lease)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), thief=st.sampled_from(WORKERS))
    def another_worker_with_the_same_stamp(self, data, thief):
        held = {**self.any_held(data), "worker": thief}
        assert self.error("release", **held) == self.oracle.release(held)

    @rule(id=st.sampled_from(IDS))
    def cancel(self, id):
        assert self.error("cancel", id=id) == self.oracle.cancel(id)

    @precondition(lambda self: any(j.state == "dead" for j in self.oracle.jobs()))
    @rule(data=st.data())
    def retry(self, data):
        job = data.draw(st.sampled_from(sorted(j.id for j in self.oracle.jobs() if j.state in ("dead", "done"))))
        assert self.error("retry", job=job) == self.oracle.retry(job)

    @rule(keep=st.sampled_from([0, 3600_000]))
    def sweep(self, keep):
        assert self.error("sweep", keep=keep) is None
        self.oracle.sweep(keep)

    @rule(kind=st.sampled_from(sorted(LIMITS)), errors=st.integers(1, 6), first=st.sampled_from([1, 2000, 10_000]),
          longest=st.sampled_from([10_000, 300_000]), run=st.sampled_from([1000, 7200_000]), workers=st.integers(1, 4),
          more=st.integers(0, 3), refusals=st.integers(1, 6))
    def the_policy_changes(self, kind, errors, first, longest, run, workers, more, refusals):
        """Under jobs that have errors and crashes already, and run."""
        self.oracle.limits = {**self.oracle.limits, kind: (errors, first, longest, run, workers, workers + more, refusals)}
        assert self.error("failure", limits=self.oracle.limits) is None

    @precondition(lambda self: self.held)
    @rule()
    def redis_is_wiped(self):
        """What was claimed before is claimed by nobody, whatever attempts come again."""
        self.oracle.campaigns, self.oracle.limits, self.oracle.beats = {}, LIMITS, {}
        assert self.error("reset") is None and self.error("clock", ms=self.oracle.now) is None

    @rule(ms=st.sampled_from([1, 500, 1000, 5000, 16_000, 400_000, 3 * 3600_000]))
    def time_passes(self, ms):
        self.oracle.now += ms
        assert self.error("clock", ms=self.oracle.now) is None

    @invariant()
    def redis_is_as_it_should_be(self):
        for id in IDS:
            seen, campaign = self.tool.do("look", id=id), self.oracle.campaigns.get(id)
            if not campaign:
                assert seen["error"] == "queue.not_found", id
                continue
            assert seen["campaign"]["state"] == campaign.state
            jobs = {j["id"]: (j["state"], j["attempt"], j["errors"], j["refusals"], j["crashes"], j.get("affinity")) for j in seen["jobs"]}
            assert jobs == {j.id: (j.state, j.attempt, j.errors, j.refusals, j.crashes, j.affinity) for j in campaign.jobs.values()}
            states = [state for state, *_ in jobs.values()]
            assert seen["campaign"]["jobs"] == {s: states.count(s) for s in seen["campaign"]["jobs"]}

    @invariant()
    def the_audit_finds_nothing(self):
        findings = self.tool.do("check")["findings"]
        assert [f for f in findings if f["where"] != "test_clock"] == []


def test_the_queue_does_what_the_oracle_says(redis_url):
    QueueMachine.tool = Tool(redis_url)
    try:
        run_state_machine_as_test(QueueMachine, settings=settings(
            max_examples=int(os.environ.get("MELA_EXAMPLES", "150")), stateful_step_count=40, deadline=None, database=None,
            suppress_health_check=list(HealthCheck)))
    finally:
        QueueMachine.tool.close()
