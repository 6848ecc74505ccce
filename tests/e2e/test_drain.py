"""A worker that has to go in the middle of a dub, under a grace time that is too short for it."""
import json
import signal
import socket

from ..support.waiting import wait_for
from .farm_process import Farm, frame_count
from .held import BRIEF


def jobs_of(farm, campaign):
    return {job["id"]: job for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]}


def is_unharmed(job):
    return (job["state"], job["errors"], job["crashes"]) == ("ready", 0, 0)


def test_a_drained_dub_keeps_its_place_and_is_done_by_another(node, clips, held):
    """The dub is held until the worker drains, then slow: it hears that it has to stop before its end."""
    farm, worker = Farm(node.folder), node.worker(held.environment, "--grace-ms", "200")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    dub = node.claimed("dub")[0]
    worker.send_signal(signal.SIGTERM)
    wait_for(lambda: "ending: told to stop" in node.log(), "the worker to drain")
    held.hold(BRIEF)
    assert worker.wait(60) == 0
    released = node.job(dub)
    assert is_unharmed(released), released
    assert "stopped: draining" in node.log()
    assert not farm.workers()

    held.release()
    before = len(node.claimed("dub"))
    node.worker()
    assert farm.wait(campaign)["state"] == "done"
    assert node.claimed("dub")[before] == dub
    done = jobs_of(farm, campaign)
    assert done[dub]["attempt"] == released["attempt"] + 1
    assert all((job["state"], job["errors"], job["crashes"]) == ("done", 0, 0) for job in done.values()), done
    farm.run("get", campaign, "--output", node.folder)
    assert frame_count(node.folder / f"{campaign}-en.mp4") == frame_count(clips / "talk.mp4")


def test_a_store_that_hangs_is_left(node, clips):
    """The worker's S3 server takes connections and says nothing: what waits for it ends, and the job goes back."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        farm = Farm(node.folder)
        worker = node.worker({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}, "--store",
                             "s3://bucket/mela", "--s3-endpoint", f"http://127.0.0.1:{deaf.getsockname()[1]}", "--grace-ms", "200")
        farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
        wait_for(lambda: node.claimed("plan"), "a claim")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        released = node.job(node.claimed("plan")[0])
    assert is_unharmed(released), released
    assert "stopped: draining" in node.log() and "released while" not in node.log()


def test_a_worker_that_cannot_stop_gives_its_job_back_and_leaves(node, clips, held):
    """The dub stands still in a call that does not come back, as in one run of a large network."""
    farm, worker = Farm(node.folder), node.worker(held.environment, "--grace-ms", "200")
    farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3")
    held.wait()
    [dub] = node.claimed("dub")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    released = node.job(dub)
    assert is_unharmed(released), released
    assert "stopped: draining" in node.log() and not farm.workers()
