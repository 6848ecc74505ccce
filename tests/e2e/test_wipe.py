"""Redis is emptied while a campaign runs, and rebuilt from the store: the videos are those of an undisturbed run."""
import re
import subprocess
import time

from farm_process import times, wait_for

LOOKS_EQUAL_DB = 40


def likeness(one, other):
    """The worst plane's PSNR over the whole video, in dB; the frames must stand at the same times."""
    assert times(one) == times(other)
    done = subprocess.run(["ffmpeg", "-nostdin", "-i", str(one), "-i", str(other), "-lavfi", "psnr", "-f", "null", "-"],
                          capture_output=True, text=True, check=True)
    return float(re.search(r"PSNR .*min:(\S+)", done.stderr)[1])


def redis(farm, *command):
    done = subprocess.run(["redis-cli", "-s", farm.data / "redis/redis.sock", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_wipes_change_nothing_but_time(farm, clips, tmp_path):
    dubs = {"en": clips / "en.wav", "hi": clips / "hi.wav"}
    _, undisturbed = farm.dub(clips / "talk.mp4", dubs, "--segment-seconds", "1")
    campaign = farm.submit(clips / "talk.mp4", dubs, "--segment-seconds", "1")
    receipts = farm.data / "store/campaigns" / campaign / "receipts"
    for published in (1, 4, 8):  # of 12 jobs: among the tracks, among the dubs, before the joins
        wait_for(lambda: sum(1 for _ in receipts.rglob("*.json")) >= published, f"{published} receipts")
        assert redis(farm, "flushall") == "OK"
        time.sleep(0.1)  # so that workers meet the empty Redis
        recovered = {c["id"]: c for c in farm.json("recover", "--campaign", campaign)}[campaign]
        assert recovered["state"] in ("running", "finished") and recovered["restored"] >= published
    assert farm.wait(campaign)["state"] == "done"
    farm.run("get", campaign, "--output", tmp_path)
    for language, video in undisturbed.items():
        # Two undisturbed runs may differ in the last bits of a few frames, so equal is what looks equal.
        assert likeness(tmp_path / f"{campaign}-{language}.mp4", video) > LOOKS_EQUAL_DB
