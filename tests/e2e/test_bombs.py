"""Files that would cost a worker its memory, disk or days, among ordinary ones: each ends its own campaign, and nothing else."""
import pytest

from ..support import bombs
from .farm_process import Farm, ffmpeg
from .test_drain import jobs_of

FILMS = ["pixels.y4m", "screen.gif", "picture.apng", "picture.mov", "coded.ts", "streams.mkv", "atoms.mp4", "years.mkv", "apart.ivf",
         "latest.ivf", "rate.avi", "burst.mov"]


@pytest.fixture
def loop(tmp_path):
    """A film of one frame, and an hour of speech over it."""
    ffmpeg("-f", "lavfi", "-i", "color=size=64x64:rate=25", "-frames:v", 1, tmp_path / "frame.mp4")
    (tmp_path / "hour.flac").write_bytes(bombs.flac(1))
    return tmp_path / "frame.mp4", tmp_path / "hour.flac"


def test_every_bomb_ends_its_own_campaign_and_films_are_done(node, clips, loop, tmp_path):
    farm = Farm(node.folder)
    talk = ("--segment-seconds", "3")
    films = [farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, *talk, "--name", "before")]
    wanted = {}
    for name in FILMS:
        path, code, _ = bombs.build(name, tmp_path)
        wanted[farm.submit(path, {"en": clips / "en.wav"}, "--name", name)] = code
    for name in bombs.SPEECHES:
        path, code, _ = bombs.build(name, tmp_path)
        wanted[farm.submit(clips / "talk.mp4", {"en": path}, "--name", name)] = code
    wanted[farm.submit(loop[0], {"en": loop[1]}, "--name", "loop", "--sync", "loop")] = "campaign.limit"
    films.append(farm.submit(clips / "talk.mp4", {"hi": clips / "hi.wav"}, *talk, "--name", "after"))
    node.worker()

    assert [farm.wait(film)["state"] for film in films] == ["done", "done"], node.log()
    for campaign, code in wanted.items():
        assert farm.wait(campaign)["state"] == "failed", campaign
        plan, error = jobs_of(farm, campaign)[f"{campaign}/plan"], farm.errors(campaign)[f"{campaign}/plan"]
        assert (error["code"], plan["attempt"], plan["crashes"]) == (code, 1, 0), (error, plan)
