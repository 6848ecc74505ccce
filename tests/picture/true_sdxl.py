"""Makes a folder with a model whose UNet has SDXL's true size, or a part of its width: random float16 weights, written as they are drawn,
so that making one takes little memory. The text encoders are as wide as they must be but have two layers, and the decoder is the tiny
model's: what is measured with it is the UNet, and what lies around it.

usage: /usr/bin/python3 -m tests.picture.true_sdxl FOLDER [PART]     PART: 1 (5.3 GB) is the whole width, 4 a quarter, ...
"""
import pathlib
import sys

import numpy as np

from . import tiny_networks, vocabulary
from .tiny_sdxl import begin, write_network
from .torch_graph import Weights

PARAMETERS = 2567463684  # of the whole UNet


class StreamedWeights(Weights):
    """Keeps none of what it draws, only counts it."""
    parameters = 0

    def draw(self, name, shape, deviation, mean=0):
        array = self.generator(name).standard_normal(shape, np.float32)
        array *= deviation
        array += mean
        self.parameters += array.size
        return array.astype(self.dtype)


def unet_config(part=1):
    return {
        **tiny_networks.UNET, "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320 // part, 640 // part, 1280 // part], "cross_attention_dim": 2048 // part, "layers_per_block": 2,
        "norm_num_groups": 32 // part, "projection_class_embeddings_input_dim": 6 * 256 + 1280 // part, "sample_size": 128,
        "transformer_layers_per_block": [1, 2, 10],
    }


def text_config(second, part=1):
    width = (1280 if second else 768) // part
    return {**tiny_networks.text_config(second, len(vocabulary.ids())), "hidden_size": width, "intermediate_size": 4 * width,
            "num_attention_heads": width // 64, "num_hidden_layers": 2, "projection_dim": 1280 // part}


def stub(g, c):
    """A UNet in all that is seen from outside, which costs nothing: it says that everything is noise."""
    g.output(tiny_networks.unet_inputs(g, c)[0], "out_sample", ["batch_size", c["out_channels"], "height", "width"], g.weights.dtype)


def make(folder, part=1, unet=tiny_networks.unet):
    """folder: a new one. -> how many parameters the UNet has"""
    folder = pathlib.Path(folder)
    begin(folder)
    for name in ("text_encoder", "text_encoder_2"):
        weights = StreamedWeights(0, name, "float16")
        write_network(folder / name, tiny_networks.text_encoder, text_config(name == "text_encoder_2", part), weights, external=True)
    write_network(folder / "vae_decoder", tiny_networks.vae_decoder, tiny_networks.VAE, StreamedWeights(0, "vae", "float32"))
    weights = StreamedWeights(0, "unet", "float16")
    write_network(folder / "unet", unet, unet_config(part), weights, external=True)
    return weights.parameters


if __name__ == "__main__":
    print(make(sys.argv[1], *map(int, sys.argv[2:3])))
