"""mela models add image and lora, as one types them."""
import json
import shutil

import numpy as np
import onnx
import pytest

from . import lora_files, oracle, safetensors
from .test_painters import mela


def copied(folder, to):
    """A copy that may be spoilt: its files are of its own."""
    shutil.copytree(folder, to)
    return to


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def assert_refused(folder, *arguments, code, words):
    """And nothing is left behind."""
    before = everything(folder)
    done = mela("add", *arguments, "--models", folder)
    assert done.returncode > 0 and f"[{code}]" in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr
    assert everything(folder) == before and ".adding" not in done.stderr


def test_an_image_model_is_described_and_checked(tiny, tmp_path):
    zoo = tmp_path / "zoo"
    done = mela("add", "image", f"{tiny(external=True)}/", "--models", zoo)
    assert done.returncode == 0 and done.stdout.startswith("model is a model for image now\n")
    for line in ("unet             float32", "tokenizer_2      994 tokens", "scheduler        euler", "can change 211 modules"):
        assert line in done.stdout
    manifest = json.loads((zoo / "model.json").read_text())
    assert {"unet/model.onnx", "unet/model.onnx_data", "vae_encoder/model.onnx", "tokenizer/merges.txt"} <= {file["path"] for file in manifest["files"]}
    assert not [path for path in (zoo / "model").rglob("*.safetensors")]
    listed = next(model for model in json.loads(mela("list", "--json", "--models", zoo).stdout) if model["name"] == "model")
    assert listed["present"] and listed["role"] == "image" and listed["bytes"] == sum(file["bytes"] for file in manifest["files"])
    assert mela("check", "--models", zoo).returncode == 0
    assert_refused(zoo, "image", tiny(), code="model.invalid", words=["already"])


def test_each_file_of_a_model_is_checked(tiny, tmp_path):
    zoo = tmp_path / "zoo"
    assert mela("add", "image", tiny(external=True), "--models", zoo).returncode == 0
    weights = zoo / "model/unet/model.onnx_data"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = mela("check", "model", "--models", zoo)
    assert done.returncode > 0 and "unet/model.onnx_data has sha256" in done.stdout
    weights.write_bytes(good[:-1])
    assert "model.hash_mismatch" in mela("check", "model", "--models", zoo).stderr
    weights.unlink()
    listed = json.loads(mela("list", "--json", "--models", zoo).stdout)
    assert not next(model for model in listed if model["name"] == "model")["present"]


def test_an_image_model_goes_through_the_store(tiny, tmp_path):
    here, there, store = tmp_path / "here", tmp_path / "there", f"file://{tmp_path}/store"
    assert mela("add", "image", tiny(external=True), "--models", here).returncode == 0
    there.mkdir()
    shutil.copy(here / "model.json", there)
    assert mela("push", "model", "--models", here, "--store", store).returncode == 0
    done = mela("pull", "model", "--models", there, "--store", store)
    assert done.returncode == 0 and everything(here) == everything(there)
    assert mela("check", "model", "--models", there).returncode == 0


def test_all_that_is_wrong_is_said_at_once(tiny, tmp_path):
    folder = copied(tiny(), tmp_path / "sdxl")
    (folder / "unet/model.onnx").unlink()
    (folder / "tokenizer_2/merges.txt").unlink()
    scheduler = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({**scheduler, "_class_name": "PNDMScheduler"}))
    (folder / "text_encoder/config.json").write_text(json.dumps({"vocab_size": 100}))
    assert_refused(tmp_path / "zoo", "image", folder, code="scheduler.unsupported",
                   words=["PNDMScheduler", "merges.txt", "unet/model.onnx", "994 tokens, text_encoder/config.json says 100"])


def change_graph(path, change):
    network = onnx.load(path)
    change(network.graph)
    onnx.save(network, path)


def to_integers(graph):
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    graph.node.insert(0, onnx.helper.make_node("Cast", ["input_ids"], ["ids_of_float"], to=onnx.TensorProto.INT64))
    for node in graph.node[1:]:
        node.input[:] = ["ids_of_float" if name == "input_ids" else name for name in node.input]


def test_a_wrong_type_is_named(tiny, tmp_path):
    folder = copied(tiny(), tmp_path / "sdxl")
    for part in ("text_encoder", "text_encoder_2"):
        change_graph(folder / part / "model.onnx", to_integers)
    assert_refused(tmp_path / "zoo", "image", folder, code="model.invalid",
                   words=["sdxl/text_encoder: input_ids is a float32 tensor", "sdxl/text_encoder_2: input_ids is a float32 tensor"])


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret"])
def test_weights_outside_the_folder(tiny, tmp_path, location):
    folder = copied(tiny(external=True), tmp_path / "sdxl")
    shutil.move(folder / "unet/model.onnx_data", folder / "secret")
    network = onnx.load(folder / "unet/model.onnx", load_external_data=False)
    for tensor in network.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    (folder / "unet/model.onnx").write_bytes(network.SerializeToString())
    assert_refused(tmp_path / "zoo", "image", folder, code="model.invalid", words=["unet/model.onnx", "outside"])


