"""Bombs end at once, in the error that names the limit; what changes in the middle of a film is converted or refused."""
import os
import resource
import subprocess

import pytest

from ..support import bombs
from .conftest import TOOL, ToolError, ffmpeg, frames, tool

BYTES = 3 << 30  # of memory, for a bomb: the largest picture that is allowed, in 16 threads, stays below


def run_in_little_memory(command, path):
    """What media_tool says; a bomb that went off would end in a signal, or be out of memory."""
    def limit_memory():
        if "MELA_BUILD" not in os.environ:  # sanitizers need memory of their own
            resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    done = subprocess.run([TOOL, command, str(path)], capture_output=True, text=True, timeout=60, preexec_fn=limit_memory)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    return done


@pytest.mark.parametrize("name", bombs.FILMS)
def test_a_film_over_the_limits(tmp_path, name):
    path, code, word = bombs.build(name, tmp_path)
    done = run_in_little_memory("scan", path)
    assert done.stderr.startswith(f"{code}: ") and word in done.stderr, done.stderr + done.stdout[:300]


@pytest.mark.parametrize("name", bombs.SPEECHES)
def test_a_speech_over_the_limits(tmp_path, name):
    path, code, word = bombs.build(name, tmp_path)
    done = run_in_little_memory("length", path)
    assert done.stderr.startswith(f"{code}: ") and word in done.stderr, done.stderr + done.stdout


def test_the_same_film_with_timestamps_is_read(tmp_path):
    raw, _, _ = bombs.build("untimed.h264", tmp_path)
    ffmpeg("-i", raw, "-c", "copy", tmp_path / "film.mp4")
    assert len(frames(tmp_path / "film.mp4")) == 620


# ---- what changes in the middle ----

H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt"]


def concatenated(folder, suffix, *formats):
    """A film of one second a pixel format, as a raw stream or a capture that goes on."""
    path = folder / f"film.{suffix}"
    for i, pixels in enumerate(formats):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", 1, *H264, pixels, "-output_ts_offset", i,
               *(["-mpegts_flags", "+initial_discontinuity"] if suffix == "ts" else []), folder / f"{i}.{suffix}")
    path.write_bytes(b"".join((folder / f"{i}.{suffix}").read_bytes() for i in range(len(formats))))
    return path


@pytest.mark.parametrize("suffix", ["h264", "ts"])
@pytest.mark.parametrize("formats", [("yuv420p", "yuv444p"), ("yuv420p", "yuv420p10le"), ("yuv444p10le", "yuv420p", "yuv422p")])
def test_a_change_of_pixel_format_is_converted(tmp_path, suffix, formats):
    film = concatenated(tmp_path, suffix, *formats)
    rows = frames(film)
    assert [row[0] for row in rows] == list(range(25 * len(formats)))
    info = tool("scan", film)
    assert f'"bit_depth": {10 if "10" in formats[0] else 8}' in info


def test_a_codec_that_is_not_on_the_list_is_named(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", 1, "-c:v", "asv1", tmp_path / "film.avi")
    with pytest.raises(ToolError) as failed:
        tool("scan", tmp_path / "film.avi")
    assert failed.value.code == "media.unsupported" and "codec asv1" in failed.value.message
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=8000", "-t", 1, "-c:a", "g723_1", "-ac", 1, tmp_path / "speech.nut")
    with pytest.raises(ToolError) as failed:
        tool("length", tmp_path / "speech.nut")
    assert failed.value.code == "media.unsupported" and "codec g723_1" in failed.value.message
