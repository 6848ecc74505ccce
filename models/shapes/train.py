"""Trains the small model from nothing, on pictures that draw.py makes: the VAE, its encoder alone, the text encoders, the UNet, and
the VAE's decoder alone.

Every random choice is a function of the seed and the step, and each stage saves itself often: killed at any moment, the same command
goes on from there. Stages that are done are skipped. The last bits depend on the number of threads (environment THREADS, 1).

usage: train.py WORK [STAGE...]     WORK: a folder for checkpoints and latents; the result is WORK/*.pt
"""
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import draw
import muon
import text
import unet
import vae

SEED = 1
SAVE_EVERY = 40  # seconds


def generators(*numbers):
    """A numpy and a torch generator that depend on these numbers alone."""
    seed = np.random.SeedSequence([SEED, *numbers])
    return np.random.default_rng(seed), torch.Generator().manual_seed(int(seed.generate_state(1)[0]))


def save(path, state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def learning_rate(step, steps, peak, fall):
    """Up in 50 steps, flat, and straight down to zero in the last share `fall`: until then a run may be given more steps."""
    return peak * min(1, (step + 1) / 50, (steps - step) / (fall * steps))


def follow(average, model, step):
    """Moves the average of the weights towards the model's; the first steps are soon forgotten."""
    keep = min(0.998, (1 + step) / (10 + step))
    for mean, weight in zip(average.values(), model.state_dict().values()):
        mean.lerp_(weight, 1 - keep)


def optimisers_of(model, orthogonal):
    """Muon for the weights that have `orthogonal` in their names, AdamW for all others."""
    chosen, others = [], []
    for name, weight in model.named_parameters():
        (chosen if orthogonal and orthogonal in name and weight.dim() > 1 else others).append(weight)
    adam = torch.optim.AdamW(others, weight_decay=1e-3, betas=(0.9, 0.99))
    return [adam, muon.Muon(chosen)] if chosen else [adam]


def train(path, model, loss_of, steps, peak, fall=0.3, orthogonal=None):
    """Trains to `steps`; loss_of(step) gives the loss. Leaves {"step", "average", ...} at path, from which it also resumes."""
    optimisers = optimisers_of(model, orthogonal)
    average, first = {name: weight.clone() for name, weight in model.state_dict().items()}, 0
    if os.path.exists(path):
        state = torch.load(path)
        first, average = state["step"], state["average"]
        model.load_state_dict(state["model"])
        for optimiser, kept in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(kept)
    saved, losses = time.time(), []
    for step in range(first, steps):
        loss = loss_of(step)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = learning_rate(step, steps, peak, fall)
            optimiser.step()
        follow(average, model, step)
        losses.append(loss.item())
        if step + 1 == steps or time.time() - saved > SAVE_EVERY:
            seconds = (time.time() - saved) / len(losses)
            print(f"{os.path.basename(path)} {step + 1}/{steps} loss {np.mean(losses):.4f} {seconds:.2f} s a step", flush=True)
            save(path, {"step": step + 1, "average": average, "model": model.state_dict(),
                        "optimisers": [optimiser.state_dict() for optimiser in optimisers]})
            saved, losses = time.time(), []
    model.load_state_dict(average)
    return model.eval().requires_grad_(False)


def to_tensor(pictures):
    """[n,3,h,w] in -1..1 of uint8 pictures [n,h,w,3]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


VAE_STEPS, VAE_BATCH = 300, 8


def vae_pictures(step):
    """Half of them in colours that no caption names and at places and sizes that vary, so that other pictures survive too."""
    random, noise = generators(0, step)
    pictures = []
    for i in range(VAE_BATCH):
        colours = {name: random.integers(0, 256, 3) for name in draw.COLOURS} if i % 2 else None
        pictures.append(draw.draw(draw.scene(random), random if i % 2 else None, colours))
    return to_tensor(pictures), noise


def outline_weight(pictures):
    """1 on flat areas, more where the picture changes within a pixel or two: there the shape is."""
    change = F.max_pool2d(pictures, 3, 1, 1) + F.max_pool2d(-pictures, 3, 1, 1)
    return 1 + 4 * F.max_pool2d((change.amax(1, keepdim=True) > 0.1).float(), 3, 1, 1)


def vae_loss(model, step, strength=0.2):
    """Weighted error, a little KL, and a guide: the first three latent channels are near the picture, eight times smaller.

    The guide makes latents that a small UNet learns easily, as each cell tells the coverage of its pixels. Noise of a random strength, this at
    most, on the latents teaches the decoder to mend what the UNet gets slightly wrong.
    """
    pictures, random = vae_pictures(step)
    mean, variance = model.encode(pictures).chunk(2, 1)
    variance = variance.clamp(-30, 20)
    noise = torch.randn(mean.shape, generator=random)
    extra = strength * torch.rand(len(mean), 1, 1, 1, generator=random)
    made = model.decode(mean + noise * torch.sqrt(variance.exp() + extra ** 2))
    off = (made - pictures).abs()
    error = (outline_weight(pictures) * (off + off ** 2)).mean()
    guide = F.mse_loss(mean[:, :3], F.avg_pool2d(pictures, 8)) + 0.1 * mean[:, 3].square().mean()
    divergence = (mean ** 2 + variance.exp() - 1 - variance).mean() / 2
    return error + 0.5 * guide + 1e-4 * divergence


def train_vae(work):
    torch.manual_seed(SEED)
    model = vae.AutoencoderKL(vae.CONFIG)
    vae.start_as_pooling(model)
    return train(f"{work}/vae.pt", model, lambda step: vae_loss(model, step), VAE_STEPS, 5e-4)


ENCODER_STEPS = 800


def encoder_loss(model, step):
    """The first three latent channels are the picture, eight times smaller; the fourth says how much brighter a cell's left half is
    than its right, so that a small shape's outline is known more finely. The variance stays small."""
    pictures, _ = vae_pictures(2 * 10 ** 6 + step)
    mean, variance = model.encode(pictures).chunk(2, 1)
    halves = F.avg_pool2d(pictures.mean(1, keepdim=True), (8, 4))
    wanted = torch.cat([F.avg_pool2d(pictures, 8), 2 * (halves[..., 0::2] - halves[..., 1::2])], 1)
    return F.mse_loss(mean, wanted) + 0.01 * (variance + 5).square().mean()


def train_encoder(work):
    """Goes on with the encoder alone, and gives the VAE as it then is."""
    torch.manual_seed(SEED)
    model = train_vae(work)
    learns = torch.nn.ModuleDict({"encoder": model.encoder, "quant_conv": model.quant_conv}).requires_grad_(True)
    train(f"{work}/encoder.pt", learns, lambda step: encoder_loss(model, step), ENCODER_STEPS, 1e-3)
    return model


TEXT_STEPS, TEXT_BATCH, TEXT_LENGTH = 1200, 32, 32
SLOTS = {"shape": draw.SHAPES, "colour": list(draw.COLOURS), "size": list(draw.RADII), "place": list(draw.PLACES)}


def tokenizer():
    """Its merges come from 4,000 captions: every word that draw.py knows is one token."""
    random, _ = generators(1)
    return text.Tokenizer(text.learn_merges(draw.caption(draw.scene(random), random)[0] for _ in range(4000)))


def class_numbers(said):
    """What a caption says as class numbers, 0 for what it leaves open: of two things in the order they are named, then the ground."""
    numbers = []
    for thing in (said["things"] + [{}, {}])[:2]:
        numbers += [1 + names.index(thing[slot]) if thing.get(slot) else 0 for slot, names in SLOTS.items()]
    return numbers + [1 + SLOTS["colour"].index(said["ground"]) if said["ground"] else 0, len(said["things"])]


CLASSES = [1 + len(names) for names in SLOTS.values()] * 2 + [1 + len(draw.COLOURS), 3]


def caption_ids(words, captions):
    """The ids for both encoders: the first pads with the end mark, the second with 0, as SDXL's."""
    return torch.tensor([words(one) for one in captions]), torch.tensor([words(one, 0) for one in captions])


class Texts(torch.nn.Module):
    """Both encoders, and heads that serve their training only: from each state that the UNet will see, name what the caption says."""

    def __init__(self, vocabulary):
        super().__init__()
        self.first = text.TextModel(text.CONFIG | {"vocab_size": vocabulary})
        self.second = text.TextModel(text.CONFIG_2 | {"vocab_size": vocabulary})
        widths = text.CONFIG["hidden_size"], text.CONFIG_2["hidden_size"], text.CONFIG_2["projection_dim"]
        self.heads = torch.nn.ModuleList([torch.nn.Linear(width, sum(CLASSES)) for width in widths])

    def forward(self, ids, ids_2):
        """The states that condition the UNet, [n,77,112], and the pooled ones, [n,64]."""
        pooled, _, states_2 = self.second(ids_2)
        return torch.cat([self.first(ids)[2][-2], states_2[-2]], 2), pooled


def text_loss(model, words, step):
    """Cross entropy of all heads, at the end mark and after it, where the causal mask lets a state see the whole caption."""
    random, _ = generators(2, step)
    captions, said = zip(*(draw.caption(draw.scene(random, pairs=0.4), random) for _ in range(TEXT_BATCH)))
    ids, ids_2 = caption_ids(words, captions)
    states, pooled = model(ids[:, :TEXT_LENGTH], ids_2[:, :TEXT_LENGTH])
    ends = ids.argmax(1)
    after = ends + torch.from_numpy(random.integers(0, TEXT_LENGTH, len(ends))) % (TEXT_LENGTH - ends)
    seen = torch.cat([states[range(len(ids)), ends], states[range(len(ids)), after]])
    width = text.CONFIG["hidden_size"]
    target = torch.tensor([class_numbers(one) for one in said])
    loss = 0
    for head, state in zip(model.heads, [seen[:, :width], seen[:, width:], torch.cat([pooled, pooled])]):
        guesses = head(state).split(CLASSES, 1)
        loss = loss + sum(F.cross_entropy(guess, torch.cat([target[:, i]] * 2)) for i, guess in enumerate(guesses))
    return loss / len(CLASSES) / len(model.heads)


def train_text(work):
    torch.manual_seed(SEED)
    words = tokenizer()
    model = Texts(len(words.vocabulary))
    model = train(f"{work}/text.pt", model, lambda step: text_loss(model, words, step), TEXT_STEPS, 2e-3)
    return repeat_positions(model)


def repeat_positions(model):
    """No caption reaches further than it was trained: what follows only repeats the padding."""
    for encoder in (model.first, model.second):
        positions = encoder.text_model.embeddings.position_embedding.weight
        positions[TEXT_LENGTH:] = positions[TEXT_LENGTH - 1]
    return model


PICTURES = 16000
SIZES = [draw.SIDE, draw.SIDE, 0, 0, draw.SIDE, draw.SIDE]  # original, crop's corner, target
SCALE = 1.75  # of latents: then they have variance 1


def training_scene(random):
    made = draw.scene(random)
    while draw.held_out(made):
        made = draw.scene(random)
    return made


def encoded_pictures(coder, first, count):
    """Scaled latents of training pictures, and their captions. Nothing varies in them but what a caption may say: so the UNet has few
    outlines to learn, and learns them well."""
    pictures, captions = [], []
    for i in range(first, first + count):
        random, _ = generators(3, i)
        made = training_scene(random)
        pictures.append(draw.draw(made))
        captions.append(draw.caption(made, random)[0])
    return SCALE * coder.encode(to_tensor(pictures))[:, :4], captions


def train_latents(work):
    """What the UNet learns from: latents and ids for both encoders; the last ids are the empty caption's."""
    path = f"{work}/latents.pt"
    if not os.path.exists(path):
        coder, rows, captions = train_encoder(work), [], []
        for first in range(0, PICTURES, 100):
            latents, more = encoded_pictures(coder, first, 100)
            rows.append(latents)
            captions += more
        save(path, {"latents": torch.cat(rows), "ids": caption_ids(tokenizer(), captions + [""])})
    return torch.load(path)


UNET_STEPS, UNET_BATCH, UNET_FALL = 4200, 48, 0.6
UNET_LENGTH, UNET_PADDED = 25, 0.02  # ids until the last share of the steps, which see all padding as the finished model will
TRAIN_STEPS, BETA_START, BETA_END = 1000, 0.00085, 0.012


def signal_levels():
    """The share of signal in the squared sum at each of the 1000 steps, for scaled-linear betas."""
    betas = torch.linspace(BETA_START ** 0.5, BETA_END ** 0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def picture_weight(latents):
    """A picture of little contrast, or of a small shape, counts more: else the network learns shapes from black on white alone."""
    return latents.var((2, 3)).sum(1).rsqrt().clamp(0.3, 3)


def unet_loss(model, texts, data, levels, step):
    """Error of v, weighed so that the error of the clean picture counts by signal to noise plus one, 6 at most.

    Most padding is left out at first, which saves a third of the time.
    """
    length = UNET_LENGTH if step < (1 - UNET_PADDED) * UNET_STEPS else text.LENGTH
    random, noises = generators(4, step)
    rows = torch.from_numpy(random.integers(0, PICTURES, UNET_BATCH))
    asked = torch.where(torch.from_numpy(random.random(UNET_BATCH) < 0.1), PICTURES, rows)
    times = torch.from_numpy((np.arange(UNET_BATCH) + random.random(UNET_BATCH)) * TRAIN_STEPS // UNET_BATCH).long()
    latents = data["latents"][rows]
    noise = torch.randn(latents.shape, generator=noises)
    signal, level = levels[times].sqrt()[:, None, None, None], (1 - levels[times]).sqrt()[:, None, None, None]
    sizes = torch.tensor([SIZES] * UNET_BATCH, dtype=torch.float32)
    guess = model(signal * latents + level * noise, times, *texts(*(ids[asked, :length] for ids in data["ids"])), sizes)
    error = (guess - (signal * noise - level * latents)).square().mean((1, 2, 3))
    return (error * (6 * (1 - levels[times])).clamp(max=1) * picture_weight(latents)).mean()


def train_unet(work):
    texts, data, levels = train_text(work), train_latents(work), signal_levels()
    torch.manual_seed(SEED)
    model = unet.UNet(unet.CONFIG)
    quiet = [model.conv_out, *(part for name, part in model.named_modules() if name.endswith(("conv2", "proj_out")))]
    for part in quiet:  # each block begins as if it were not there
        torch.nn.init.zeros_(part.weight)
    return train(f"{work}/unet.pt", model, lambda step: unet_loss(model, texts, data, levels, step), UNET_STEPS, 2e-3, UNET_FALL, orthogonal="block")


DECODER_STEPS = 4600


def decoder_of(model):
    """The decoder's weights alone, to be trained while the encoder stays as the UNet knows it."""
    return torch.nn.ModuleDict({"decoder": model.decoder, "post_quant_conv": model.post_quant_conv}).requires_grad_(True)


def train_decoder(work):
    """Goes on with the decoder alone, and gives the VAE as it then is."""
    torch.manual_seed(SEED)
    model = train_encoder(work)
    train(f"{work}/decoder.pt", decoder_of(model), lambda step: vae_loss(model, 10 ** 6 + step, 0.1), DECODER_STEPS, 5e-4)
    return model


def trained(work):
    """(VAE, texts, UNet) as they were last saved, be they done or not."""
    read = lambda name: torch.load(f"{work}/{name}.pt")
    coder, texts, net = vae.AutoencoderKL(vae.CONFIG), Texts(len(tokenizer().vocabulary)), unet.UNet(unet.CONFIG)
    for name in ("vae", "encoder", "decoder", "mend"):
        if os.path.exists(f"{work}/{name}.pt"):
            coder.load_state_dict(read(name)["average"], strict=False)
    texts.load_state_dict(read("text")["average"])
    net.load_state_dict(read("unet")["average"])
    texts.requires_grad_(False)
    return coder, repeat_positions(texts), net


STAGES = {"vae": train_vae, "encoder": train_encoder, "text": train_text, "latents": train_latents, "unet": train_unet, "decoder": train_decoder}


def main():
    torch.set_num_threads(int(os.environ.get("THREADS", 1)))
    os.makedirs(sys.argv[1], exist_ok=True)
    for name in sys.argv[2:] or STAGES:
        STAGES[name](sys.argv[1])


if __name__ == "__main__":
    main()
