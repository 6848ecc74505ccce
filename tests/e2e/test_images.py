"""Pictures from words, by the real programs, with a tiny model of SDXL's true structure."""
import hashlib
import json
import shutil
import signal
import subprocess

import numpy as np
import pytest

from ..picture import lora_files, oracle, safetensors, test_painter
from ..picture.conftest import tiny  # noqa: F401
from ..support.paths import BUILD, DEPS, ROOT
from ..support.waiting import wait_for
from .farm_process import Farm
from .production import Production

PROMPT = {"prompt": test_painter.PROMPT, "negative_prompt": test_painter.NEGATIVE, "seed": test_painter.SEED, "width": 128, "height": 64,
          "steps": 4, "guidance": 5}


def make_models(folder, tiny):  # noqa: F811
    """A folder of models with the image model "tiny", as a user adds it, and the enhancer."""
    folder.mkdir()
    subprocess.run([BUILD / "mela-worker", "models", "add", "image", tiny(), "--name", "tiny", "--models", folder, "--manifests", ROOT / "models"],
                   check=True, capture_output=True)
    shutil.copy(DEPS / "models/realesrgan-fast.onnx", folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny):  # noqa: F811
    return make_models(tmp_path_factory.mktemp("models") / "models", tiny)


@pytest.fixture
def farm(tmp_path, models):
    farm = Images(tmp_path, models)
    yield farm
    farm.stop()


class Images(Production):
    def __init__(self, folder, models):
        super().__init__(folder, models=models)
        self.start("cpu,image")
        self.commands = Farm(folder)

    def submit(self, *prompts, **images):
        spec = {"name": "key art", "class": "urgent", "images": {"model": "tiny", "prompts": [{**PROMPT, **p} for p in prompts], **images}}
        (self.folder / "spec.json").write_text(json.dumps(spec))
        return self.commands.json("submit", self.folder / "spec.json")["id"]

    def draw(self, *prompts, **images):
        campaign = self.submit(*prompts, **images)
        return campaign, self.commands.wait(campaign)

    def file(self, campaign, name):
        return self.commands.api(f"/v1/campaigns/{campaign}/files/{name}")

    def record(self, campaign, job):
        return json.loads(self.file(campaign, f"{job}/record.json"))

    def hashes(self, campaign, job):
        return [picture["sha256"] for picture in self.record(campaign, job)["pictures"]]

    def jobs(self, campaign):
        return {job["id"].partition("/")[2]: job for job in json.loads(self.commands.api(f"/v1/campaigns/{campaign}/jobs"))["items"]}


def pixels(folder, png):
    """[height, width, 3] of a PNG's bytes."""
    path = folder / "picture.png"
    path.write_bytes(png)
    size = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", path], capture_output=True,
                          text=True, check=True).stdout
    width, height = map(int, size.strip().rstrip(",").split(","))
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(height, width, 3)


def texts(png):
    """The text chunks of a PNG: {key: text}."""
    found, at = {}, 8
    while at < len(png):
        length, kind = int.from_bytes(png[at:at + 4], "big"), png[at + 4:at + 8]
        data = png[at + 8:at + 8 + length]
        if kind == b"tEXt":
            key, _, text = data.partition(b"\0")
            found[key.decode()] = text.decode("latin-1")
        elif kind == b"iTXt":
            key, _, rest = data.partition(b"\0")
            found[key.decode()] = rest[2:].split(b"\0", 2)[2].decode()
        at += 12 + length
    return found


