"""LoRAs made here, merged by numpy and by us."""
import json

import numpy as np
import pytest

from . import tensors
from .conftest import ToolError

CROSS, WIDE = 56, 16
BLOCK = "transformer_blocks.0"


def sdxl_modules(layers=2):
    """(name, original name or None, shape) of a small UNet with SDXL's blocks, and of text encoders."""
    found = []

    def attention(ours, theirs):
        for path, shape in (("attn1.to_q", (WIDE, WIDE)), ("attn2.to_k", (WIDE, CROSS)), ("attn1.to_out.0", (WIDE, WIDE)), ("ff.net.0.proj", (8 * WIDE, WIDE))):
            found.append((f"unet.{ours}.{BLOCK}.{path}", f"{theirs}.{BLOCK}.{path}", shape))
        found.append((f"unet.{ours}.proj_in", f"{theirs}.proj_in", (WIDE, WIDE)))

    def resnet(ours, theirs):
        for path, original, shape in (("conv1", "in_layers.2", (WIDE, WIDE, 3, 3)), ("conv2", "out_layers.3", (WIDE, WIDE, 3, 3)),
                                      ("time_emb_proj", "emb_layers.1", (WIDE, 20)), ("conv_shortcut", "skip_connection", (WIDE, WIDE, 1, 1))):
            found.append((f"unet.{ours}.{path}", f"{theirs}.{original}", shape))

    step = layers + 1
    for block in range(3):
        for layer in range(layers):
            resnet(f"down_blocks.{block}.resnets.{layer}", f"input_blocks.{1 + block * step + layer}.0")
            if block > 0:
                attention(f"down_blocks.{block}.attentions.{layer}", f"input_blocks.{1 + block * step + layer}.1")
        for layer in range(step):
            resnet(f"up_blocks.{block}.resnets.{layer}", f"output_blocks.{block * step + layer}.0")
            if block < 2:
                attention(f"up_blocks.{block}.attentions.{layer}", f"output_blocks.{block * step + layer}.1")
        if block < 2:
            found.append((f"unet.down_blocks.{block}.downsamplers.0.conv", f"input_blocks.{(block + 1) * step}.0.op", (WIDE, WIDE, 3, 3)))
            found.append((f"unet.up_blocks.{block}.upsamplers.0.conv", f"output_blocks.{block * step + layers}.2.conv", (WIDE, WIDE, 3, 3)))
    resnet("mid_block.resnets.0", "middle_block.0")
    attention("mid_block.attentions.0", "middle_block.1")
    resnet("mid_block.resnets.1", "middle_block.2")
    for ours, theirs in (("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"), ("add_embedding.linear_1", "label_emb.0.0"),
                         ("add_embedding.linear_2", "label_emb.0.2")):
        found.append((f"unet.{ours}", theirs, (20, 20)))
    found.append(("unet.conv_in", "input_blocks.0.0", (WIDE, 4, 3, 3)))
    found.append(("unet.conv_out", "out.2", (4, WIDE, 3, 3)))
    for encoder in ("text_encoder", "text_encoder_2"):
        for path in ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1"):
            found.append((f"{encoder}.text_model.encoder.layers.1.{path}", None, (24, 24)))
    return found


def peft(name, original):
    return name


def kohya(name, original):
    folder, _, path = name.partition(".")
    return {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}[folder] + path.replace(".", "_")


def kohya_original(name, original):
    return "lora_unet_" + original.replace(".", "_") if original else kohya(name, original)


SUFFIXES = {peft: (".lora_A.weight", ".lora_B.weight"), kohya: (".lora_down.weight", ".lora_up.weight"), kohya_original: (".lora_down.weight", ".lora_up.weight")}


def factors(shape, rank, rng, dtype=np.float32):
    down, up = rng.normal(size=(rank, *shape[1:])).astype(dtype), rng.normal(size=(shape[0], rank, *[1] * (len(shape) - 2))).astype(dtype)
    return down, up


def delta(down, up):
    return up.reshape(len(up), -1).astype(np.float64) @ down.reshape(len(down), -1).astype(np.float64)


