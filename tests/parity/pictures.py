"""Whole pictures of the tiny model, against StableDiffusionXLPipeline with the same weights."""
import dataclasses

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from . import mela, tables
from .mela import Row

PROMPT, NEGATIVE = "a photo of a red cat on the moon! highly detailed", "blurry, low quality"
LATENTS = 1e-4  # of their deviation


@dataclasses.dataclass
class Asked:
    what: str = ""
    prompt: str = PROMPT
    negative: str | None = NEGATIVE
    scheduler: str = "euler"
    spacing: str | None = None
    karras: bool = False
    steps: int = 6
    width: int = 128
    height: int = 64
    count: int = 1
    seed: int = 5
    guidance: float = 5.
    rescale: float = 0.


ASKED = [
    Asked("Euler"),
    Asked("no negative", negative=None),
    Asked("empty negative", negative=""),
    Asked("guidance 1", guidance=1.),
    Asked("rescale 0.7", rescale=0.7),
    Asked("96 x 160", width=96, height=160),
    Asked("three at once", count=3),
    Asked("over 77 tokens, cut", prompt=f"{PROMPT}, " * 12),
    Asked("Euler trailing Karras", spacing="trailing", karras=True),
    Asked("Euler ancestral", scheduler="euler_ancestral"),
    Asked("DPM++ 2M", scheduler="dpmpp_2m"),
    Asked("DPM++ 2M Karras, 12 steps", scheduler="dpmpp_2m", karras=True, steps=12),
    Asked("LCM, guidance 1", scheduler="lcm", guidance=1., steps=4),
]


def load(folder):
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def paint(pipe, asked):
    """As mela.paint."""
    latents = []

    def keep(_pipe, _step, _time, values):
        latents.append(values["latents"])
        return values

    spacing = asked.spacing or ("leading" if asked.scheduler != "lcm" else None)
    pipe.scheduler = tables.scheduler(asked.scheduler, spacing, asked.karras)
    images = pipe(asked.prompt, negative_prompt=asked.negative, num_inference_steps=asked.steps, width=asked.width, height=asked.height,
                  guidance_scale=asked.guidance, guidance_rescale=asked.rescale, num_images_per_prompt=asked.count,
                  generator=[torch.Generator().manual_seed(asked.seed + k) for k in range(asked.count)], callback_on_step_end=keep).images
    return np.stack([np.asarray(image) for image in images]), latents[-1].numpy()


def levels(ours, theirs):
    return np.abs(ours.astype(int) - theirs)


def rows(model, scratch):
    pipe = load(model)
    for asked in ASKED:
        (pixels, latents), (wanted_pixels, wanted) = mela.paint(model, asked, scratch), paint(pipe, asked)
        yield Row(f"latents: {asked.what}", wanted.size, float(np.abs(latents - wanted).max() / wanted.std()), LATENTS)
        yield Row(f"pixels: {asked.what}", wanted_pixels.size, int(levels(pixels, wanted_pixels).max()), 1)


def half_rows(model, scratch):
    """model: of float16. diffusers computes with its weights in float32."""
    asked = Asked()
    found, wanted = mela.paint(model, asked, scratch)[0], paint(load(model), asked)[0]
    yield Row("pixels on the average: float16, and diffusers with weights rounded alike", wanted.size, float(levels(found, wanted).mean()), 2)
