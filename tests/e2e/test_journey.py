"""The main job: a campaign through the whole farm, from files to dubbed files."""
import json
import os
import signal
import subprocess

from ..support.paths import BUILD, DEPS, ROOT
from ..support.waiting import wait_for
from .farm_process import ffmpeg, frame_count, stream
from .held import LONG


def test_two_languages_from_files_to_files(farm, clips):
    master = clips / "talk.mp4"
    campaign, videos = farm.dub(master, {"en": clips / "en.wav", "hi": clips / "hi.wav"}, "--segment-seconds", "1")
    for video in videos.values():
        source, dubbed = stream(master, "video"), stream(video, "video")
        for tag in ("width", "height", "avg_frame_rate", "pix_fmt", "color_space", "color_range", "codec_name"):
            assert dubbed.get(tag) == source.get(tag), tag
        assert frame_count(video) == frame_count(master)
        sound = stream(video, "audio")
        frame = 1 / 24
        assert abs(float(dubbed["start_time"]) - float(sound["start_time"])) < frame
        assert abs(float(dubbed["duration"]) - float(sound["duration"])) < frame
    jobs = farm.jobs(campaign)
    kinds = [job["kind"] for job in jobs]
    # Detection and landmarks run once a segment, however many languages.
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"plan": 1, "track": 3, "dub": 6, "join": 2}
    for job in jobs:
        steps = set(job["steps_ms"])
        assert ("landmark" in steps) == (job["kind"] == "track")
        assert job["attempt"] == 1


def test_the_lips_follow(farm, clips, tmp_path):
    _, videos = farm.dub(clips / "talk.mp4", {"en": clips / "en.wav"})
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run([BUILD / "mela-worker", "check", "sync", videos["en"], "--original", clips / "talk.mp4", "--json",
                           "--models", DEPS / "models", "--manifests", ROOT / "models"], capture_output=True, text=True,
                          env={**os.environ, "HOME": str(home)})
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["follows"], report
    assert abs(report["r_original"]) < 0.5, report
    assert not list(home.iterdir())  # ONNX Runtime keeps no device id and no telemetry there


def receipts(farm, campaign):
    return len(list((farm.data / "store/campaigns" / campaign / "receipts").rglob("*.json")))


def done_jobs(farm, campaign):
    return sum(job["state"] == "done" for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"])


def test_a_killed_worker_costs_nothing_but_time(held_farm, held, clips):
    farm = held_farm
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    # A receipt follows its job's end: a worker killed in between does not write it.
    wait_for(lambda: receipts(farm, campaign) == done_jobs(farm, campaign), "the receipts of what is done")
    os.kill(farm.running(campaign, "dub")["by"]["pid"], signal.SIGKILL)
    held.release()
    assert farm.wait(campaign)["state"] == "done", farm.logs()
    # One receipt a job, the last one written just after the campaign's end: nothing was published twice.
    wait_for(lambda: receipts(farm, campaign) == len(farm.jobs(campaign)), "a receipt for every job")


def test_a_killed_farm_goes_on_where_it_was(farm, clips):
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    wait_for(lambda: any(job["kind"] == "track" and job["finished_ms"] for job in farm.jobs(campaign)), "a track")
    farm.kill()
    (farm.data / "address").unlink()
    farm.start()
    assert farm.wait(campaign)["state"] == "done", farm.logs()


def test_an_idle_farm_has_no_worker(farm, clips):
    assert farm.workers() == []
    farm.wait(farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}))
    assert farm.json("trace")["workers"]
    wait_for(lambda: not farm.workers(), "the workers' end")


def test_files_are_uploaded_once(farm, clips):
    first = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--name", "one")
    files = sorted((farm.data / "store" / "files").iterdir())
    before = [f.stat().st_mtime_ns for f in files]
    second = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--name", "two")
    assert first != second
    assert [f.stat().st_mtime_ns for f in sorted((farm.data / "store" / "files").iterdir())] == before


def test_cancel_reaches_the_running_job(held_farm, held, clips):
    farm = held_farm
    held.hold(LONG)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3")
    held.wait()
    farm.run("cancel", campaign)
    assert farm.wait(campaign)["state"] == "cancelled"
    wait_for(lambda: "stopped: the campaign was cancelled" in farm.logs(), "the job's end")
    assert not (farm.data / "store" / "campaigns" / campaign / "receipts/en/dub").exists()


def test_a_drained_worker_gives_its_job_back(held_farm, held, clips):
    farm = held_farm
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "1")
    held.wait()
    os.kill(farm.running(campaign, "dub")["by"]["pid"], signal.SIGTERM)
    held.release()
    assert farm.wait(campaign)["state"] == "done"
    for job in json.loads(farm.api(f"/v1/campaigns/{campaign}/jobs"))["items"]:
        assert job["errors"] == 0 and job["crashes"] == 0, job


def test_enhanced_faces(farm, clips, tmp_path):
    ffmpeg("-i", clips / "talk.mp4", "-frames:v", "8", "-c:v", "libx264", "-crf", "16", tmp_path / "short.mp4")
    plain = farm.dub(tmp_path / "short.mp4", {"en": clips / "en.wav"})[1]["en"]
    campaign, videos = farm.dub(tmp_path / "short.mp4", {"en": clips / "en.wav"}, "--enhance")
    assert frame_count(videos["en"]) == 8 and videos["en"].read_bytes() != plain.read_bytes()
    assert all("enhance" in report["steps_ms"] for report in farm.reports(campaign, "dub"))


def test_the_control_plane_links_no_media_and_no_networks():
    linked = subprocess.run(["ldd", BUILD / "mela"], capture_output=True, text=True, check=True).stdout
    assert "libjansson" in linked
    for library in ("libav", "libsw", "onnxruntime", "libx264"):
        assert library not in linked