def test_a_campaign_of_pictures_from_spec_to_sheet(farm, tiny):  # noqa: F811
    """Five pictures of a prompt are two jobs; the first one is the oracle's, each has its own seed, the sheet shows all."""
    campaign, ended = farm.draw({"count": 5}, {"prompt": "मुंबई at night 🌃"})
    assert ended["state"] == "done", farm.log_of("worker")
    assert set(farm.jobs(campaign)) == {"image/0000", "image/0001", "image/0002", "sheet"}
    record = farm.record(campaign, "image/0000")
    assert [p["seed"] for p in record["pictures"]] == [5, 6, 7, 8] and farm.record(campaign, "image/0001")["pictures"][0]["seed"] == 9
    first = farm.file(campaign, "image/0000/0.png")
    assert hashlib.sha256(first).hexdigest() == record["pictures"][0]["sha256"]
    test_painter.assert_same(pixels(farm.folder, first), test_painter.expected(tiny(), test_painter.euler))
    index = json.loads(farm.file(campaign, "index.json"))
    assert [p["number"] for p in index["pictures"]] == list(range(6)) and index["pictures"][5]["file"] == "image/0002/0.png"
    sheet = pixels(farm.folder, farm.file(campaign, "sheet.png"))
    assert sheet.shape == (2 * 132 + 4, 3 * 132 + 4, 3)
    assert np.array_equal(sheet[4 + 32:4 + 96, 4:4 + 128], pixels(farm.folder, first))
    wait_for(lambda: "\nmela_pictures_total 6\n" in farm.commands.api("/metrics").decode(), "the pictures to be counted")


def test_an_executor_draws_first_what_it_has_loaded(farm, style):
    """Two LoRAs in turn and one executor: it loads each once, though the line has them one after the other."""
    farm.processes.pop().terminate()
    farm.start_worker("single", "image", "--slots", "1")
    uri = upload(farm, style.read_bytes())
    campaign, ended = farm.draw(*({"loras": [{"name": "mine", "file": uri, "weight": 0.5 + i % 2 / 4}]} for i in range(6)), sheet=False)
    assert ended["state"] == "done"
    claimed = [int(job[-4:]) for job in farm.claimed("image", "single")]
    assert claimed == [0, 2, 4, 1, 3, 5]


def test_a_picture_says_how_it_was_made(farm):
    campaign, _ = farm.draw({"prompt": "नीला दरवाज़ा", "negative_prompt": None})
    found = texts(farm.file(campaign, "image/0000/0.png"))
    assert found["parameters"].startswith("नीला दरवाज़ा\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 5, Size: 128x64, Model hash: ")
    made = json.loads(found["mela"])
    assert made["recipe"]["prompts"][0]["prompt"] == "नीला दरवाज़ा" and made["origin"]["model"]["name"] == "tiny"
    campaign, _ = farm.draw({}, metadata=False)
    assert texts(farm.file(campaign, "image/0000/0.png")) == {}


def test_a_recipe_gives_the_same_bytes_again(farm):
    """In another campaign, from another worker."""
    campaign, _ = farm.draw({"count": 6, "scheduler": "dpmpp_2m_karras"}, sheet=False)
    recipe = farm.record(campaign, "image/0001")["recipe"]
    farm.processes.pop().terminate()
    farm.start_worker("second", "image")
    again, ended = farm.draw(*recipe["prompts"], **{key: value for key, value in recipe.items() if key not in ("model", "prompts")})
    assert ended["state"] == "done"
    assert farm.hashes(again, "image/0000") == farm.hashes(campaign, "image/0001")


def test_a_handful_that_cannot_be_drawn_costs_the_campaign_only_itself(farm):
    """The first LoRA is none: its job dies, the others are drawn, and the sheet has a gap."""
    campaign, ended = farm.draw({"loras": [{"name": "nobody-has-it", "weight": 1, "file": upload(farm, b"no LoRA at all")}]}, {"seed": 8})
    assert ended["state"] == "partial"
    jobs = farm.jobs(campaign)
    assert jobs["image/0000"]["state"] == "dead" and jobs["image/0000"]["error"]["code"] == "weights.invalid"
    assert [p.get("missing", False) for p in json.loads(farm.file(campaign, "index.json"))["pictures"]] == [True, False]


def upload(farm, data):
    digest = hashlib.sha256(data).hexdigest()
    (farm.folder / "store/files").mkdir(parents=True, exist_ok=True)
    (farm.folder / "store/files" / digest).write_bytes(data)
    return f"sha256:{digest}"


@pytest.fixture(scope="module")
def style(tmp_path_factory, tiny):  # noqa: F811
    """A file with a LoRA for the tiny model."""
    path = tmp_path_factory.mktemp("lora") / "style.safetensors"
    tensors, metadata = lora_files.peft(lora_files.draw(oracle.Oracle(tiny()).weights, seed=3))
    safetensors.write(path, tensors, metadata)
    return path


