"""The reader sees what ffmpeg sees: every frame, upright, at its own time."""
import json
import struct

import pytest

from .conftest import X264, ToolError, ffmpeg, frame_times, frames, hashes, stream_of, tool


def scan(path):
    return json.loads(tool("scan", path))


VARIABLE = ["-vf", "select='not(between(n,10,17))*not(eq(mod(n,5),3))'", "-fps_mode", "vfr", *X264, "-bf", "2"]
ODD = ["-vf", "crop=161:121:exact=1"]  # of a larger picture

HDR = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"

# The bad-input list of the farm, as far as it can be read: name, encoder, source.
CLIPS = {
    "plain.mp4": [*X264, "-bf", "3", "-g", "12"],
    "ntsc.mp4": X264,
    "hevc10.mp4": ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params",
                   "log-level=none:bframes=3:keyint=12:open-gop=1", "-vf", HDR],
    "opengop.mp4": ["-c:v", "libx264", "-preset", "veryfast", "-x264-params", "open-gop=1:keyint=12:bframes=3:scenecut=0"],
    "odd.mp4": [*ODD, *X264, "-pix_fmt", "yuv444p"],
    "odd.webm": [*ODD, "-c:v", "libvpx", "-b:v", "1M", "-pix_fmt", "yuv420p"],
    "yuv422.mov": ["-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"],
    "interlaced.mp4": ["-vf", "interlace", *X264, "-flags", "+ilme+ildct"],
    "mpeg2.ts": ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-g", "12"],
    "h264.ts": [*X264, "-bf", "3", "-g", "12"],
    "raw.h264": [*X264, "-bf", "2", "-g", "12"],
    "xvid.avi": ["-c:v", "mpeg4", "-bf", "2", "-g", "12"],
    "vfr.mp4": VARIABLE,
    "vfr.mkv": VARIABLE,
}
SOURCES = {"ntsc.mp4": "testsrc2=size=160x120:rate=30000/1001", "odd.mp4": "testsrc2=size=200x200:rate=25",
           "odd.webm": "testsrc2=size=200x200:rate=25"}
ALL = [*CLIPS, "edited.mp4"]


def make(clips, name):
    if name == "edited.mp4":  # a cut without re-encoding: an edit list hides the frames before it
        ffmpeg("-ss", "0.7", "-i", make(clips, "plain.mp4"), "-c", "copy", clips.folder / name)
        return clips.folder / name
    return clips(name, *CLIPS[name], source=SOURCES.get(name, "testsrc2=size=160x120:rate=25"))


@pytest.mark.parametrize("name", ALL)
def test_frames_are_those_of_ffmpeg(clips, name):
    path = make(clips, name)
    ours = frames(path)
    assert [row[3] for row in ours] == hashes(path, stream_of(path)["pix_fmt"])
    if name not in ("raw.h264", "xvid.avi"):  # these have no times of their own
        assert [row[1] for row in ours] == frame_times(path)
    assert [row[0] for row in ours] == list(range(len(ours)))
    assert all(a[1] + a[2] == b[1] for a, b in zip(ours, ours[1:]))


@pytest.mark.parametrize("name", ALL)
def test_seek_gives_exactly_the_frame(clips, name):
    path = make(clips, name)
    straight = frames(path)
    for index in [0, 1, 7, 11, 12, 13, len(straight) // 2, len(straight) - 1]:
        assert frames(path, straight[index][1], index) == straight[index:index + 3], f"frame {index}"


@pytest.mark.parametrize("name", ["plain.mp4", "opengop.mp4", "h264.ts", "vfr.mkv", "raw.h264"])
def test_one_reader_can_jump_about(clips, name):
    straight = frames(make(clips, name))
    order = [30, 5, len(straight) - 1, 0, 31, 30]
    jumps = [str(number) for index in order for number in (straight[index][1], index)]
    lines = tool("jumps", make(clips, name), *jumps).splitlines()
    assert [line.split()[3] for line in lines] == [straight[index][3] for index in order]


def test_seek_to_a_time_that_no_frame_has(clips):
    with pytest.raises(ToolError) as failed:
        frames(make(clips, "plain.mp4"), 77, 3)
    assert failed.value.code == "media.invalid"


# How the header of an MP4 track turns its picture: rows of the display matrix, clockwise.
MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def turned(flat, path, degrees):
    data = bytearray(flat.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (value * 65536 for value in MATRICES[degrees])
    data[at:at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_rotation_is_applied(clips, degrees, pixel_format):
    flat = clips(f"flat-{pixel_format}.mp4", *X264, "-pix_fmt", pixel_format, "-vf", "setsar=4/3")
    path = clips.folder / f"turned-{degrees}-{pixel_format}.mp4"
    turned(flat, path, degrees)
    info = scan(path)
    assert info["rotation"] == degrees
    assert (info["width"], info["height"]) == ((160, 120) if degrees == 180 else (120, 160))
    assert (info["aspect_num"], info["aspect_den"]) == ((4, 3) if degrees == 180 else (3, 4))
    assert [row[3] for row in frames(path)] == hashes(path, pixel_format)
    assert hashes(path, pixel_format) != hashes(flat, pixel_format)


@pytest.mark.parametrize("coded,given", [("nv12", "yuv420p"), ("yuv411p", "yuv422p"), ("gray", "yuv420p"),
                                         ("yuv422p12le", "yuv422p10le"), ("rgb24", "yuv420p")])
def test_other_formats_are_converted(clips, coded, given):
    path = clips(f"{coded}.nut", "-c:v", "rawvideo", "-pix_fmt", coded, seconds=0.2)
    pictures = frames(path)
    assert len(pictures) == 5
    if coded == "nv12":
        assert [row[3] for row in pictures] == hashes(path, given)
    assert scan(path)["bit_depth"] == (10 if "10" in given else 8)


def test_info(clips):
    hdr = scan(make(clips, "hevc10.mp4"))
    assert (hdr["codec"], hdr["bit_depth"], hdr["color_transfer"], hdr["color_primaries"]) == ("hevc", 10, 16, 9)
    ntsc = scan(make(clips, "ntsc.mp4"))
    assert (ntsc["rate_num"], ntsc["rate_den"]) == (30000, 1001)
    assert not ntsc["interlaced"] and scan(make(clips, "interlaced.mp4"))["interlaced"]
    assert not ntsc["has_audio"]


def test_scan_gives_every_time_and_the_end(clips):
    for name in ["plain.mp4", "ntsc.mp4", "vfr.mkv"]:
        path, info = make(clips, name), scan(make(clips, name))
        assert info["pts"] == frame_times(path)
        step = info["pts"][1] - info["pts"][0]
        assert 0 < info["end_pts"] - info["pts"][-1] <= 1.1 * step
