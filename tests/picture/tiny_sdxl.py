"""Makes a folder with a tiny model of SDXL's true structure: random weights, right shapes, and all the files that diffusers' ONNX
exports have. The same weights lie beside it as safetensors, by torch's names.

usage: /usr/bin/python3 -m tests.picture.tiny_sdxl FOLDER [SEED]
"""
import contextlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "models"))

from . import safetensors, tiny_networks, vocabulary  # noqa: E402
from .torch_graph import TorchGraph, Weights  # noqa: E402

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "interpolation_type": "linear", "num_train_timesteps": 1000,
    "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "timestep_spacing": "leading", "trained_betas": None, "use_karras_sigmas": False,
}
INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0.dev0", "add_watermarker": None,
    "force_zeros_for_empty_prompt": True, "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def begin(folder):
    """All that has no weights, in a new folder."""
    folder.mkdir(parents=True)
    write_json(folder / "model_index.json", INDEX)
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER)
    vocabulary.write(folder / "tokenizer", second=False)
    vocabulary.write(folder / "tokenizer_2", second=True)


def write_network(folder, build, config, weights, naming="torchscript", external=False):
    """build: of tiny_networks. external: the weights lie in a second file."""
    write_json(folder / "config.json", config)
    with open(folder / "model.onnx_data", "wb") if external else contextlib.nullcontext() as data:
        graph = TorchGraph("main_graph", weights, naming, data)
        build(graph, config)
    graph.save(folder / "model.onnx")


def make(folder, seed=0, dtype="float32", naming="torchscript", external=False, vae_dtype=None):
    """folder: a new one, with parents. vae_dtype: dtype unless given. naming: see torch_graph. The same arguments give the same bytes."""
    folder = pathlib.Path(folder)
    begin(folder)

    def component(name, file, networks, config, dtype):
        weights = Weights(seed, name, dtype)
        for network, build in networks.items():
            write_network(folder / network, build, config, weights, naming, external)
        write_json(folder / name / "config.json", config)
        safetensors.write(folder / name / file, weights, {"format": "pt"})

    for name in ("text_encoder", "text_encoder_2"):
        config = tiny_networks.text_config(name == "text_encoder_2", len(vocabulary.ids()))
        component(name, "model.safetensors", {name: tiny_networks.text_encoder}, config, dtype)
    component("unet", "diffusion_pytorch_model.safetensors", {"unet": tiny_networks.unet}, tiny_networks.UNET, dtype)
    component("vae", "diffusion_pytorch_model.safetensors",
              {"vae_decoder": tiny_networks.vae_decoder, "vae_encoder": tiny_networks.vae_encoder}, tiny_networks.VAE, vae_dtype or dtype)
    return folder


if __name__ == "__main__":
    make(sys.argv[1], *map(int, sys.argv[2:3]))
