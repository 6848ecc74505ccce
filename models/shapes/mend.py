"""Goes on with the VAE's decoder alone, on latents that the finished UNet made: it learns to draw clean outlines from what is nearly right.

usage: mend.py WORK     WORK as train.py left it; leaves WORK/made.pt and WORK/mend.pt
"""
import os
import sys

import torch

import draw
import score
import train

MADE, AT_ONCE, STEPS, BATCH = 600, 50, 300, 6


def made(work):
    """The UNet's latents of full captions, [n,4,8,8], and the pictures meant."""
    path = f"{work}/made.pt"
    if not os.path.exists(path):
        model, latents, pictures = score.Model(work), [], []
        for first in range(0, MADE, AT_ONCE):
            random, _ = train.generators(5, first)
            scenes = [train.training_scene(random) for _ in range(AT_ONCE)]
            latents.append(model.latents([draw.caption(one, random, full=True)[0] for one in scenes], 3, seed=10 ** 6 + first))
            pictures.append(train.to_tensor([draw.draw(one) for one in scenes]))
        train.save(path, {"latents": torch.cat(latents), "pictures": torch.cat(pictures)})
    return torch.load(path)


def mend_loss(model, data, step):
    """The error on latents that the UNet made, and the VAE's own loss on drawn pictures, so that it still decodes these."""
    random, _ = train.generators(6, step)
    rows = torch.from_numpy(random.integers(0, len(data["latents"]), BATCH))
    pictures = data["pictures"][rows]
    off = (model.decode(data["latents"][rows]) - pictures).abs()
    return (train.outline_weight(pictures) * (off + off ** 2)).mean() + train.vae_loss(model, 2 * 10 ** 6 + step, 0.1)


def main():
    torch.set_num_threads(int(os.environ.get("THREADS", 1)))
    work = sys.argv[1]
    data, model = made(work), train.train_decoder(work)
    train.train(f"{work}/mend.pt", train.decoder_of(model), lambda step: mend_loss(model, data, step), STEPS, 5e-4, fall=1.0)


if __name__ == "__main__":
    main()
