"""One worker of small jobs, and an executor that does one thing wrong until it is told to stop that."""
import json
import signal

import pytest

from ..support.waiting import wait_for
from .chaos import Chaos
from .workers import IllWorker, Worker, clock_shifted_by


class Farm(Chaos):
    """Redis, a store, and one campaign, chaos-0, of jobs that take about `job_ms`."""

    def __init__(self, job_ms=10, segments=2, **options):
        super().__init__(campaigns=1, segments=segments, languages="hi", workers=0, job_ms=job_ms, **options)

    def start(self):
        self.redis.start()
        self.submit(1)
        return self

    def worker(self, *options, environment=None):
        self.processes["w"] = Worker("w", self.folder, self.executors, (*self.farm_options(), *options),
                                     {**self.worker_environment, **(environment or {})}, 2000)
        return self.processes["w"]

    def job(self, suffix):
        """What Redis knows of a job."""
        words = self.cli("hgetall", f"{{mela}}:job:chaos-0/{suffix}").split("\n")
        return dict(zip(words[::2], words[1::2]))

    def is_done(self):
        return self.cli("hget", "{mela}:campaign:chaos-0", "state") == "done"


@pytest.fixture
def farm():
    farm = Farm()
    yield farm.start()
    farm.close()


@pytest.mark.parametrize("misdeed, counted", [("garble", "errors"), ("idle", "errors"), ("link", "errors"), ("flood", "crashes"),
                                              ("babble", "crashes"), ("twice", None), ("lie", None)])
def test_a_misdeed_costs_an_attempt_at_most(farm, misdeed, counted):
    """Above all, nothing that stays: a plan that nobody can read, or a report of megabytes in Redis."""
    farm.executors.set(misdeed=misdeed)
    farm.worker()
    if counted:
        wait_for(lambda: int(farm.job("plan").get(counted, 0)) > 0, "a failure")
        farm.executors.set(misdeed=None)
    wait_for(farm.is_done, "the campaign")
    assert int(farm.cli("hstrlen", "{mela}:campaign:chaos-0:results", "plan")) < 10_000
    audit = json.loads(farm.tool("audit", farm.store, 1, 0, 0))
    assert audit["problems"] == audit["findings"] == [], audit
    totals = farm.cli("hkeys", "{mela}:totals") + farm.cli("get", "{mela}:totals:new")
    assert "nonsense" not in totals, totals


def test_grace_of_nothing_is_none(farm):
    """The job would be done within the usual grace."""
    farm.executors.set(job_ms=1500)
    worker = farm.worker("--grace-ms", "0")
    wait_for(lambda: worker.said("claimed"), "a claim")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0
    assert worker.said("stopped: draining") or worker.said("released"), worker.log.read_text()
    assert not worker.said('"message":"done"') and farm.job("plan")["state"] == "ready"


def test_an_executor_that_never_gets_ready_is_ended(farm):
    """Sixteen minutes pass between two looks at the clock, twice."""
    clock = farm.folder / "clock"
    clock.write_text("0 0")
    worker = farm.worker(environment=clock_shifted_by(clock))
    wait_for(lambda: worker.said("ready on"), "the worker")
    farm.executors.set(misdeed="leave", starts=False)
    wait_for(lambda: farm.executors.misdeeds().get("unready"), "an executor that starts anew")
    clock.write_text(f"0 {16 * 60}")
    wait_for(lambda: farm.executors.misdeeds()["unready"] > 2, "one more than there are slots")
    farm.executors.set(misdeed=None, starts=True)
    clock.write_text(f"0 {32 * 60}")
    wait_for(farm.is_done, "the campaign")


def test_a_lost_key_makes_ill_also_where_there_is_one_campaign_only():
    farm = Farm(segments=40, store="memory")
    try:
        farm.start()
        worker = IllWorker(farm, "denied", {"job_ms": 1}, farm.farm_options(), farm.worker_environment, 2000)
        farm.ill_workers.append(worker)
        wait_for(lambda: worker.step() or worker.stage == "ill", "it to be ill")
    finally:
        farm.close()


def test_no_executor_outlives_its_supervisor(farm):
    farm.executors.set(misdeed="deaf")
    worker = farm.worker()
    wait_for(lambda: farm.executors.misdeeds().get("deaf"), "a job that hears nothing")
    del farm.processes["w"]
    worker.kill()
    wait_for(lambda: not farm.left_behind(), "its executors to end")
