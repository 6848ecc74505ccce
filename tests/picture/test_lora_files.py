"""LoRAs that the tests make: their names, and that they do what they should."""
import json

import numpy as np
import pytest

from . import lora_files, oracle, safetensors
from .test_fixture import unet_inputs


@pytest.fixture(scope="module")
def model(tiny):
    return oracle.Oracle(tiny())


def test_lora_is_added_to_what_a_layer_computes(model):
    lora = lora_files.draw(model.weights, rank=3, alpha=6)
    module = "mid_block.attentions.0.transformer_blocks.1.attn2.to_k"
    down, up, _ = lora["unet"][module]
    x = np.random.default_rng(0).standard_normal((5, 56))
    changed = lora_files.apply(model.weights, lora, 0.25)["unet"]
    expected = x @ model.weights["unet"][module + ".weight"].T + 0.25 * 6 / 3 * (x @ down.T) @ up.T
    assert np.allclose(x @ changed[module + ".weight"].T, expected)


def test_convolution_takes_a_lora_too(model):
    lora = lora_files.draw(model.weights, conv=True)
    down, up, alpha = lora["unet"]["down_blocks.0.resnets.0.conv1"]
    assert down.shape == (4, 16, 3, 3) and up.shape == (16, 4, 1, 1)
    x = np.random.default_rng(0).standard_normal((2, 16, 6, 6))
    parts = {"d.weight": down, "d.bias": np.zeros(4), "u.weight": up, "u.bias": np.zeros(16), "w.bias": np.zeros(16),
             "w.weight": lora_files.difference(down, up, alpha, (16, 16, 3, 3))}
    whole = oracle.Part(parts)
    assert np.allclose(oracle.conv(whole / "w", x), alpha / 4 * oracle.conv(whole / "u", oracle.conv(whole / "d", x)), atol=1e-6)


def test_lora_changes_the_picture_and_weight_zero_does_not(model, tiny):
    inputs, changed = unet_inputs(), oracle.Oracle(tiny())
    plain = model("unet", **inputs)["out_sample"]
    for scale, least, most in ((0, 0, 0), (1, 0.1, 10)):
        changed.weights = lora_files.apply(model.weights, lora_files.draw(model.weights), scale)
        assert least <= np.abs(changed("unet", **inputs)["out_sample"] - plain).max() <= most


@pytest.mark.parametrize("module, name", [
    ("conv_in", "input_blocks.0.0"),
    ("down_blocks.0.resnets.0.conv1", "input_blocks.1.0.in_layers.2"),
    ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"),
    ("down_blocks.1.attentions.0.proj_in", "input_blocks.3.1.proj_in"),
    ("down_blocks.2.attentions.0.transformer_blocks.1.ff.net.0.proj", "input_blocks.5.1.transformer_blocks.1.ff.net.0.proj"),
    ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
    ("mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0", "middle_block.1.transformer_blocks.0.attn1.to_out.0"),
    ("up_blocks.0.attentions.1.proj_out", "output_blocks.1.1.proj_out"),
    ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.2.conv"),
    ("up_blocks.2.resnets.1.conv_shortcut", "output_blocks.5.0.skip_connection"),
])
def test_original_names(module, name):
    assert lora_files.original(module) == name


@pytest.mark.parametrize("naming", lora_files.NAMINGS)
def test_every_module_has_its_own_name(naming, model, tmp_path):
    lora = lora_files.draw(model.weights, conv=True, text=True)
    modules = sum(map(len, lora.values()))
    assert modules == 174 + 2 * 3 * 6
    lora_files.write(tmp_path / "lora.safetensors", lora, naming, np.float16)
    tensors = safetensors.read(tmp_path / "lora.safetensors")
    assert len(tensors) == modules * (2 if naming == "peft" else 3)
    assert sum(array.size for array in tensors.values()) >= sum(down.size + up.size for part in lora.values() for down, up, _ in part.values())


def test_names_of_files(model):
    lora = lora_files.draw(model.weights, rank=2, alpha=1, text=True)
    tensors, metadata = lora_files.peft(lora)
    assert tensors["unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight"].shape == (2, 32)
    assert tensors["text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_B.weight"].shape == (128, 2)
    assert json.loads(metadata["lora_adapter_metadata"])["unet.lora_alpha"] == 1
    tensors, _ = lora_files.NAMINGS["kohya"](lora)
    assert tensors["lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q.lora_up.weight"].shape == (32, 2)
    assert tensors["lora_te1_text_model_encoder_layers_2_self_attn_q_proj.alpha"].shape == ()
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_1_attn2_to_v.lora_down.weight" in lora_files.NAMINGS["kohya-diffusers"](lora)[0]


def test_files_to_be_refused(model, tmp_path):
    for name, tensors in lora_files.foreign(lora_files.draw(model.weights)).items():
        safetensors.write(tmp_path / name, tensors)
        assert safetensors.read(tmp_path / name).keys() == tensors.keys()
    broken = lora_files.malformed()
    assert len(set(broken.values())) == len(broken)
    lora_files.write_oversized_header(tmp_path / "oversized")
    assert (tmp_path / "oversized").stat().st_blocks < 100
