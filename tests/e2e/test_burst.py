"""A burst on one machine: workers come by the rule, work to the end, and leave by themselves."""
import json

import pytest

from ..support.waiting import wait_for
from .farm_process import Farm, ffmpeg


@pytest.fixture
def burst(tmp_path, clips):
    """A farm that is none, one campaign, then ten at once, then none; ({id: campaign}, the farm's trace)."""
    ffmpeg("-i", clips / "talk.mp4", "-t", "1", "-c:v", "libx264", "-crf", "16", tmp_path / "short.mp4")
    farm = Farm(tmp_path / "farm", "--workers", "4", "--cooldown", "3").start()
    try:
        assert farm.workers() == []
        slow = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1", "--lips", "wav2lip-96-random")
        wait_for(lambda: farm.data.with_suffix(".log").read_text().count("started (pid") >= 2, "two workers for a few jobs")
        campaigns = [slow] + [farm.submit(tmp_path / "short.mp4", {"en": clips / "en.wav"}) for _ in range(10)]
        ended = {campaign: farm.wait(campaign) for campaign in campaigns}
        wait_for(lambda: not farm.workers(), "the workers' end")
        yield farm, ended
    finally:
        farm.stop()


def most_at_once(workers):
    changes = sorted([(w["came_ms"], 1) for w in workers] + [(w["gone_ms"], -1) for w in workers])
    now, most = 0, 0
    for _, change in changes:
        now += change
        most = max(most, now)
    assert now == 0
    return most


def test_none_is_killed_and_the_farm_is_empty_again(burst):
    farm, campaigns = burst
    assert {campaign["state"] for campaign in campaigns.values()} == {"done"}
    trace = farm.json("trace")
    assert {c["id"] for c in trace["campaigns"]} == set(campaigns)
    assert most_at_once(trace["workers"]) == 4 and not any(worker["lost"] for worker in trace["workers"])
    for campaign in campaigns:
        for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]:
            assert (job["state"], job["attempt"], job["errors"], job["crashes"]) == ("done", 1, 0, 0), job
    lines = [json.loads(line) for log in (farm.data / "logs").glob("*.log") for line in log.read_text().splitlines()]
    said = lambda text: [line for line in lines if line["message"].startswith(text)]
    assert {line["worker"] for line in said("ending: nothing to do")} == {worker["id"] for worker in trace["workers"]}
    assert len(said("claimed")) == len(said("done")) and not said("stopped")
    up = lambda: farm.data.with_suffix(".log").read_text()
    wait_for(lambda: up().count(" ended") == len(trace["workers"]), "the last worker's end, a moment after it signed off")
    assert up().count("started (pid") == len(trace["workers"]) and "next try" not in up()
    shown = farm.run("trace").stdout
    assert "at most 4" in shown and all(worker["id"] in shown for worker in trace["workers"])
    one = farm.run("trace", next(iter(campaigns))).stdout
    assert "Workers that had its jobs" in one
