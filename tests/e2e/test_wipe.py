"""Redis is emptied while a campaign runs, and rebuilt from the store: the videos are those of an undisturbed run."""
import subprocess
import time

from ..support.waiting import wait_for
from .farm_process import Farm


def frames(path):
    """Time and MD5 of every decoded frame, sound too."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0", "-fps_mode", "passthrough", "-f",
                           "framemd5", "-"], capture_output=True, text=True, check=True)
    return done.stdout


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
        assert frames(tmp_path / f"{campaign}-{language}.mp4") == frames(video)


def test_two_workers_make_the_same_frames_as_one(clips, tmp_path):
    """Which worker does a segment, with how many threads and after which others, changes nothing; nor does what the
    allocator finds in memory."""
    seen = []
    for workers in (1, 2):
        farm = Farm(tmp_path / f"farm{workers}", "--workers", workers, environment={"MALLOC_PERTURB_": str(workers)}).start()
        try:
            _, videos = farm.dub(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
            seen.append(frames(videos["en"]))
        finally:
            farm.stop()
    assert seen[0] == seen[1]
