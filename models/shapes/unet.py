"""A small UNet of SDXL's structure: diffusers' UNet2DConditionModel in names and maths.

Three levels: Down, CrossAttnDown, CrossAttnDown; mid with attention; CrossAttnUp, CrossAttnUp, Up. Linear projections, GEGLU, and
the text_time embedding of the sizes and the pooled text.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from layers import Downsample, Resnet, Upsample, attend

CONFIG = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "in_channels": 4, "out_channels": 4, "sample_size": 8,
    "block_out_channels": [64, 64, 64], "layers_per_block": 1, "norm_num_groups": 16, "norm_eps": 1e-5,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 1, 2], "attention_head_dim": [4, 4, 4], "cross_attention_dim": 112,
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 6 * 32 + 64, "center_input_sample": False, "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "upcast_attention": False,
}


def sinusoids(values, width):
    """[n,width], cosines first, for values [n]."""
    frequencies = torch.exp(torch.arange(width // 2, dtype=torch.float32) * (-math.log(10000) / (width // 2)))
    angles = values.float()[:, None] * frequencies
    return torch.cat([torch.cos(angles), torch.sin(angles)], 1)


class Attention(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x, context):
        return self.to_out[0](attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


class Geglu(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, 2)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([Geglu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    """BasicTransformerBlock."""

    def __init__(self, width, context, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1, self.attn2 = Attention(width, width, heads), Attention(width, context, heads)
        self.ff = FeedForward(width)

    def forward(self, x, context):
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    """Transformer2DModel with linear projections."""

    def __init__(self, width, context, heads, depth, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, 1e-6)
        self.proj_in, self.proj_out = nn.Linear(width, width), nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList([Block(width, context, heads) for _ in range(depth)])

    def forward(self, x, context):
        batch, channels, height, width = x.shape
        y = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))
        for block in self.transformer_blocks:
            y = block(y, context)
        return x + self.proj_out(y).transpose(1, 2).reshape(batch, channels, height, width)


class Level(nn.Module):
    """One level down or up, or the middle: resnets, a transformer after each where there is attention, then the change of size.

    channels: (inputs, outputs) of each resnet. A transformer has what `attention` says: (context, heads, depth), None without one.
    """

    def __init__(self, channels, time, groups, attention):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(*pair, groups, 1e-5, time) for pair in channels])
        self.attentions = nn.ModuleList([Transformer(outputs, *attention, groups) for _, outputs in channels]) if attention else None

    def layer(self, i, x, time, context):
        x = self.resnets[i](x, time)
        return self.attentions[i](x, context) if self.attentions else x


class Down(Level):
    def __init__(self, channels, time, groups, attention, last):
        super().__init__(channels, time, groups, attention)
        self.downsamplers = None if last else nn.ModuleList([Downsample(channels[-1][1])])

    def forward(self, x, time, context):
        kept = []
        for i in range(len(self.resnets)):
            x = self.layer(i, x, time, context)
            kept.append(x)
        if self.downsamplers:
            x = self.downsamplers[0](x)
            kept.append(x)
        return x, kept


class Mid(Level):
    def __init__(self, channels, time, groups, attention):
        super().__init__([(channels, channels)], time, groups, attention)
        self.resnets.append(Resnet(channels, channels, groups, 1e-5, time))

    def forward(self, x, time, context):
        return self.resnets[1](self.layer(0, x, time, context), time)


class Up(Level):
    def __init__(self, channels, time, groups, attention, last):
        super().__init__(channels, time, groups, attention)
        self.upsamplers = None if last else nn.ModuleList([Upsample(channels[-1][1])])

    def forward(self, x, time, context, kept):
        for i in range(len(self.resnets)):
            x = self.layer(i, torch.cat([x, kept.pop()], 1), time, context)
        return self.upsamplers[0](x) if self.upsamplers else x


class TimeEmbedding(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


def _levels(config, time):
    """The down and up blocks for a config."""
    widths, layers, groups = config["block_out_channels"], config["layers_per_block"], config["norm_num_groups"]
    last = len(widths) - 1

    def attention(i, kind):
        at = config["attention_head_dim"][i], config["transformer_layers_per_block"][i]
        return (config["cross_attention_dim"], *at) if kind.startswith("CrossAttn") else None

    downs, skips = [], [widths[0]]
    for i, kind in enumerate(config["down_block_types"]):
        channels = [(widths[max(i - 1, 0)] if j == 0 else widths[i], widths[i]) for j in range(layers)]
        downs.append(Down(channels, time, groups, attention(i, kind), i == last))
        skips += [widths[i]] * (layers + (i != last))
    ups, before = [], widths[-1]
    for i, kind in zip(reversed(range(last + 1)), config["up_block_types"]):
        channels = [((before if j == 0 else widths[i]) + skips.pop(), widths[i]) for j in range(layers + 1)]
        ups.append(Up(channels, time, groups, attention(i, kind), i == 0))
        before = widths[i]
    return nn.ModuleList(downs), nn.ModuleList(ups)


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        widths, groups = config["block_out_channels"], config["norm_num_groups"]
        time = 4 * widths[0]
        self.conv_in = nn.Conv2d(config["in_channels"], widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], time)
        self.add_embedding = TimeEmbedding(config["projection_class_embeddings_input_dim"], time)
        self.down_blocks, self.up_blocks = _levels(config, time)
        middle = config["cross_attention_dim"], config["attention_head_dim"][-1], config["transformer_layers_per_block"][-1]
        self.mid_block = Mid(widths[-1], time, groups, middle)
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], 1e-5)
        self.conv_out = nn.Conv2d(widths[0], config["out_channels"], 3, padding=1)

    def forward(self, sample, timestep, encoder_hidden_states, text_embeds, time_ids):
        sizes = sinusoids(time_ids.flatten(), self.config["addition_time_embed_dim"]).reshape(sample.shape[0], -1).to(sample.dtype)
        steps = timestep.reshape(-1).expand(sample.shape[0])
        time = self.time_embedding(sinusoids(steps, self.config["block_out_channels"][0]).to(sample.dtype))
        time = time + self.add_embedding(torch.cat([text_embeds, sizes], 1))
        x = self.conv_in(sample)
        kept = [x]
        for block in self.down_blocks:
            x, more = block(x, time, encoder_hidden_states)
            kept += more
        x = self.mid_block(x, time, encoder_hidden_states)
        for block in self.up_blocks:
            x = block(x, time, encoder_hidden_states, kept)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
