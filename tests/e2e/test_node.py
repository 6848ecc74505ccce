"""A worker and its node: the machine is taken away, the pod's deletion cost follows the work, a job takes too long.
Redis, the worker and its jobs are real; the cluster and EC2's metadata are mocks."""
import fcntl
import json
import os
import pathlib
import subprocess

import pytest

from ..support.paths import BUILD
from ..support.waiting import wait_for
from .fake_node import FakeCluster, FakeMetadata
from .farm_process import Farm
from .held import BRIEF


@pytest.fixture
def metadata():
    server = FakeMetadata()
    yield server
    server.stop()


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "mount"
    folder.mkdir()
    server = FakeCluster(folder)
    yield server
    server.stop()


def waits_for_a_lock(pid):
    """Of somebody else: /proc/locks has "-> FLOCK ADVISORY WRITE <pid> ..." for it."""
    return any(f"-> FLOCK  ADVISORY  WRITE {pid} " in line for line in pathlib.Path("/proc/locks").read_text().splitlines())


def test_workers_that_start_together_make_their_folders_in_turn(node):
    """Each removes what dead ones left, and must not take another's new folder, which has no lock yet, for such."""
    scratch = node.folder / "work/scratch"
    scratch.mkdir(parents=True)
    turn = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        worker = node.worker()
        # env has become the worker by then, with the same number.
        wait_for(lambda: waits_for_a_lock(worker.pid), "the worker to wait for its turn")
        assert list(scratch.iterdir()) == []
    finally:
        os.close(turn)
    wait_for(lambda: Farm(node.folder).workers(), "the worker")
    assert len(list(scratch.iterdir())) == 1


def test_a_spot_notice_drains_and_the_job_keeps_its_place(node, clips, metadata, held):
    farm = Farm(node.folder)
    worker = node.worker({**held.environment, **metadata.environment(), "AWS_EC2_METADATA_DISABLED": "false"}, "--grace-ms", "200")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    dub = node.claimed("dub")[0]
    metadata.notice = {"action": "terminate", "time": "2026-11-23T13:00:00Z"}
    wait_for(lambda: "takes this spot instance away (terminate)" in node.log(), "the notice")
    held.hold(BRIEF)
    assert worker.wait(60) == 0
    job = node.job(dub)
    assert job["state"] == "ready" and not job["errors"] and not job["crashes"], job
    assert "stopped: draining" in node.log()
    held.release()
    before = len(node.claimed("dub"))
    node.worker()
    assert farm.wait(campaign)["state"] == "done"
    assert node.claimed("dub")[before] == dub


def test_the_deletion_cost_follows_the_work(node, clips, cluster, held):
    """The dub is held until the cluster knows that the pod is busy."""
    farm, worker = Farm(node.folder), node.worker({**held.environment, **cluster.environment()})
    wait_for(lambda: cluster.costs[:1] == ["0"], "the cost of an idle pod")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    wait_for(lambda: cluster.costs[1:2] == ["1000"], "the cost of a busy pod")
    held.release()
    assert farm.wait(campaign)["state"] == "done"
    wait_for(lambda: cluster.costs[-1] == "0", "the cost of a pod that is idle again")
    cluster.refuses = "pods is forbidden"
    held.hold()
    farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    wait_for(lambda: "pods is forbidden" in node.log(), "the refusal in the log")
    held.release()
    worker.terminate()
    assert worker.wait(60) == 0


def test_a_worker_of_one_class_leaves_the_other(node, clips):
    farm = Farm(node.folder)
    node.worker({}, "--class", "urgent", "--id", "hasty")
    batch = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--class", "batch")
    urgent = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--class", "urgent")
    assert farm.wait(urgent)["state"] == "done"
    assert [job["state"] for job in farm.jobs(batch)] == ["ready"]
    [worker] = json.loads(farm.api("/v1/workers"))["items"]
    assert (worker["id"], worker["classes"]) == ("hasty", ["urgent"])
    wrong = subprocess.run([BUILD / "mela-worker", "run", *node.farm, "--class", "slow"], capture_output=True, text=True)
    assert wrong.returncode == 2 and '--class is "slow"' in wrong.stderr


def test_a_job_that_takes_too_long_is_stopped_and_has_failed(node, clips, held):
    farm = Farm(node.folder)
    node.worker(held.environment, "--grace-ms", "0")
    farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3")
    held.wait()
    [dub] = node.claimed("dub")
    node.redis_cli("HSET", f"{{mela}}:job:{dub}", "claimed", "1")  # it was claimed in 1970
    job = wait_for(lambda: (j := node.job(dub))["errors"] and j, "the job's failure")
    assert job["error"]["code"] == "job.timeout" and "a dub may take" in job["error"]["message"], job
    assert not job["crashes"]
    assert job["state"] == "delayed" or job["attempt"] > 1  # to be tried again
    held.release()