class Model:
    """Weights on disk, as the tool takes them."""

    def __init__(self, tool, folder, modules, half=False, transposed=lambda shape: False):
        self.tool, self.folder, self.modules, rng = tool, folder, modules, np.random.default_rng(7)
        self.kind = np.float16 if half else np.float32
        self.weights = [rng.normal(size=shape).astype(self.kind).reshape(shape[0], -1) for _, _, shape in modules]
        self.turned = [transposed(shape) for _, _, shape in modules]
        rows = []
        for i, ((name, _, _), weight, turn) in enumerate(zip(modules, self.weights, self.turned)):
            (folder / f"base{i}").write_bytes((weight.T if turn else weight).tobytes())
            rows.append({"name": name, "rows": weight.shape[0], "columns": weight.shape[1], "transposed": turn, "half": half, "file": str(folder / f"base{i}")})
        (folder / "model.json").write_text(json.dumps(rows))
        self.count = 0

    def merge(self, *loras):
        """([what was said of each LoRA], [merged weights as (rows, columns)])"""
        self.count += 1
        out = self.folder / f"out{self.count}"
        out.mkdir()
        said = self.tool("merge", self.folder / "model.json", out, *(word for lora in loras for word in lora))
        raw = [np.frombuffer((out / str(i)).read_bytes(), self.kind) for i in range(len(self.modules))]
        return said, [r.reshape(w.T.shape).T if turn else r.reshape(w.shape) for r, w, turn in zip(raw, self.weights, self.turned)]


@pytest.fixture
def model(tool, tmp_path):
    return lambda modules=None, **options: Model(tool, tmp_path, modules or sdxl_modules(), **options)


def lora_tensors(modules, style, rank=4, alpha=None, seed=1, dtype=np.float32):
    """({tensor name: array}, {module name: B A in float64})"""
    rng, found, deltas, (a, b) = np.random.default_rng(seed), {}, {}, SUFFIXES[style]
    for name, original, shape in modules:
        down, up = factors(shape, rank, rng, dtype)
        found[style(name, original) + a], found[style(name, original) + b] = down, up
        if alpha is not None:
            found[style(name, original) + ".alpha"] = np.array(alpha, dtype)
        deltas[name] = delta(down, up)
    return found, deltas


def adapter(**values):
    return {"lora_adapter_metadata": json.dumps(values)}


@pytest.mark.parametrize("layers", [1, 2])
def test_three_ways_of_naming_give_the_same_bytes(model, tmp_path, layers):
    modules = sdxl_modules(layers)
    target, results = model(modules, transposed=lambda shape: len(shape) == 2 and shape[0] != shape[1]), []
    for style in (peft, kohya, kohya_original):
        arrays, deltas = lora_tensors(modules, style, alpha=None if style is peft else 2)
        metadata = adapter(**{"unet.lora_alpha": 2, "unet.r": 4, "text_encoder.lora_alpha": 2, "text_encoder_2.lora_alpha": 2}) if style is peft else None
        path = tensors.write(tmp_path / f"{style.__name__}.safetensors", arrays, metadata)
        said, merged = target.merge((path, 0.7))
        assert said == [{"matched": len(modules), "unmatched": [], "touched": list(range(len(modules)))}]
        results.append(merged)
        for (name, _, _), weight, found in zip(modules, target.weights, merged):
            np.testing.assert_allclose(found, weight + 0.7 * 2 / 4 * deltas[name], rtol=1e-5, atol=1e-5)
    for first, *others in zip(*results):
        assert all(first.tobytes() == other.tobytes() for other in others)


def test_a_transposed_weight_has_the_same_bits(model, tmp_path, tool):
    modules = [("unet.down_blocks.1.attentions.0.proj_in", "x", (70, 130))]
    path = tensors.write(tmp_path / "x.safetensors", lora_tensors(modules, peft, rank=33)[0])
    (tmp_path / "turned").mkdir()
    plain, turned = model(modules), Model(tool, tmp_path / "turned", modules, transposed=lambda shape: True)
    assert plain.merge((path, 0.3))[1][0].tobytes() == np.ascontiguousarray(turned.merge((path, 0.3))[1][0]).tobytes()


@pytest.mark.parametrize("half", [False, True])
def test_weight_nothing_is_no_lora(model, tmp_path, half):
    target = model(half=half)
    path = tensors.write(tmp_path / "x.safetensors", lora_tensors(target.modules, kohya)[0])
    for found in target.merge((path, 0))[1], target.merge()[1]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(found, target.weights))


