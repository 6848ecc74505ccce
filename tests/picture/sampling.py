"""How diffusers' StableDiffusionXLPipeline makes a picture with five networks, in numpy: text, noise, schedulers, guidance, pixels.

`networks` is anything that is called as an Oracle is. Noise comes in as arrays, so that what is compared has the same.
"""
import types

import numpy as np

TRAINED = 1000  # steps


# ---- text ----

def text(networks, ids, ids_2, skipped=1):
    """Ids of both tokenizers [batch,77] -> what the UNet is conditioned on: [batch,77,both widths] and [batch,pooled]. skipped: how many
    layers at the end are left out."""
    one, two = networks("text_encoder", input_ids=ids), networks("text_encoder_2", input_ids=ids_2)
    def state(outputs):
        last = sum(name.startswith("hidden_states.") for name in outputs) - 1
        return outputs[f"hidden_states.{last - skipped}"]
    return np.concatenate([state(one), state(two)], -1), two["text_embeds"]


def nothing(condition):
    """What stands for a negative prompt that is not given (an empty one is encoded)."""
    return tuple(np.zeros_like(part) for part in condition)


def size_ids(batch, height, width, original=None, crop=(0, 0)):
    return np.tile([*(original or (height, width)), *crop, height, width], (batch, 1)).astype(float)


# ---- noise ----

def torch_noise(seed, shape):
    """torch.randn on the CPU in float32, but for the last two bits: at least 16 numbers."""
    count = int(np.prod(shape))
    random = np.random.RandomState(seed)
    uniform = lambda n: np.float64(random._bit_generator.random_raw(n) & 0xffffff) * 2.0 ** -24  # numpy has no public way to it

    def block(u):
        radius, angle = np.sqrt(-2 * np.log(1 - u[:8])), 2 * np.pi * u[8:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])

    drawn = uniform(count)
    noise = np.concatenate([block(drawn[at:at + 16]) for at in range(0, count - 15, 16)] + [np.zeros(count % 16)])
    if count % 16:
        noise[-16:] = block(uniform(16))
    return noise.astype(np.float32).reshape(shape)


# ---- schedules ----

