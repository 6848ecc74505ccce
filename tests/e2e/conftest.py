"""Fixtures: farms that are up, and clips to dub."""
import subprocess

import pytest

from ..support.once import make_once
from ..support.paths import MEDIA
from .farm_process import Farm, ffmpeg
from .held import HeldDubs
from .production import Node


@pytest.fixture
def farm(tmp_path):
    """A farm that is up, and down again afterwards."""
    farm = Farm(tmp_path / "farm").start()
    yield farm
    farm.stop()


@pytest.fixture
def held(tmp_path):
    """Dubs stay in work until the test releases them, in workers that are started with `held.environment`."""
    return HeldDubs(tmp_path).hold()


@pytest.fixture
def held_farm(tmp_path, held):
    """A farm that is up, whose dubs are held."""
    farm = Farm(tmp_path / "farm", environment=held.environment).start()
    yield farm
    farm.stop()


@pytest.fixture
def node(tmp_path):
    """Redis and the API; workers are started by the test."""
    node = Node(tmp_path)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory):
    """One farm for a file's tests that do not disturb each other."""
    farm = Farm(tmp_path_factory.mktemp("shared") / "farm", "--cooldown", "60").start()
    yield farm
    farm.stop()


def make_clips(folder):
    ffmpeg("-ss", "20", "-i", MEDIA / "franck.mp4", "-t", "3", "-an", "-c:v", "libx264", "-crf", "16", folder / "talk.mp4")
    for language, text in {"en": "The festival lights are shining over the river tonight my friends.",
                           "hi": "आज रात नदी के ऊपर त्योहार की रोशनी चमक रही है मेरे दोस्तों।"}.items():
        subprocess.run(["espeak-ng", "-v", language, "-s", "150", "-w", str(folder / f"{language}.wav"), text], check=True)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Short real clips, cut from a man talking, and speech for them."""
    return make_once(tmp_path_factory, "talking", make_clips)
