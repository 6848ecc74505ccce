"""Fixtures: farms that are up, and clips to dub."""
import subprocess

from farm_process import MEDIA, Farm, ffmpeg

import pytest


@pytest.fixture
def farm(tmp_path):
    """A farm that is up, and down again afterwards."""
    farm = Farm(tmp_path / "farm").start()
    yield farm
    farm.stop()


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory):
    """One farm for a file's tests that do not disturb each other."""
    farm = Farm(tmp_path_factory.mktemp("shared") / "farm", "--cooldown", "60").start()
    yield farm
    farm.stop()


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Short real clips, cut from a man talking, and speech for them."""
    folder = tmp_path_factory.mktemp("clips")
    ffmpeg("-ss", "20", "-i", MEDIA / "franck.mp4", "-t", "3", "-an", "-c:v", "libx264", "-crf", "16", folder / "talk.mp4")
    for language, text in {"en": "The festival lights are shining over the river tonight my friends.",
                           "hi": "आज रात नदी के ऊपर त्योहार की रोशनी चमक रही है मेरे दोस्तों।"}.items():
        subprocess.run(["espeak-ng", "-v", language, "-s", "150", "-w", str(folder / f"{language}.wav"), text], check=True)
    return folder