def test_a_lora_is_a_file_of_the_users_or_one_of_the_workers(farm, style):
    """Both give the same picture, which differs from the one without; a weight of 0 gives the one without."""
    subprocess.run([BUILD / "mela-worker", "models", "add", "lora", style, "--name", "style", "--models", farm.models, "--manifests",
                    ROOT / "models"], check=True, capture_output=True)
    uri = upload(farm, style.read_bytes())
    campaign, ended = farm.draw({}, {"loras": [{"name": "style", "weight": 0.8}]}, {"loras": [{"name": "mine", "file": uri, "weight": 0.8}]},
                                {"loras": [{"name": "style", "weight": 0}]}, metadata=False)
    assert ended["state"] == "done", farm.log_of("worker")
    plain, named, given, nothing = (farm.hashes(campaign, f"image/{i:04}")[0] for i in range(4))
    assert named == given != plain == nothing


def test_the_enhancer_makes_a_picture_four_times_as_large(farm):
    """Of 320 pixels, so that it has more than one tile: shrunk again it is near the one that was not enhanced."""
    size = {"width": 320, "height": 64}
    campaign, ended = farm.draw({**size, "enhance": True}, size)
    assert ended["state"] == "done", farm.log_of("worker")
    large, small = (pixels(farm.folder, farm.file(campaign, f"image/{i:04}/0.png")).astype(int) for i in range(2))
    assert large.shape == (256, 1280, 3) and farm.record(campaign, "image/0000")["pictures"][0]["width"] == 1280
    shrunk = large.reshape(64, 4, 320, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 20
    seam = np.abs(shrunk[:, 255] - shrunk[:, 256]).mean()
    assert seam < 2 * np.abs(np.diff(shrunk, axis=1)).mean()


LONG = {"width": 512, "height": 512}  # a step takes a tenth of a second: the job is seen at work, and stopped there


def wait_for_steps(farm, campaign):
    wait_for(lambda: (farm.jobs(campaign)["image/0000"].get("progress") or {}).get("step") == "denoise", "the steps")


def test_an_executor_that_is_killed_costs_a_picture_a_second(farm):
    """SIGKILL in the middle of the steps: the job is done again, and the crash is its own."""
    campaign = farm.submit({**LONG, "steps": 60}, sheet=False)
    wait_for_steps(farm, campaign)
    for pid in executors(farm):
        subprocess.run(["kill", f"-{signal.SIGKILL}", str(pid)], check=False)
    ended = farm.commands.wait(campaign)
    assert ended["state"] == "done" and farm.jobs(campaign)["image/0000"]["crashes"] == 1


def executors(farm):
    worker = farm.processes[-1].pid
    return map(int, subprocess.run(["pgrep", "-P", str(worker)], capture_output=True, text=True).stdout.split())


def test_cancel_stops_the_steps(farm):
    campaign = farm.submit({**LONG, "steps": 500})
    wait_for_steps(farm, campaign)
    farm.commands.run("cancel", campaign)
    wait_for(lambda: not any(w["jobs"] for w in farm.commands.workers()), "the worker to be idle")
    assert farm.draw({})[1]["state"] == "done"


def test_imagine_from_words_to_files_and_again(farm):
    """As a user types it: pictures in a folder, and one of them again, to the same bytes."""
    words = [PROMPT["prompt"], "--negative", PROMPT["negative_prompt"], "--seed", 5, "--size", "128x64", "--steps", 4, "--guidance", 5]
    out, again = farm.folder / "out", farm.folder / "again"
    farm.commands.run("imagine", *words, "--count", 2, "--model", "tiny", "--output", out)
    pictures = sorted(path for path in out.iterdir() if path.suffix == ".png" and "sheet" not in path.name)
    assert len(pictures) == 2 and (out / "index.json").exists()
    done = farm.commands.run("imagine", "--again", pictures[1], "--output", again)
    assert "not the same" not in done.stdout and "same" in done.stdout
    assert pictures[1].read_bytes() in [path.read_bytes() for path in again.iterdir()]
