"""Noise against torch, and the tables of schedulers against diffusers'."""
import diffusers
import numpy as np
import torch

from ..picture.tiny_sdxl import SCHEDULER
from .mela import Row, tool

CLASSES = {"euler": diffusers.EulerDiscreteScheduler, "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler,
           "dpmpp_2m": diffusers.DPMSolverMultistepScheduler, "lcm": diffusers.LCMScheduler}
SPACINGS = "linspace", "leading", "trailing"


def scheduler(name, spacing=None, karras=False):
    """diffusers' scheduler of a name of ours, with SDXL's configuration."""
    options = {**({"timestep_spacing": spacing} if spacing else {}), **({"use_karras_sigmas": True} if karras else {})}
    return CLASSES[name].from_config(SCHEDULER, **options)


def noise_rows():
    counts = [3, 16, 20, 1024, 65536, 64516, 5]
    different = 0
    for seed in 0, 42, 1234567, 2 ** 32 - 1:
        generator = torch.Generator().manual_seed(seed)
        for ours, count in zip(tool("noise", seed, *counts), counts):
            theirs = torch.randn(count, generator=generator).numpy()
            different += int((np.float32(ours).view(np.uint32) != theirs.view(np.uint32)).sum())
    yield Row("words of noise, 4 seeds, 7 draws each", 4 * sum(counts), different, 0)


def off(found, wanted):
    """The largest relative difference; of numbers near 0, such as the time 0, the absolute one."""
    found, wanted = np.float64(found), np.float64(wanted)
    return float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-3)).max(initial=0))


def table_row(config, name, spacing, karras, skipped=()):
    lines = tool("schedule", config, name, spacing or "-", int(karras) if spacing else -1, 1, 100 if spacing else 50, 0)
    theirs, worst, count = scheduler(name, spacing, karras), 0., 0
    for n, line in enumerate(lines, 1):
        if n in skipped:
            continue
        theirs.set_timesteps(n)
        pairs = [(line["times"], theirs.timesteps)] + ([(line["sigmas"], theirs.sigmas)] if spacing else [])
        worst = max([worst, off(line["first_scale"], float(theirs.init_noise_sigma)), *(off(a, b.numpy()) for a, b in pairs)])
        count += sum(len(a) for a, _ in pairs)
    options = " ".join(filter(None, [spacing, "Karras" * karras]))
    note = " ".join(f"n = {n} is not compared: diffusers has a step more, at -1" for n in skipped)
    return Row(f"times and sigmas of {name} {options}".rstrip(), count, worst, 2e-6, note)


def rows(config):
    """config: the file with SDXL's scheduler configuration."""
    yield from noise_rows()
    for name in "euler", "euler_ancestral", "dpmpp_2m":
        for spacing in SPACINGS:
            for karras in (False, True) if name != "euler_ancestral" else (False,):
                yield table_row(config, name, spacing, karras, (61,) if spacing == "trailing" else ())
    yield table_row(config, "lcm", None, False)
