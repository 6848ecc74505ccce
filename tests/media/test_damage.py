"""Files that cannot be dubbed end in the right error, with the time."""
import re
import shutil

import pytest

from .conftest import X264, ToolError, ffmpeg, frames, tool


def error_of(command, path):
    with pytest.raises(ToolError) as failed:
        tool(command, path)
    return failed.value


@pytest.fixture
def film(clips):
    return clips("film.mp4", "-c:v", "libx264", "-g", "25", "-bf", "2", "-movflags", "+faststart", seconds=6,
                 source="testsrc2=size=320x240:rate=25,noise=alls=20")


def shortened(source, path, part):
    path.write_bytes(source.read_bytes()[:int(source.stat().st_size * part)])
    return path


def seconds_of(error):
    return float(re.search(r"at (\d+\.\d+) s", error.message).group(1))


def test_no_such_file(tmp_path):
    assert error_of("scan", tmp_path / "none.mp4").code == "media.not_found"
    assert error_of("length", tmp_path / "none.wav").code == "media.not_found"


def test_empty(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert error_of("scan", tmp_path / "empty.mp4").code == "media.empty"
    assert error_of("audio", tmp_path / "empty.mp4").code == "media.empty"


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes", "notes.wav"])
def test_text_is_no_film(tmp_path, name):
    (tmp_path / name).write_text("This is not a film.\n" * 500)
    assert error_of("scan", tmp_path / name).code == "media.invalid"
    assert error_of("audio", tmp_path / name).code == "media.invalid"


def test_playlists_cannot_reach_other_files(tmp_path, film):
    shutil.copy(film, tmp_path / "film.mp4")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfilm.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile film.mp4\n")
    for name in ["list.m3u8", "list.txt"]:
        assert error_of("scan", tmp_path / name).code == "media.invalid"


def test_audio_only(clips, tmp_path):
    path = clips("tone.m4a", "-c:a", "aac", source="sine=frequency=300")
    assert error_of("scan", path).code == "media.no_video"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", 1, tmp_path / "cover.png")
    ffmpeg("-i", path, "-i", tmp_path / "cover.png", "-map", 0, "-map", 1, "-c:a", "copy", "-c:v", "png",
           "-disposition:v:0", "attached_pic", tmp_path / "cover.m4a")
    assert error_of("scan", tmp_path / "cover.m4a").code == "media.no_video"


def test_video_only_has_no_speech(film):
    assert error_of("audio", film).code == "media.no_audio"
    assert error_of("length", film).code == "media.no_audio"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_truncated(film, tmp_path, suffix):
    whole = tmp_path / f"whole.{suffix}"
    ffmpeg("-i", film, *(["-c:v", "mpeg4"] if suffix == "avi" else ["-c", "copy"]),
           *(["-movflags", "+faststart"] if suffix != "mkv" and suffix != "avi" else []), whole)
    assert tool("scan", whole)
    error = error_of("scan", shortened(whole, tmp_path / f"short.{suffix}", 0.6))
    assert error.code == "media.corrupt"
    assert 1 < seconds_of(error) < 5


def test_truncated_by_the_last_frame_only(film, tmp_path):
    path = tmp_path / "short.mp4"
    path.write_bytes(film.read_bytes()[:-300])
    assert error_of("scan", path).code == "media.corrupt"


def test_truncated_before_its_index(film, tmp_path):
    ffmpeg("-i", film, "-c", "copy", tmp_path / "slow.mp4")
    error = error_of("scan", shortened(tmp_path / "slow.mp4", tmp_path / "short.mp4", 0.5))
    assert error.code == "media.corrupt"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_corrupt_in_the_middle(film, tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    ffmpeg("-i", film, "-c", "copy", "-movflags", "+faststart", path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for i in range(middle, middle + 3000):
        data[i] = (data[i] * 7 + i) & 0xFF
    path.write_bytes(data)
    error = error_of("scan", path)
    assert error.code == "media.corrupt"
    assert 1 < seconds_of(error) < 5


def test_corrupt_at_the_start(film, tmp_path):
    path = tmp_path / "film.mp4"
    data = bytearray(film.read_bytes())
    at = data.find(b"mdat") + 8
    data[at:at + 60000] = bytes(60000)
    path.write_bytes(data)
    assert error_of("scan", path).code == "media.corrupt"


def test_capture_that_begins_in_the_middle(film, tmp_path):
    """A transport stream cut anywhere starts with pictures that nobody can decode; that is no damage."""
    ffmpeg("-i", film, "-c", "copy", tmp_path / "whole.ts")
    data = (tmp_path / "whole.ts").read_bytes()
    packets = len(data) // 188
    (tmp_path / "late.ts").write_bytes(data[packets // 4 * 188:])
    assert 100 <= len(frames(tmp_path / "late.ts")) < 150


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
def test_truncated_speech(clips, tmp_path, suffix):
    whole = clips(f"speech.{suffix}", *(["-movflags", "+faststart"] if suffix == "m4a" else []),
                  source="sine=frequency=300:beep_factor=4", seconds=5)
    assert tool("length", whole)
    error = error_of("audio", shortened(whole, tmp_path / f"short.{suffix}", 0.6))
    assert error.code == "media.corrupt"


def test_picture_that_changes_its_size(clips, tmp_path):
    small = clips("small.ts", *X264)
    large = clips("large.ts", *X264, source="testsrc2=size=320x240:rate=25")
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    assert error_of("scan", tmp_path / "both.ts").code in ("media.unsupported", "media.corrupt")
