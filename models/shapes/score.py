"""Has the trained model draw held-out prompts, and read.py say how far it obeyed.

usage: score.py WORK [COUNT [FOLDER]]     WORK as train.py left it; COUNT prompts (200); pictures as sheets into FOLDER
"""
import os
import sys

import numpy as np
import torch

import draw
import read
import train

STEPS = 20


def euler(x, clean, sigmas, i, random, kept):
    return x + (x - clean) / sigmas[i] * (sigmas[i + 1] - sigmas[i])


def euler_ancestral(x, clean, sigmas, i, random, kept):
    sigma, after = sigmas[i], sigmas[i + 1]
    up = after * (1 - after ** 2 / sigma ** 2) ** 0.5
    down = after ** 2 / sigma
    return x + (x - clean) / sigma * (down - sigma) + up * noise_of(random)


def dpmpp_2m(x, clean, sigmas, i, random, kept):
    """kept: the clean pictures of the steps before. The first step and the last are of first order."""
    sigma, after, before = sigmas[i], sigmas[i + 1], kept[-1] if kept else None
    kept.append(clean)
    if not after:
        return clean
    if before is not None:
        ratio = np.log(sigmas[i - 1] / sigma) / np.log(sigma / after)
        clean = clean + (clean - before) / (2 * ratio)
    return after / sigma * x + (1 - after / sigma) * clean


SCHEDULERS = {"Euler": euler, "Euler ancestral": euler_ancestral, "DPM++ 2M": dpmpp_2m}


def noise_of(random):
    """Latent noise, one picture from each generator."""
    return torch.cat([torch.randn(1, 4, draw.SIDE // 8, draw.SIDE // 8, generator=one) for one in random])


def prompts(count, pairs):
    """Captions of scenes that no training picture shows, and what they say. pairs: 1 for two shapes, 0 for one."""
    out = []
    for seed in range(10 * count * 10):
        random = np.random.default_rng([99, pairs, seed])
        made = draw.scene(random, pairs=pairs, empty=0)
        if draw.held_out(made):
            out.append(draw.caption(made, random))
        if len(out) == count:
            return out


class Model:
    def __init__(self, work):
        self.coder, self.texts, self.unet = train.trained(work)
        self.words = train.tokenizer()
        levels = train.signal_levels().double()
        step = train.TRAIN_STEPS // STEPS
        self.times = [1 + step * i for i in reversed(range(STEPS))]  # "leading", offset 1
        self.sigmas = [float(((1 - levels[t]) / levels[t]).sqrt()) for t in self.times] + [0.0]

    @torch.no_grad()
    def conditions(self, captions):
        return self.texts(*train.caption_ids(self.words, captions))

    @torch.no_grad()
    def latents(self, captions, guidance, negatives=None, seed=0, scheduler=euler):
        """What the VAE's decoder gets, [n,4,8,8]; v-prediction, one generator per picture (seed + its number)."""
        wanted, avoided = self.conditions(captions), self.conditions(negatives or [""] * len(captions))
        random, kept = [torch.Generator().manual_seed(seed + i) for i in range(len(captions))], []
        x = noise_of(random) * (self.sigmas[0] ** 2 + 1) ** 0.5
        for i, (time, sigma) in enumerate(zip(self.times, self.sigmas)):
            v = self.velocity(x / (sigma ** 2 + 1) ** 0.5, time, wanted)
            if guidance > 1:
                other = self.velocity(x / (sigma ** 2 + 1) ** 0.5, time, avoided)
                v = other + guidance * (v - other)
            clean = x / (sigma ** 2 + 1) - v * sigma / (sigma ** 2 + 1) ** 0.5
            x = scheduler(x, clean, self.sigmas, i, random, kept)
        return x / train.SCALE

    def draw(self, *arguments, **options):
        """Pictures [n,h,w,3] uint8."""
        with torch.no_grad():
            pictures = self.coder.decode(self.latents(*arguments, **options)).clamp(-1, 1) * 127.5 + 127.5
        return pictures.round().byte().permute(0, 2, 3, 1).numpy()

    def velocity(self, x, time, condition):
        sizes = torch.tensor([train.SIZES] * len(x), dtype=torch.float32)
        return self.unet(x, torch.tensor([time]), *condition, sizes)


def tally(said, pictures):
    """{answer: share right} and, as "obeyed", the share of pictures whose shapes and colours are all as said."""
    right = {}
    for one, picture in zip(said, pictures):
        answers = read.agrees(one, read.read(picture))
        answers["obeyed"] = [all(answers.get("shape", []) + answers.get("colour", []))]
        for name, values in answers.items():
            right.setdefault(name, []).extend(values)
    return {name: float(np.mean(values)) for name, values in right.items()}


def report(name, shares):
    print(f"{name}: " + ", ".join(f"{key} {100 * share:.1f}" for key, share in sorted(shares.items())), flush=True)


def avoidance(model, guidance, count=25):
    """How many pictures show each colour, without and with its name as the negative prompt, where the prompt leaves the colours open."""
    captions = [f"a {shape}" for shape in draw.SHAPES * count][:count]
    has = lambda picture, colour: colour in (picture["ground"], *(thing["colour"] for thing in picture["things"]))
    seen = lambda negatives: [read.read(picture) for picture in model.draw(captions, guidance, negatives, seed=5000)]
    free = seen(None)
    for colour in draw.COLOURS:
        before, after = (sum(has(one, colour) for one in pictures) for pictures in (free, seen([colour] * count)))
        print(f"negative {colour}: {before} of {count} show it without, {after} with", flush=True)


def main():
    torch.set_num_threads(1)
    model, count = Model(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    tries = [(0, 1, "Euler"), *((0, guidance, name) for name in SCHEDULERS for guidance in (3, 5)), (1, 3, "Euler")]
    for pairs, guidance, scheduler in tries:
        captions, said = zip(*prompts(count // 4 if pairs else count, pairs))
        pictures = model.draw(captions, guidance, seed=1000, scheduler=SCHEDULERS[scheduler])
        report(f'{"two shapes" if pairs else "one shape"}, guidance {guidance}, {scheduler}', tally(said, pictures))
        if len(sys.argv) > 3:
            os.makedirs(sys.argv[3], exist_ok=True)
            with open(f"{sys.argv[3]}/{pairs + 1}-{guidance}-{scheduler}.png", "wb") as file:
                file.write(draw.png(draw.sheet(list(pictures[:64]))))
    avoidance(model, 5)


if __name__ == "__main__":
    main()
