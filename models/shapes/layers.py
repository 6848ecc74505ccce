"""What the UNet and the VAE share, named and computed as in diffusers' resnet.py, downsampling.py and upsampling.py."""
import torch
import torch.nn.functional as F
from torch import nn


class Resnet(nn.Module):
    """ResnetBlock2D. time: width of the time embedding, None without one."""

    def __init__(self, inputs, outputs, groups, eps, time=None):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, outputs) if time else None
        self.norm2 = nn.GroupNorm(groups, outputs, eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x, time=None):
        y = self.conv1(F.silu(self.norm1(x)))
        if self.time_emb_proj:
            y = y + self.time_emb_proj(F.silu(time))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (self.conv_shortcut(x) if self.conv_shortcut else x)


class Downsample(nn.Module):
    """Halves height and width. The VAE's pads below and at the right only."""

    def __init__(self, channels, one_sided=False):
        super().__init__()
        self.one_sided = one_sided
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if one_sided else 1)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.one_sided else x)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def attend(query, key, value, heads):
    """softmax(QK'/sqrt(d))V of [batch, tokens, width] with `heads` heads; no mask."""
    split = lambda x: x.reshape(x.shape[0], -1, heads, x.shape[2] // heads).transpose(1, 2)
    query, key, value = split(query), split(key), split(value)
    weights = torch.softmax(query @ key.transpose(2, 3) * int(query.shape[3]) ** -0.5, -1)
    return (weights @ value).transpose(1, 2).flatten(2)