def linspace(start, end, count):
    """torch's on the CPU: float32, the second half counted from the end."""
    start, end = np.float32(start), np.float32(end)
    step, i = (end - start) / np.float32(count - 1), np.arange(count, dtype=np.float32)
    return np.where(i < count // 2, start + step * i, end - step * (np.float32(count - 1) - i))


ALPHAS = np.cumprod((1 - linspace(0.00085 ** 0.5, 0.012 ** 0.5, TRAINED) ** 2).astype(np.float64)).astype(np.float32)
SIGMAS = np.sqrt((1 - ALPHAS) / ALPHAS)


def karras(largest, smallest, count):
    ramp = np.linspace(0, 1, count)
    return (largest ** (1 / 7) + ramp * (smallest ** (1 / 7) - largest ** (1 / 7))) ** 7


def step_of(sigma):
    return np.interp(np.log(sigma), np.log(SIGMAS.astype(float)), np.arange(TRAINED))


def schedule(kind, count, spacing="leading", is_karras=False):
    """kind: euler, euler_ancestral or dpm. Time steps from noise to picture, their sigmas with a 0 at the end, the scale of the first noise."""
    dpm = kind == "dpm"
    extra = count + dpm  # DPM++ leaves the last of one more out
    if spacing == "leading":
        steps = (np.arange(extra) * (TRAINED // extra))[::-1][:count] + 1.
    elif spacing == "trailing":
        steps = np.round(np.arange(TRAINED, 0, -TRAINED / count)) - 1
    else:
        steps = np.linspace(0, TRAINED - 1, extra)[::-1][:count]
        steps = steps.round() if dpm else steps
    sigmas = np.interp(steps, np.arange(TRAINED), SIGMAS)
    if is_karras:
        largest, smallest = (SIGMAS[-1], SIGMAS[0]) if dpm else (sigmas[0], sigmas[-1])
        sigmas = karras(float(largest), float(smallest), count)
        steps = step_of(sigmas).round() if dpm else step_of(sigmas)
    first = 1 if dpm else (sigmas[0] ** 2 + 1) ** 0.5 if spacing == "leading" else sigmas[0]
    return types.SimpleNamespace(steps=steps.astype(np.float32), sigmas=np.append(sigmas, 0).astype(np.float32).astype(float), first=first)


def lcm_steps(count):
    return np.arange(1, 51)[::-1][np.floor(np.linspace(0, 50, count, endpoint=False)).astype(int)] * (TRAINED // 50) - 1


# ---- steps: each takes predict(latents, time step) -> noise in them, and gives the latents after every step ----

def euler(predict, plan, noise):
    x, states = noise * plan.first, []
    for step, sigma, following in zip(plan.steps, plan.sigmas, plan.sigmas[1:]):
        x = x + (following - sigma) * predict(x / np.sqrt(sigma ** 2 + 1), step)
        states.append(x)
    return states


def euler_ancestral(predict, plan, noise, noises):
    x, states = noise * plan.first, []
    for step, sigma, following, fresh in zip(plan.steps, plan.sigmas, plan.sigmas[1:], noises):
        up = np.sqrt(following ** 2 * (sigma ** 2 - following ** 2) / sigma ** 2)
        down = np.sqrt(following ** 2 - up ** 2)
        x = x + (down - sigma) * predict(x / np.sqrt(sigma ** 2 + 1), step) + up * fresh
        states.append(x)
    return states


def dpm(predict, plan, noise):
    """DPM-Solver++(2M), midpoint; of first order at the first and the last step."""
    x, states, last = noise * plan.first, [], None
    for i, step in enumerate(plan.steps):
        sigma, following = plan.sigmas[i:i + 2]
        alpha, alpha_next = 1 / np.sqrt(sigma ** 2 + 1), 1 / np.sqrt(following ** 2 + 1)
        picture = (x - sigma * alpha * predict(x, step)) / alpha
        with np.errstate(divide="ignore"):
            h = np.log(sigma) - np.log(following)
        slope = 0
        if 0 < i < len(plan.steps) - 1:
            slope = (picture - last) * h / (np.log(plan.sigmas[i - 1]) - np.log(sigma))
        x = following * alpha_next / (sigma * alpha) * x - alpha_next * np.expm1(-h) * (picture + slope / 2)
        last = picture
        states.append(x)
    return states


def lcm(predict, count, noise, noises):
    x, states, steps = noise, [], lcm_steps(count)
    alphas = ALPHAS.astype(float)
    for i, step in enumerate(steps):
        picture = (x - np.sqrt(1 - alphas[step]) * predict(x, step)) / np.sqrt(alphas[step])
        scaled = 10. * step
        x = scaled / np.sqrt(scaled ** 2 + 0.25) * picture + 0.25 / (scaled ** 2 + 0.25) * x
        if i + 1 < len(steps):
            x = np.sqrt(alphas[steps[i + 1]]) * x + np.sqrt(1 - alphas[steps[i + 1]]) * noises[i]
        states.append(x)
    return states


# ---- the whole ----

def guided(networks, positive, negative, sizes, guidance, rescale=0):
    """predict() of the UNet. guidance 1 or less: the negative is not asked."""
    def ask(x, step, condition, sizes):
        return networks("unet", sample=x, timestep=np.float32(step), encoder_hidden_states=condition[0], text_embeds=condition[1],
                        time_ids=sizes)["out_sample"].astype(float)

    def predict(x, step):
        if guidance <= 1:
            return ask(x, step, positive, sizes)
        both = [np.concatenate(pair) for pair in zip(negative, positive)]
        without, with_ = np.split(ask(np.concatenate([x, x]), step, both, np.concatenate([sizes, sizes])), 2)
        mixed = without + guidance * (with_ - without)
        ratio = with_.std((1, 2, 3), keepdims=True) / mixed.std((1, 2, 3), keepdims=True)
        return mixed * (1 + rescale * (ratio - 1))
    return predict


def text_to_image(networks, prompts, negatives, noise, sampler, guidance=5):
    """prompts, negatives: ids of both tokenizers; negatives may be None. sampler(predict, noise) is one of the above, with its plan bound.
    -> the latents after every step, and pixels."""
    positive = text(networks, *prompts)
    negative = text(networks, *negatives) if negatives else nothing(positive)
    batch, _, height, width = noise.shape
    predict = guided(networks, positive, negative, size_ids(batch, 8 * height, 8 * width), guidance)
    states = sampler(predict, noise)
    return states, pixels(networks, states[-1])


def pixels(networks, latents, scaling=0.13025):
    """[batch,h,w,3] in 0..255."""
    sample = networks("vae_decoder", latent_sample=latents / scaling)["sample"].astype(float)
    return np.rint(np.clip(sample / 2 + 0.5, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def encoded(networks, picture, noise, scaling=0.13025):
    """Latents of pixels [batch,h,w,3]; noise 0 gives the middle of what they could be."""
    parameters = networks("vae_encoder", sample=picture.transpose(0, 3, 1, 2) / 127.5 - 1)["latent_parameters"].astype(float)
    mean, logarithm = np.split(parameters, 2, 1)
    return (mean + np.exp(np.clip(logarithm, -30, 20) / 2) * noise) * scaling
