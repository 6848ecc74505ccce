"""Quiet hours on a real farm, begun and ended by hand: the same hold that the calendar sets."""
import json

from ..support.waiting import wait_for
from .farm_process import ffmpeg


def states(farm, campaign):
    return {job["id"]: job["state"] for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]}


def test_what_runs_ends_batch_waits_urgent_runs_and_the_morning_finds_all(held_farm, held, clips, tmp_path):
    farm = held_farm
    ffmpeg("-i", clips / "talk.mp4", "-t", "1", "-c:v", "libx264", "-crf", "16", tmp_path / "short.mp4")
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    dub = farm.running(campaign, "dub")
    farm.run("scale", "hold")
    held.release()
    wait_for(lambda: "leased" not in states(farm, campaign).values(), "the end of what runs")
    evening = states(farm, campaign)
    assert evening[dub["id"]] == "done" and "ready" in evening.values()
    assert farm.campaign(campaign)["held_until_ms"]
    wait_for(lambda: not farm.workers(), "the workers' end, for nothing may begin")

    urgent = farm.submit(tmp_path / "short.mp4", {"en": clips / "en.wav"}, "--class", "urgent")
    assert farm.wait(urgent)["state"] == "done"
    assert states(farm, campaign) == evening
    farm.run("scale", "resume")
    assert farm.wait(campaign)["state"] == "done"
    for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]:
        assert (job["attempt"], job["errors"], job["crashes"]) == (1, 0, 0), job
