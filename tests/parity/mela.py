"""mela's side of the comparison: its programs, and the models that both sides read."""
import dataclasses
import json
import subprocess

import numpy as np

from ..support.paths import BUILD, ROOT


@dataclasses.dataclass
class Row:
    """One thing that was compared."""
    what: str
    count: int  # of numbers, or of what `what` says
    difference: float
    bound: float
    note: str = ""

    @property
    def passed(self):
        return self.difference <= self.bound


def lines(*command, input=None):
    """What each line of the program's output says."""
    done = subprocess.run(list(map(str, command)), input=input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} {command[1]}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def tool(*command, **options):
    return lines(BUILD / "tests/diffusion/diffusion_tool", *command, **options)


def make_model(folder, **options):
    """tiny_sdxl.make, by the Python that has onnx."""
    code = "import json, sys; from tests.picture.tiny_sdxl import make; make(sys.argv[1], **json.loads(sys.argv[2]))"
    subprocess.run(["/usr/bin/python3", "-c", code, folder, json.dumps(options)], cwd=ROOT, check=True)
    return folder


def paint(model, asked, scratch):
    """asked: a pictures.Asked. -> pixels [count,height,width,3], latents [count,4,height/8,width/8]"""
    options = {"prompt": asked.prompt, "steps": asked.steps, "width": asked.width, "height": asked.height, "count": asked.count,
               "seed": asked.seed, "guidance": asked.guidance, "rescale": asked.rescale, "scheduler": asked.scheduler,
               "spacing": asked.spacing, "negative": asked.negative}
    given = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    subprocess.run([BUILD / "mela-bench", "picture", "--model", model, "--device", "cpu", "--output", scratch / "out", "--latents",
                    scratch / "latents", *given, *(["--karras"] if asked.karras else [])], check=True, stdout=subprocess.DEVNULL)
    pixels = [read_png(scratch / f"out-{asked.seed + k}.png", asked) for k in range(asked.count)]
    return np.stack(pixels), np.fromfile(scratch / "latents", np.float32).reshape(asked.count, 4, asked.height // 8, asked.width // 8)


def read_png(path, asked):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(asked.height, asked.width, 3)


def make_zoo(folder, model):
    """A zoo that has the model as "tiny"."""
    subprocess.run([BUILD / "mela-worker", "models", "add", "image", model, "--name", "tiny", "--models", folder, "--manifests", ROOT / "models"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


def paint_with_lora(zoo, file, weight, asked, scratch):
    """-> pixels; Euler only"""
    request = {"model": "tiny", "loras": [{"path": str(file), "weight": weight}], "output": str(scratch / "rgb"), "prompt": asked.prompt,
               "negative": asked.negative, "width": asked.width, "height": asked.height, "steps": asked.steps, "seed": asked.seed,
               "guidance": asked.guidance}
    said, = lines(BUILD / "tests/picture/painters_tool", ROOT / "models", zoo, "-", 0, input=json.dumps(request) + "\n")
    if "error" in said:
        raise RuntimeError(f"painters_tool: {said['message']}")
    return np.fromfile(scratch / "rgb", np.uint8).reshape(1, asked.height, asked.width, 3)
