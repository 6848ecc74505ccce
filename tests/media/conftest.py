"""Clips made once a run with the ffmpeg program, and ways to ask media_tool and ffprobe about them."""
import json
import subprocess

import pytest

from ..support.paths import BUILD, MEDIA

TOOL = str(BUILD / "tests/media/media_tool")
X264 = ["-c:v", "libx264", "-preset", "ultrafast"]


class ToolError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.code, _, self.message = text.strip().partition(": ")


def run(*command, binary=False):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=120)
    if done.returncode != 0:
        raise ToolError(done.stderr.decode())
    return done.stdout if binary else done.stdout.decode()


def tool(*command, binary=False):
    return run(TOOL, *command, binary=binary)


def ffmpeg(*command):
    return run("ffmpeg", "-v", "error", "-nostdin", "-y", *command)


def probe(path, *entries, stream="v:0"):
    text = run("ffprobe", "-v", "error", "-select_streams", stream, "-of", "json", *entries, path)
    return json.loads(text)


def stream_of(path, stream="v:0"):
    return probe(path, "-show_streams", stream=stream)["streams"][0]


def frame_times(path):
    frames = probe(path, "-show_entries", "frame=best_effort_timestamp")["frames"]
    times = [int(frame["best_effort_timestamp"]) for frame in frames]
    return [time - times[0] for time in times]


def hashes(path, pixel_format, *filters):
    """MD5 of each frame as ffmpeg decodes it (upright, like our reader)."""
    text = run("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:v:0", *filters, "-fps_mode", "passthrough",
               "-pix_fmt", pixel_format, "-f", "framemd5", "-")
    return [line.split(",")[-1].strip() for line in text.splitlines() if not line.startswith("#")]


def frames(path, *start):
    """(index, pts, duration, md5) of each frame as media_tool decodes it."""
    rows = [line.split() for line in tool("frames", path, *start).splitlines()]
    return [(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows]


@pytest.fixture(scope="session")
def deps():
    if not (MEDIA / "franck.mp4").exists():
        pytest.skip("the test films were not fetched (script/setup does it)")
    return MEDIA


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """clip(name, *ffmpeg arguments) makes a file once; the defaults are 2 s of a moving test picture."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(name, *arguments, source="testsrc2=size=160x120:rate=25", seconds=2):
        path = folder / name
        if not path.exists():
            ffmpeg("-f", "lavfi", "-i", source, "-t", seconds, *(arguments or X264), path)
        return path

    clip.folder = folder
    return clip