@pytest.mark.parametrize("file", ["unet/model.onnx_data", "unet/model.onnx", "tokenizer/vocab.json", "vae_encoder/model.onnx_data"])
def test_a_link_out_of_the_folder(tiny, tmp_path, file):
    folder = copied(tiny(external=True), tmp_path / "sdxl")
    shutil.move(folder / file, tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    assert_refused(tmp_path / "zoo", "image", folder, code="model.invalid", words=[file, "leads out"])


def test_a_link_inside_the_folder_is_a_file(tiny, tmp_path):
    folder, zoo = copied(tiny(external=True), tmp_path / "sdxl"), tmp_path / "zoo"
    shutil.move(folder / "unet/model.onnx_data", folder / "unet/blob")
    (folder / "unet/model.onnx_data").symlink_to("blob")
    assert mela("add", "image", folder, "--models", zoo).returncode == 0
    assert not (zoo / "sdxl/unet/model.onnx_data").is_symlink() and mela("check", "sdxl", "--models", zoo).returncode == 0


def test_a_link_in_the_zoo_is_not_followed_out_of_it(tiny, tmp_path):
    zoo, weights = tmp_path / "zoo", tmp_path / "zoo/model/unet/model.onnx_data"
    assert mela("add", "image", tiny(external=True), "--models", zoo).returncode == 0
    shutil.move(weights, tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    lora_files.write(tmp_path / "lora.safetensors", lora_files.draw(oracle.Oracle(tiny()).weights), "peft")
    assert_refused(zoo, "lora", tmp_path / "lora.safetensors", code="lora.unsupported", words=["another model"])  # the model fits nothing


def test_no_model_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "zoo", "image", tmp_path / "empty", code="model.not_found", words=["model_index.json", "unet", "vae_decoder"])
    assert_refused(tmp_path / "zoo", "image", tmp_path / "nowhere", code="model.not_found", words=["model_index.json"])


# ---- LoRAs ----

def pairs(modules, rank=4):
    """kohya's file of these modules: {name: (inputs, outputs)}."""
    tensors = {}
    for name, (inputs, outputs) in modules.items():
        tensors[f"{name}.lora_down.weight"] = np.zeros((rank, inputs), np.float16)
        tensors[f"{name}.lora_up.weight"] = np.zeros((outputs, rank), np.float16)
    return tensors


SDXL = {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k": (2048, 640), "lora_unet_output_blocks_2_1_transformer_blocks_9_ff_net_0_proj": (1280, 10240),
        "lora_unet_middle_block_1_proj_in": (1280, 1280), "lora_te1_text_model_encoder_layers_11_mlp_fc1": (768, 3072),
        "lora_te2_text_model_encoder_layers_31_self_attn_out_proj": (1280, 1280)}
PEFT = {"unet.down_blocks.2.attentions.1.transformer_blocks.9.attn1.to_out.0": (1280, 1280), "text_encoder_2.text_projection": (1280, 1280)}


def test_a_lora_of_sdxl_needs_no_model(tmp_path):
    safetensors.write(tmp_path / "kohya.safetensors", pairs(SDXL))
    safetensors.write(tmp_path / "peft.safetensors", {name.replace("lora_down", "lora_A").replace("lora_up", "lora_B"): array
                                                      for name, array in pairs(PEFT).items()})
    for name, count in (("kohya", 5), ("peft", 2)):
        done = mela("add", "lora", tmp_path / f"{name}.safetensors", "--models", tmp_path / "zoo")
        assert done.returncode == 0 and done.stdout == f"{name} is a LoRA now\n  changes {count} modules of SDXL\n", done.stderr
    assert mela("check", "--models", tmp_path / "zoo").returncode == 0


def whole_unet():
    """diffusers' names and shapes of all linear layers and convolutions of SDXL's UNet, written down from its widths."""
    found = {"conv_in": (4, 320, 3), "conv_out": (320, 4, 3), "time_embedding.linear_1": (320, 1280), "time_embedding.linear_2": (1280, 1280),
             "add_embedding.linear_1": (2816, 1280), "add_embedding.linear_2": (1280, 1280)}
    resnets = {"down_blocks.0": [(320, 320), (320, 320)], "down_blocks.1": [(320, 640), (640, 640)], "down_blocks.2": [(640, 1280), (1280, 1280)],
               "mid_block": [(1280, 1280), (1280, 1280)], "up_blocks.0": [(2560, 1280), (2560, 1280), (1920, 1280)],
               "up_blocks.1": [(1920, 640), (1280, 640), (960, 640)], "up_blocks.2": [(960, 320), (640, 320), (640, 320)]}
    attentions = {"down_blocks.1": (2, 640, 2), "down_blocks.2": (2, 1280, 10), "mid_block": (1, 1280, 10), "up_blocks.0": (3, 1280, 10), "up_blocks.1": (3, 640, 2)}
    for name, width in {"down_blocks.0.downsamplers": 320, "down_blocks.1.downsamplers": 640, "up_blocks.0.upsamplers": 1280, "up_blocks.1.upsamplers": 640}.items():
        found[f"{name}.0.conv"] = (width, width, 3)
    for block, sizes in resnets.items():
        for i, (inputs, outputs) in enumerate(sizes):
            at = f"{block}.resnets.{i}"
            found.update({f"{at}.conv1": (inputs, outputs, 3), f"{at}.conv2": (outputs, outputs, 3), f"{at}.time_emb_proj": (1280, outputs)})
            found.update({f"{at}.conv_shortcut": (inputs, outputs, 1)} if inputs != outputs else {})
    for block, (count, width, depth) in attentions.items():
        for i in range(count):
            found.update({f"{block}.attentions.{i}.{name}": (width, width) for name in ("proj_in", "proj_out")})
            for k in range(depth):
                at = f"{block}.attentions.{i}.transformer_blocks.{k}"
                found.update({f"{at}.attn{n}.to_{name}": (2048 if n == 2 and name in "kv" else width, width) for n in (1, 2) for name in ("q", "k", "v", "out.0")})
                found.update({f"{at}.ff.net.0.proj": (width, 8 * width), f"{at}.ff.net.2": (4 * width, width)})
    return found


def test_all_of_sdxl_is_known(tmp_path):
    unet = whole_unet()
    blocks = {name: shape for name, shape in unet.items() if "attentions" in name}
    weights = lambda names: sum(np.prod(shape[:2]) * (shape[2] ** 2 if len(shape) > 2 else 1) for shape in names.values())
    assert len(blocks) == 722 and abs(weights(unet) / 2.567e9 - 1) < 0.001  # as kohya's trainer counts, and as the UNet is large
    tensors = {}
    for name, (inputs, outputs, *kernel) in unet.items():
        tensors[f"unet.{name}.lora_A.weight"] = np.zeros((1, inputs, *2 * kernel), np.float16)
        tensors[f"unet.{name}.lora_B.weight"] = np.zeros((outputs, 1, *[1, 1] * len(kernel)), np.float16)
    for encoder, layers, width in (("text_encoder", 12, 768), ("text_encoder_2", 32, 1280)):
        tensors.update({f"{encoder}.{name}": array for name, array in pairs({
            f"text_model.encoder.layers.{i}.{module}": shape for i in range(layers) for module, shape in
            {**{f"self_attn.{x}_proj": (width, width) for x in ("q", "k", "v", "out")}, "mlp.fc1": (width, 4 * width), "mlp.fc2": (4 * width, width)}.items()}).items()})
    safetensors.write(tmp_path / "all.safetensors", tensors)
    done = mela("add", "lora", tmp_path / "all.safetensors", "--models", tmp_path / "zoo")
    assert done.stdout == f"all is a LoRA now\n  changes {len(unet) + 6 * (12 + 32)} modules of SDXL\n", done.stderr


def test_a_lora_of_a_model_in_the_zoo(tiny, tmp_path):
    zoo, file = tmp_path / "zoo", tmp_path / "diwali.safetensors"
    assert mela("add", "image", tiny(), "--name", "tiny", "--models", zoo).returncode == 0
    lora_files.write(file, lora_files.draw(oracle.Oracle(tiny()).weights, text=True), "kohya")
    done = mela("add", "lora", file, "--json", "--models", zoo)
    manifest = json.loads(done.stdout)
    assert manifest["role"] == "lora" and manifest["contract"] == {"modules": None, "models": [{"model": "tiny", "matched": 124, "unmatched": 0}]}
    assert_refused(zoo, "lora", file, code="model.invalid", words=["already"])


@pytest.mark.parametrize("name, code, words", [
    ("sd15", "lora.unsupported", ["Stable Diffusion 1", "768"]), ("flux", "lora.unsupported", ["Flux"]), ("flux-kohya", "lora.unsupported", ["Flux"]),
    ("dora", "lora.unsupported", ["DoRA"]), ("loha", "lora.unsupported", ["LoHa"]), ("lokr", "lora.unsupported", ["LoKr"]), ("tucker", "lora.unsupported", ["Tucker"]),
    ("full", "lora.unsupported", ["whole differences"]), ("wrong-width", "lora.unsupported", ["another model"]), ("empty", "lora.no_match", ["none of its 0 tensors"])])
def test_other_loras_are_refused_by_name(tiny, tmp_path, name, code, words):
    file = tmp_path / f"{name}.safetensors"
    safetensors.write(file, lora_files.foreign(lora_files.draw(oracle.Oracle(tiny()).weights))[name])
    assert_refused(tmp_path / "zoo", "lora", file, code=code, words=[str(file), *words])


def test_values_that_are_no_numbers(tmp_path):
    file = tmp_path / "x.safetensors"
    safetensors.write(file, {name: np.full_like(array, np.inf) for name, array in pairs(SDXL).items()})
    assert_refused(tmp_path / "zoo", "lora", file, code="weights.invalid", words=["not finite"])


def test_no_safetensors(tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(lora_files.malformed()["overlap"])
    assert_refused(tmp_path / "zoo", "lora", file, code="weights.invalid", words=[str(file)])
    assert_refused(tmp_path / "zoo", "lora", tmp_path / "nowhere", code="io", words=["nowhere"])
