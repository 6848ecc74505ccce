"""A worker that has to go in the middle of a dub, under a grace time that is too short for it."""
import json
import signal

from farm_process import Farm, frame_count, wait_for
from test_node import node  # noqa: F401: a fixture


def jobs_of(farm, campaign):
    return {job["id"]: job for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]}


def test_a_drained_dub_keeps_its_place_and_is_done_by_another(node, clips):  # noqa: F811
    farm, here = Farm(node.folder), {"AWS_EC2_METADATA_DISABLED": "true"}
    worker = node.worker(here, "--grace-ms", "200")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1", "--lips", "wav2lip-96-random")
    held = wait_for(lambda: farm.running(campaign, "dub"), "a dub in work")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    given_back = node.job(held["id"])
    assert (given_back["state"], given_back["errors"], given_back["crashes"]) == ("ready", 0, 0), given_back
    assert "ending: told to stop" in node.log() and "stopped: draining" in node.log()
    assert not farm.workers()

    node.worker(here)
    assert wait_for(lambda: farm.running(campaign, "dub"), "the dub in other hands")["id"] == held["id"]
    assert farm.wait(campaign)["state"] == "done"
    done = jobs_of(farm, campaign)
    assert done[held["id"]]["attempt"] == held["attempt"] + 1
    assert all((job["state"], job["errors"], job["crashes"]) == ("done", 0, 0) for job in done.values()), done
    farm.run("get", campaign, "--output", node.folder)
    assert frame_count(node.folder / f"{campaign}-en.mp4") == frame_count(clips / "talk.mp4")


def test_a_worker_that_cannot_stop_computing_gives_its_job_back_and_leaves(node, clips):  # noqa: F811
    """One run of this network takes half a minute on two cores."""
    farm = Farm(node.folder)
    worker = node.worker({"AWS_EC2_METADATA_DISABLED": "true"}, "--grace-ms", "200")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3", "--lips", "wav2lip-384-random")
    held = wait_for(lambda: (job := farm.running(campaign, "dub")) and (job.get("progress") or {}).get("step") == "lips" and job,
                    "a dub in its network")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    given_back = node.job(held["id"])
    assert (given_back["state"], given_back["errors"], given_back["crashes"]) == ("ready", 0, 0), given_back
    assert "released while it still computes" in node.log() and not farm.workers()
