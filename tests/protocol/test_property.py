"""Random sequences of every operation of the queue, on a clock moved by hand, against the oracle; hypothesis shrinks what
fails. MELA_EXAMPLES: how many sequences (default 150)."""
import json
import os
import pathlib
import subprocess

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test


from oracle import LIMITS, Oracle

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("MELA_BUILD", "build")
IDS, WORKERS = ["a", "b", "c"], ["w1", "w2", "w3", "w4"]
LANGUAGES, POOLS = [["hi"], ["hi", "ta"]], [["cpu"], ["lipsync"], ["lipsync", "cpu"]]
LEASES = [1000, 30_000]


class Tool:
    def __init__(self, url):
        self.process = subprocess.Popen([BUILD / "tests/protocol/queue_tool", url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def do(self, operation, **members):
        self.process.stdin.write(json.dumps({"do": operation, **members}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


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
        return {"languages": " ".join(campaign.languages), "segments": campaign.segments} if campaign else {}

    @rule(id=st.sampled_from(IDS), class_=st.sampled_from(["urgent", "batch"]), languages=st.sampled_from(LANGUAGES),
          segments=st.integers(1, 3))
    def submit(self, id, class_, languages, segments):
        answer = self.tool.do("submit", id=id, languages=" ".join(languages), segments=segments, **{"class": class_})
        assert (answer["error"], answer["created"]) == (None, self.oracle.submit(id, class_, languages, segments))

    @rule(worker=st.sampled_from(WORKERS), pools=st.sampled_from(POOLS), capacity=st.integers(1, 4),
          lease=st.sampled_from(LEASES))
    def claim(self, worker, pools, capacity, lease):
        claims = self.tool.do("claim", worker=worker, pools=pools, capacity=capacity, lease=lease)["claims"]
        self.oracle.expire()
        self.promote(pools)
        self.oracle.claim(worker, pools, capacity, lease, claims)
        self.held += [{"worker": worker, **claim} for claim in claims]

    def promote(self, pools):
        """When a delay ends is left to chance within bounds."""
        seen = {}
        for job in self.oracle.jobs():
            if job.state != "delayed" or job.pool not in pools or job.due[0] > self.oracle.now:
                continue
            if job.campaign.id not in seen:
                jobs = self.tool.do("look", id=job.campaign.id)["jobs"]
                seen[job.campaign.id] = {j["id"]: j["state"] for j in jobs}
            late = seen[job.campaign.id][job.id] == "delayed"
            assert not (late and job.due[1] <= self.oracle.now), f"{job.id} was due"
            if not late:
                job.state = "ready"

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
    @rule(data=st.data(), permanent=st.sampled_from([False, False, True]))
    def fail(self, data, permanent):
        held = self.any_held(data)
        assert self.error("fail", **held, permanent=permanent) == self.oracle.fail(held, permanent)

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
          more=st.integers(0, 3))
    def the_policy_changes(self, kind, errors, first, longest, run, workers, more):
        """Under jobs that have errors and crashes already, and run."""
        self.oracle.limits = {**self.oracle.limits, kind: (errors, first, longest, run, workers, workers + more)}
        assert self.error("failure", limits=self.oracle.limits) is None

    @precondition(lambda self: self.held)
    @rule()
    def redis_is_wiped(self):
        """What was claimed before is claimed by nobody, whatever attempts come again."""
        self.oracle.campaigns, self.oracle.limits = {}, LIMITS
        assert self.error("reset") is None and self.error("clock", ms=self.oracle.now) is None

    @rule(ms=st.sampled_from([1, 500, 1000, 5000, 400_000, 3 * 3600_000]))
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
            jobs = {j["id"]: (j["state"], j["attempt"], j["errors"], j["crashes"]) for j in seen["jobs"]}
            assert jobs == {j.id: (j.state, j.attempt, j.errors, j.crashes) for j in campaign.jobs.values()}
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
