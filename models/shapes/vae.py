"""A small AutoencoderKL: diffusers' names and maths, four levels, so eight pixels to a latent cell, four latent channels."""
import torch
import torch.nn.functional as F
from torch import nn

from layers import Downsample, Resnet, Upsample, attend

CARRIED, LEVEL = 8, 4.0  # see start_as_pooling

CONFIG = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "in_channels": 3, "out_channels": 3, "latent_channels": 4,
    "block_out_channels": [8, 16, 32, 32], "layers_per_block": 1, "norm_num_groups": 1, "sample_size": 64,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "scaling_factor": 1.0, "force_upcast": False,
}


class Attention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, 1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)
        y = self.to_out[0](attend(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens), 1))
        return x + y.transpose(1, 2).reshape(x.shape)


class Mid(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(channels, channels, groups, 1e-6) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(channels, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Down(nn.Module):
    def __init__(self, inputs, outputs, groups, last):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(inputs, outputs, groups, 1e-6)])
        self.downsamplers = None if last else nn.ModuleList([Downsample(outputs, one_sided=True)])

    def forward(self, x):
        x = self.resnets[0](x)
        return self.downsamplers[0](x) if self.downsamplers else x


class Up(nn.Module):
    def __init__(self, inputs, outputs, groups, last):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(inputs, outputs, groups, 1e-6), Resnet(outputs, outputs, groups, 1e-6)])
        self.upsamplers = None if last else nn.ModuleList([Upsample(outputs)])

    def forward(self, x):
        x = self.resnets[1](self.resnets[0](x))
        return self.upsamplers[0](x) if self.upsamplers else x


class Encoder(nn.Module):
    def __init__(self, channels, groups, latent):
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        pairs = list(zip([channels[0], *channels], channels))
        self.down_blocks = nn.ModuleList([Down(*pair, groups, i == len(pairs) - 1) for i, pair in enumerate(pairs)])
        self.mid_block = Mid(channels[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], 1e-6)
        self.conv_out = nn.Conv2d(channels[-1], 2 * latent, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, channels, groups, latent):
        super().__init__()
        upward = channels[::-1]
        self.conv_in = nn.Conv2d(latent, upward[0], 3, padding=1)
        self.mid_block = Mid(upward[0], groups)
        pairs = list(zip([upward[0], *upward], upward))
        self.up_blocks = nn.ModuleList([Up(*pair, groups, i == len(pairs) - 1) for i, pair in enumerate(pairs)])
        self.conv_norm_out = nn.GroupNorm(groups, upward[-1], 1e-6)
        self.conv_out = nn.Conv2d(upward[-1], 3, 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class AutoencoderKL(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config["block_out_channels"], config["norm_num_groups"], config["latent_channels"]
        latent = config["latent_channels"]
        self.encoder, self.decoder = Encoder(*size), Decoder(*size)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    def encode(self, pictures):
        """Mean and log-variance, [n,8,h/8,w/8], of pictures [n,3,h,w] in -1..1; not yet scaled."""
        return self.quant_conv(self.encoder(pictures))

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents))


@torch.no_grad()
def start_as_pooling(model):
    """Sets the weights so that untrained the encoder gives the picture eight times smaller, and the decoder makes it large again.

    Trained from random weights, this network needs thousands of steps to carry a flat colour past its norms. So the first eight
    channels everywhere carry red, green, blue, the same negated, LEVEL and -LEVEL: the last two fix what the norms divide by, and
    silu(x) - silu(-x) = x takes a colour past the last one. All else stays random and learns the outlines.
    """
    for part in model.modules():
        if isinstance(part, Resnet):
            _start_resnet(part)
        elif isinstance(part, Attention):
            part.to_out[0].weight.mul_(0.1)
        elif isinstance(part, (Downsample, Upsample)):
            _carry(part.conv)
            if isinstance(part, Downsample):  # the mean of two by two pixels
                part.conv.weight[:CARRIED] = 0
                for i in range(CARRIED):
                    part.conv.weight[i, i, :2, :2] = 0.25
    _start_ends(model.encoder)
    _start_ends(model.decoder)
    model.encoder.conv_out.weight[3, CARRIED:].normal_(std=0.05)  # the fourth latent channel is free
    model.encoder.conv_out.bias[4:] = -5.0
    for conv in (model.quant_conv, model.post_quant_conv):
        conv.weight.copy_(torch.eye(len(conv.weight))[:, :, None, None])
        conv.bias.zero_()


def _carry(conv):
    """The carried channels come out as they went in, and LEVEL disturbs no other."""
    middle = conv.weight.shape[2] // 2
    conv.weight[:, CARRIED - 2:CARRIED] = 0
    conv.weight[:CARRIED] = 0
    conv.bias[:CARRIED] = 0
    for i in range(CARRIED):
        conv.weight[i, i, middle, middle] = 1


def _start_norm(norm):
    norm.weight.fill_((2 * LEVEL ** 2 / norm.num_channels) ** 0.5)


def _start_resnet(part):
    _start_norm(part.norm1)
    part.conv1.weight[:, CARRIED - 2:CARRIED] = 0
    part.conv2.weight.mul_(0.1)
    part.conv2.bias.zero_()
    part.conv2.weight[CARRIED - 2:CARRIED] = 0
    if part.conv_shortcut:
        _carry(part.conv_shortcut)


def _start_ends(part):
    """conv_in fills the carried channels, conv_norm_out and conv_out take the colour back."""
    part.conv_in.weight[:CARRIED] = 0
    part.conv_in.bias[:CARRIED] = torch.tensor([0.0] * (CARRIED - 2) + [LEVEL, -LEVEL])
    _start_norm(part.conv_norm_out)
    part.conv_out.weight.zero_()
    part.conv_out.bias.zero_()
    for i in range(3):
        part.conv_in.weight[[i, i + 3], i, 1, 1] = torch.tensor([1.0, -1.0])
        part.conv_out.weight[i, [i, i + 3], 1, 1] = torch.tensor([1.0, -1.0])