def test_several_in_float16_are_rounded_once(model, tmp_path):
    target = model(half=True)
    first, one = lora_tensors(target.modules, kohya, rank=3, dtype=np.float16)
    second, two = lora_tensors(target.modules[::2], peft, rank=8, seed=2)
    paths = tensors.write(tmp_path / "a", first), tensors.write(tmp_path / "b", second)
    said, merged = target.merge((paths[0], 0.5), (paths[1], -1.25))
    assert [line["matched"] for line in said] == [len(target.modules), len(target.modules[::2])]
    assert said[1]["touched"] == list(range(0, len(target.modules), 2))
    for (name, _, _), weight, found in zip(target.modules, target.weights, merged):
        wanted = (weight + 0.5 * one[name] - 1.25 * two.get(name, 0)).astype(np.float16)
        assert np.abs(found.view(np.int16).astype(int) - wanted.view(np.int16)).max() <= 1 and (found == wanted).mean() > 0.99


@pytest.mark.parametrize("metadata, alpha, scale", [
    (None, None, 1), (None, 0, 1), (None, 8, 2), (None, 1, 0.25), (adapter(**{"unet.r": 4, "unet.lora_alpha": 2}), None, 0.5), (adapter(**{"unet.lora_alpha": 2}), 8, 2),
    (adapter(**{"unet.lora_alpha": 2, "unet.use_rslora": True}), None, 1), (adapter(**{"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 12}}), None, 3),
    (adapter(**{"unet.lora_alpha": 2, "unet.alpha_pattern": {"tn1.to_q": 12}}), None, 0.5), (adapter(**{"text_encoder.lora_alpha": 2}), None, 1)])
def test_scales(model, tmp_path, metadata, alpha, scale):
    target = model([("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "x", (8, 8))])
    arrays, deltas = lora_tensors(target.modules, peft, alpha=alpha)
    _, merged = target.merge((tensors.write(tmp_path / "x", arrays, metadata), 1))
    np.testing.assert_allclose(merged[0], target.weights[0] + scale * deltas[target.modules[0][0]], rtol=1e-5, atol=1e-5)


def test_older_names_of_diffusers(model, tmp_path):
    target = model([("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", None, (8, 8)), ("unet.mid_block.attentions.0.proj_out", None, (8, 8))])
    arrays, _ = lora_tensors(target.modules, peft)
    names = {"text_encoder": (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"), "unet": (".lora.down.weight", ".lora.up.weight")}
    older = {name.replace(".lora_A.weight", names[name.split(".")[0]][0]).replace(".lora_B.weight", names[name.split(".")[0]][1]): a for name, a in arrays.items()}
    one, other = (target.merge((tensors.write(tmp_path / f"{i}", a), 1)) for i, a in enumerate((arrays, older)))
    assert one[0] == other[0] and [a.tobytes() for a in one[1]] == [b.tobytes() for b in other[1]]


def test_names_of_2023(model, tmp_path):
    block = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
    target = model([(f"unet.{block}.to_q", None, (8, 8)), (f"unet.{block}.to_out.0", None, (8, 8))])
    arrays, _ = lora_tensors(target.modules, peft)
    older = {name.replace("to_out.0", "to_out").replace(".to_", ".processor.to_").replace(".lora_A.", "_lora.down.").replace(".lora_B.", "_lora.up."): a for name, a in arrays.items()}
    assert f"unet.{block}.processor.to_out_lora.down.weight" in older
    one, other = (target.merge((tensors.write(tmp_path / f"{i}", a), 1)) for i, a in enumerate((arrays, older)))
    assert one[0] == other[0] and [a.tobytes() for a in one[1]] == [b.tobytes() for b in other[1]]


def test_what_belongs_to_no_module_is_told(model, tmp_path):
    target = model()
    arrays, _ = lora_tensors(target.modules, kohya)
    extra = {"lora_te2_text_projection.lora_down.weight": np.zeros((4, 4), np.float32), "lora_unet_nonsense.alpha": np.array(1, np.float32), "stray": np.zeros(1, np.float32)}
    said, _ = target.merge((tensors.write(tmp_path / "x", {**arrays, **extra}), 1))
    assert said[0]["matched"] == len(target.modules) and said[0]["unmatched"] == sorted(extra)


def refused(target, path):
    with pytest.raises(ToolError) as failure:
        target.merge((path, 1))
    return failure.value


def test_a_lora_of_nothing_here(model, tmp_path):
    failure = refused(model(), tensors.write(tmp_path / "x", lora_tensors([("unet.elsewhere.to_q", "elsewhere", (4, 4))], kohya)[0]))
    assert failure.code == "lora.no_match" and "none of its 2 tensors" in failure.message


@pytest.mark.parametrize("suffix, kind", [
    (".hada_w1_a", "LoHa"), (".lokr_w1", "LoKr"), (".lora_mid.weight", "Tucker"), (".dora_scale", "DoRA"), (".lora_magnitude_vector", "DoRA"), (".diff", "whole differences"), (".diff_b", "whole"),
    (".oft_blocks", "OFT"), (".lora_B.bias", "biases")])
def test_other_kinds_are_refused_by_name(model, tmp_path, suffix, kind):
    target = model()
    arrays, _ = lora_tensors(target.modules, kohya)
    failure = refused(target, tensors.write(tmp_path / "x", {**arrays, "lora_unet_mid_block" + suffix: np.zeros(4, np.float32)}))
    assert failure.code == "lora.unsupported" and kind in failure.message and suffix in failure.message


@pytest.mark.parametrize("metadata, words", [({"unet.use_dora": True}, "DoRA"), ({"unet.alpha_pattern": {"^.*to_q": 2}}, "^.*to_q")])
def test_what_metadata_say_is_refused_by_name(model, tmp_path, metadata, words):
    target = model()
    failure = refused(target, tensors.write(tmp_path / "x", lora_tensors(target.modules, peft)[0], adapter(**metadata)))
    assert failure.code == "lora.unsupported" and words in failure.message


@pytest.mark.parametrize("width, family", [(768, "Stable Diffusion 1"), (1024, "Stable Diffusion 2"), (2048, "SDXL"), (99, "another model")])
def test_loras_of_other_models_are_told_apart(model, tmp_path, width, family):
    path = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    arrays = {f"lora_unet_{path}.lora_down.weight": np.zeros((4, width), np.float32), f"lora_unet_{path}.lora_up.weight": np.zeros((WIDE, 4), np.float32)}
    failure = refused(model(), tensors.write(tmp_path / "x", arrays))
    assert failure.code == "lora.unsupported" and f"made for {family}: " in failure.message and str(width) in failure.message


def test_flux(model, tmp_path):
    failure = refused(model(), tensors.write(tmp_path / "x", {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": np.zeros((4, 3072), np.float32)}))
    assert failure.code == "lora.unsupported" and "Flux" in failure.message


@pytest.mark.parametrize("change, words, code", [
    ({"{}.lora_up.weight": None}, "both", "weights.invalid"), ({"{}.lora_down.weight": None}, "both", "weights.invalid"), ({"{}.lora_down.weight": np.zeros((4, 9), np.float32)}, "fit", "lora.unsupported"),
    ({"{}.lora_up.weight": np.zeros((8, 5), np.float32)}, "fit", "lora.unsupported"), ({"{}.lora_up.weight": np.zeros(32, np.float32)}, "fit", "lora.unsupported"),
    ({"{}.lora_down.weight": np.zeros((2 ** 40, 0), np.float32)}, "fit", "lora.unsupported"), ({"{}.alpha": np.zeros(2, np.float32)}, "one number", "weights.invalid"),
    ({"{}.alpha": np.array(np.nan, np.float32)}, "alpha", "weights.invalid"), ({"{}.alpha": np.array(4)}, "F32", "weights.invalid"),
    ({"{}.lora_up.weight": np.full((8, 4), np.inf, np.float32)}, "not finite", "weights.invalid"), ({"{}.lora_up.weight": np.zeros((8, 4), np.int64)}, "F32", "weights.invalid"),
    ({"unet.mid_block.attentions.0.proj_in.lora_A.weight": np.zeros((4, 8), np.float32)}, "the same", "weights.invalid")])
def test_what_does_not_fit(model, tmp_path, change, words, code):
    target = model([("unet.mid_block.attentions.0.proj_in", "middle_block.1.proj_in", (8, 8))])
    arrays, _ = lora_tensors(target.modules, kohya)
    arrays.update({name.format("lora_unet_mid_block_attentions_0_proj_in"): array for name, array in change.items()})
    failure = refused(target, tensors.write(tmp_path / "x", {name: array for name, array in arrays.items() if array is not None}))
    assert failure.code == code and words in failure.message


def test_float16_does_not_overflow_in_silence(model, tmp_path):
    target = model([("unet.mid_block.attentions.0.proj_in", "x", (8, 8))], half=True)
    path = tensors.write(tmp_path / "x", lora_tensors(target.modules, kohya)[0])
    with pytest.raises(ToolError) as failure:
        target.merge((path, 1e6))
    assert "not finite" in failure.value.message
