"""SDXL's networks in plain numpy, in float64, from the formulas in diffusers and transformers: the measure for everything else.

It reads the safetensors and configurations of a model folder and shares nothing with what writes the graphs. An Oracle is called as
the ONNX files are: oracle("unet", sample=..., timestep=..., ...)["out_sample"].
"""
import json
import math
import pathlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from . import safetensors

FILES = {"text_encoder": "model.safetensors", "text_encoder_2": "model.safetensors", "unet": "diffusion_pytorch_model.safetensors",
         "vae": "diffusion_pytorch_model.safetensors"}


class Part:
    """The weights of one module; `part / name` is a module inside it, `part["weight"]` one of its own."""

    def __init__(self, tensors, path=""):
        self.tensors, self.path = tensors, path

    def __truediv__(self, name):
        return Part(self.tensors, f"{self.path}{name}.")

    def __getitem__(self, leaf):
        return self.tensors[self.path + leaf]

    def __bool__(self):
        return any(name.startswith(self.path) for name in self.tensors)

    def all(self, name):
        """name.0, name.1, ... as far as there are weights of that name."""
        found = []
        while part := self / f"{name}.{len(found)}":
            found.append(part)
        return found


# ---- layers ----

def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def quick_gelu(x):
    return x * sigmoid(1.702 * x)


def gelu(x):
    return x * 0.5 * (1 + np.frompyfunc(math.erf, 1, 1)(x / math.sqrt(2)).astype(x.dtype))


def linear(part, x):
    y = x @ part["weight"].T
    return y + part["bias"] if part.path + "bias" in part.tensors else y


