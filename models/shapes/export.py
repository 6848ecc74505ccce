"""Writes the trained model as a folder laid out like an ONNX export of diffusers' SDXL, and compares ONNX Runtime with PyTorch.

Text encoders and UNet are float16 throughout, the VAE float32, as in a half-precision SDXL that keeps its VAE whole. Each ONNX file
tells in its metadata which initializer is which weight of the PyTorch module: weights.py makes safetensors of it.

usage: export.py WORK FOLDER
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper
import onnxruntime
import torch
from torch import nn

import draw
import text
import train
import unet
import vae

OPSET = 17
HALF, WHOLE = 1e-2, 1e-5  # how far ONNX Runtime may be from PyTorch, as a share of the largest value


class TextExport(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        pooled, last, states = self.model(input_ids)
        return (pooled, last, *states) if self.model.text_projection else (last, pooled, *states)


class EncoderExport(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder, self.quant_conv = model.encoder, model.quant_conv

    def forward(self, sample):
        return self.quant_conv(self.encoder(sample))


class DecoderExport(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.decoder, self.post_quant_conv = model.decoder, model.post_quant_conv

    def forward(self, latent_sample):
        return self.decoder(self.post_quant_conv(latent_sample))


def weight_table(graph, weights):
    """{module's name: [initializer, "as is" or "transposed"]}, found by content; a weight that the file lacks is an error."""
    stored = {}
    for one in graph.initializer:
        stored.setdefault(numpy_helper.to_array(one).tobytes(), one.name)
    table = {}
    for name, weight in weights.items():
        array = weight.numpy()
        if array.tobytes() in stored:
            table[name] = [stored[array.tobytes()], "as is", array.shape]
        else:
            table[name] = [stored[array.T.tobytes()], "transposed", array.shape]
    return table


def compare(path, inputs, expected, tolerance):
    names = [one.name for one in onnxruntime.InferenceSession(path).get_inputs()]
    made = onnxruntime.InferenceSession(path).run(None, {name: value.numpy() for name, value in zip(names, inputs)})
    expected = expected if isinstance(expected, tuple) else (expected,)
    worst = max(float(np.abs(one - other.float().numpy()).max() / other.abs().max()) for one, other in zip(made, expected))
    print(f"{path}: {os.path.getsize(path)} bytes, ONNX Runtime differs by {worst:.1e} of the largest value at most")
    if worst > tolerance:
        sys.exit(f"more than {tolerance}: the export is wrong")


def export(folder, module, inputs, names, outputs, axes, tolerance):
    """One model.onnx with its table of weights; `tolerance` for ONNX Runtime's outputs against the module's own."""
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/model.onnx"
    torch.onnx.export(module.eval(), inputs, path, input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    model = onnx.load(path)
    weights = {name.removeprefix("model."): weight for name, weight in module.state_dict().items()}
    table = weight_table(model.graph, weights)
    model.metadata_props.add(key="weights", value=json.dumps(table, separators=(",", ":")))
    for node in model.graph.node:
        node.ClearField("doc_string")
    onnx.save(model, path)
    with torch.no_grad():
        compare(path, inputs, module(*inputs), tolerance)


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def export_texts(folder, texts, words):
    """Both encoders and their tokenizers; these differ only in what they pad with."""
    ids = train.caption_ids(words, ["a red circle on a blue ground", "a large green star at the left, white background"])
    parts = (("", texts.first, text.CONFIG, ids[0], "<|endoftext|>"), ("_2", texts.second, text.CONFIG_2, ids[1], "!"))
    for suffix, model, config, example, padding in parts:
        states = [f"hidden_states.{i}" for i in range(config["num_hidden_layers"] + 1)]
        first = ["text_embeds", "last_hidden_state"] if suffix else ["last_hidden_state", "pooler_output"]
        axes = {name: {0: "batch_size", 1: "sequence_length"} for name in ["input_ids", "last_hidden_state", *states]}
        axes |= {name: {0: "batch_size"} for name in first if name != "last_hidden_state"}
        export(f"{folder}/text_encoder{suffix}", TextExport(model.half()), (example,), ["input_ids"], first + states, axes, HALF)
        config = config | {"vocab_size": len(words.vocabulary), "bos_token_id": words.begin, "eos_token_id": words.end, "pad_token_id": 0 if suffix else words.end}
        write_json(f"{folder}/text_encoder{suffix}/config.json", config)
        write_tokenizer(f"{folder}/tokenizer{suffix}", words, padding)


def write_tokenizer(folder, words, padding):
    write_json(f"{folder}/vocab.json", words.vocabulary)
    with open(f"{folder}/merges.txt", "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in words.merges))
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": padding}
    write_json(f"{folder}/special_tokens_map.json", marks)
    write_json(f"{folder}/tokenizer_config.json", marks | {"tokenizer_class": "CLIPTokenizer", "model_max_length": text.LENGTH, "do_lower_case": True, "errors": "replace"})


def export_unet(folder, net):
    random, side = torch.Generator().manual_seed(1), draw.SIDE // 8
    normal = lambda *shape: torch.randn(*shape, generator=random).half()
    inputs = (normal(2, 4, side, side), torch.tensor(501.0).half(), normal(2, 77, 112), normal(2, 64), torch.tensor([train.SIZES] * 2).half())
    names = ["sample", "timestep", "encoder_hidden_states", "text_embeds", "time_ids"]
    axes = {name: {0: "batch_size"} for name in ("sample", "encoder_hidden_states", "text_embeds", "time_ids", "out_sample")}
    axes["encoder_hidden_states"][1] = "sequence_length"
    for name in ("sample", "out_sample"):
        axes[name] |= {2: "height", 3: "width"}
    export(f"{folder}/unet", net.half(), inputs, names, ["out_sample"], axes, HALF)
    write_json(f"{folder}/unet/config.json", unet.CONFIG)


def export_vae(folder, coder):
    random, side = torch.Generator().manual_seed(2), draw.SIDE
    axes = lambda *names: {name: {0: "batch_size", 2: f"height_{name}", 3: f"width_{name}"} for name in names}
    pictures, latents = torch.rand(2, 3, side, side, generator=random) * 2 - 1, torch.randn(2, 4, side // 8, side // 8, generator=random)
    export(f"{folder}/vae_encoder", EncoderExport(coder), (pictures,), ["sample"], ["latent_parameters"], axes("sample", "latent_parameters"), WHOLE)
    export(f"{folder}/vae_decoder", DecoderExport(coder), (latents,), ["latent_sample"], ["sample"], axes("latent_sample", "sample"), WHOLE)
    for name in ("vae_encoder", "vae_decoder"):
        write_json(f"{folder}/{name}/config.json", vae.CONFIG | {"scaling_factor": train.SCALE})


def write_pipeline(folder):
    write_json(f"{folder}/scheduler/scheduler_config.json", {
        "_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear", "beta_start": train.BETA_START, "beta_end": train.BETA_END,
        "num_train_timesteps": train.TRAIN_STEPS, "prediction_type": "v_prediction", "timestep_spacing": "leading", "steps_offset": 1,
        "interpolation_type": "linear", "use_karras_sigmas": False, "final_sigmas_type": "zero"})
    models = {name: ["diffusers", "OnnxRuntimeModel"] for name in ("text_encoder", "text_encoder_2", "unet", "vae_decoder", "vae_encoder")}
    write_json(f"{folder}/model_index.json", {
        "_class_name": "ORTStableDiffusionXLPipeline", "force_zeros_for_empty_prompt": False, "add_watermarker": False, **models,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"]})


def main():
    work, folder = sys.argv[1:]
    torch.set_num_threads(1)
    coder, texts, net = train.trained(work)
    export_texts(folder, texts, train.tokenizer())
    export_unet(folder, net)
    export_vae(folder, coder)
    write_pipeline(folder)


if __name__ == "__main__":
    main()