def conv(part, x, stride=1, pads=None):
    """[batch,channels,h,w]; pads: before and after, on both axes."""
    weight = part["weight"]
    before, after = pads or (weight.shape[2] // 2,) * 2
    x = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.tensordot(windows, weight, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + part["bias"][:, None, None]


def standard(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def group_norm(part, x, groups, epsilon):
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return standard(grouped, (2, 3, 4), epsilon).reshape(x.shape) * part["weight"][:, None, None] + part["bias"][:, None, None]


def layer_norm(part, x):
    return standard(x, -1, 1e-5) * part["weight"] + part["bias"]


def attend(q, k, v, heads, causal=False):
    """[batch,tokens,width]"""
    batch, tokens, width = q.shape
    q, k, v = (x.reshape(batch, -1, heads, width // heads).swapaxes(1, 2) for x in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
    if causal:
        scores[..., np.arange(tokens)[:, None] < np.arange(tokens)] = -np.inf
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(batch, tokens, width)


def attention(part, x, heads, context=None):
    """diffusers' Attention; across to the context, if there is one."""
    source = x if context is None else context
    return linear(part / "to_out.0", attend(linear(part / "to_q", x), linear(part / "to_k", source), linear(part / "to_v", source), heads))


def resnet(part, x, groups, epsilon, time=None):
    y = conv(part / "conv1", silu(group_norm(part / "norm1", x, groups, epsilon)))
    if time is not None:
        y = y + linear(part / "time_emb_proj", silu(time))[:, :, None, None]
    y = conv(part / "conv2", silu(group_norm(part / "norm2", y, groups, epsilon)))
    shortcut = part / "conv_shortcut"
    return y + (conv(shortcut, x) if shortcut else x)


def over_tokens(x, function):
    """The function sees pixels as tokens, [batch,h*w,channels]."""
    tokens = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)
    return function(tokens).swapaxes(1, 2).reshape(x.shape)


def transformer_block(part, x, heads, context):
    x = x + attention(part / "attn1", layer_norm(part / "norm1", x), heads)
    x = x + attention(part / "attn2", layer_norm(part / "norm2", x), heads, context)
    value, gate = np.split(linear(part / "ff" / "net.0" / "proj", layer_norm(part / "norm3", x)), 2, -1)
    return x + linear(part / "ff" / "net.2", value * gelu(gate))


def transformer(part, x, groups, heads, context):
    def blocks(tokens):
        tokens = linear(part / "proj_in", tokens)
        for block in part.all("transformer_blocks"):
            tokens = transformer_block(block, tokens, heads, context)
        return linear(part / "proj_out", tokens)
    return x + over_tokens(group_norm(part / "norm", x, groups, 1e-6), blocks)


def upsample(part, x):
    return conv(part / "conv", x.repeat(2, 2).repeat(2, 3))


def sinusoids(x, width):
    """[n] -> [n,width]: cosines, then sines, of falling frequency."""
    angles = x[:, None] * 10000. ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def embedding(part, x):
    return linear(part / "linear_2", silu(linear(part / "linear_1", x)))


# ---- networks ----

class Oracle:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.weights = {name: {tensor: array.astype(np.float64) for tensor, array in safetensors.read(folder / name / file).items()}
                        for name, file in FILES.items()}
        self.config = {name: json.loads((folder / name / "config.json").read_text()) for name in FILES}

    def __call__(self, network, **inputs):
        inputs = {name: np.asarray(array) for name, array in inputs.items()}
        return getattr(self, network)(**{name: x if x.dtype == np.int64 else x.astype(np.float64) for name, x in inputs.items()})

    def text_encoder(self, input_ids):
        states, last, pooled = self._text("text_encoder", input_ids, quick_gelu)
        return {"last_hidden_state": last, "pooler_output": pooled, **states}

    def text_encoder_2(self, input_ids):
        states, last, pooled = self._text("text_encoder_2", input_ids, gelu)
        return {"text_embeds": linear(Part(self.weights["text_encoder_2"]) / "text_projection", pooled), "last_hidden_state": last, **states}

    def _text(self, name, ids, activation):
        part, config = Part(self.weights[name]) / "text_model", self.config[name]
        tables = part / "embeddings"
        x = (tables / "token_embedding")["weight"][ids] + (tables / "position_embedding")["weight"][:ids.shape[1]]
        states = [x]
        for layer in (part / "encoder").all("layers"):
            own, y = layer / "self_attn", layer_norm(layer / "layer_norm1", x)
            y = attend(*(linear(own / key, y) for key in ("q_proj", "k_proj", "v_proj")), config["num_attention_heads"], causal=True)
            x = x + linear(own / "out_proj", y)
            y = linear(layer / "mlp" / "fc1", layer_norm(layer / "layer_norm2", x))
            x = x + linear(layer / "mlp" / "fc2", activation(y))
            states.append(x)
        last = layer_norm(part / "final_layer_norm", x)
        ends = [list(row).index(config["eos_token_id"]) for row in ids]
        return {f"hidden_states.{i}": state for i, state in enumerate(states)}, last, last[np.arange(len(ids)), ends]

    def unet(self, sample, timestep, encoder_hidden_states, text_embeds, time_ids):
        part, config = Part(self.weights["unet"]), self.config["unet"]
        groups, heads = config["norm_num_groups"], config["attention_head_dim"]
        sizes = sinusoids(time_ids.ravel(), config["addition_time_embed_dim"]).reshape(len(sample), -1)
        time = embedding(part / "time_embedding", sinusoids(timestep.reshape(-1), config["block_out_channels"][0]))
        time = time + embedding(part / "add_embedding", np.concatenate([text_embeds, sizes], 1))

        def layer(block, i, x, heads):
            x, attentions = resnet((block / f"resnets.{i}"), x, groups, 1e-5, time), block / f"attentions.{i}"
            return transformer(attentions, x, groups, heads, encoder_hidden_states) if attentions else x

        x = conv(part / "conv_in", sample)
        skips = [x]
        for block, count in zip(part.all("down_blocks"), heads):
            for i in range(len(block.all("resnets"))):
                x = layer(block, i, x, count)
                skips.append(x)
            for down in block.all("downsamplers"):
                x = conv(down / "conv", x, stride=2)
                skips.append(x)
        x = layer(part / "mid_block", 0, x, heads[-1])
        x = resnet(part / "mid_block" / "resnets.1", x, groups, 1e-5, time)
        for block, count in zip(part.all("up_blocks"), reversed(heads)):
            for i in range(len(block.all("resnets"))):
                x = layer(block, i, np.concatenate([x, skips.pop()], 1), count)
            for up in block.all("upsamplers"):
                x = upsample(up, x)
        return {"out_sample": conv(part / "conv_out", silu(group_norm(part / "conv_norm_out", x, groups, 1e-5)))}

    def _vae_middle(self, part, x, groups):
        x = resnet(part / "resnets.0", x, groups, 1e-6)
        own = part / "attentions.0"
        x = x + over_tokens(group_norm(own / "group_norm", x, groups, 1e-6), lambda tokens: attention(own, tokens, 1))
        return resnet(part / "resnets.1", x, groups, 1e-6)

    def vae_decoder(self, latent_sample):
        part, groups = Part(self.weights["vae"]) / "decoder", self.config["vae"]["norm_num_groups"]
        x = conv(part / "conv_in", conv(Part(self.weights["vae"]) / "post_quant_conv", latent_sample))
        x = self._vae_middle(part / "mid_block", x, groups)
        for block in part.all("up_blocks"):
            for layer in block.all("resnets"):
                x = resnet(layer, x, groups, 1e-6)
            for up in block.all("upsamplers"):
                x = upsample(up, x)
        return {"sample": conv(part / "conv_out", silu(group_norm(part / "conv_norm_out", x, groups, 1e-6)))}

    def vae_encoder(self, sample):
        part, groups = Part(self.weights["vae"]) / "encoder", self.config["vae"]["norm_num_groups"]
        x = conv(part / "conv_in", sample)
        for block in part.all("down_blocks"):
            for layer in block.all("resnets"):
                x = resnet(layer, x, groups, 1e-6)
            for down in block.all("downsamplers"):
                x = conv(down / "conv", x, stride=2, pads=(0, 1))
        x = self._vae_middle(part / "mid_block", x, groups)
        x = conv(part / "conv_out", silu(group_norm(part / "conv_norm_out", x, groups, 1e-6)))
        return {"latent_parameters": conv(Part(self.weights["vae"]) / "quant_conv", x)}
