"""LoRAs for the tiny model, in the namings that are met, what they do to its weights, and files that must be refused.

A LoRA here is {component: {module: (down, up, alpha)}}, in torch's names: {"unet": {"mid_block.attentions.0...to_q": ...}}.
"""
import hashlib
import json
import re
import struct

import numpy as np

from . import safetensors

ATTENTION = re.compile(r"\.attn[12]\.to_(q|k|v|out\.0)$")
TEXT = re.compile(r"\.(self_attn\.[a-z]+_proj|mlp\.fc[12])$")
LAYERS = 1  # the UNet's layers_per_block


# ---- what a LoRA is ----

def draw(weights, seed=0, rank=4, alpha=2., conv=False, text=False):
    """weights: those of an Oracle. conv: convolutions and all other linears of the UNet too. text: both text encoders too."""
    wanted = {"unet": re.compile("") if conv else ATTENTION, **({"text_encoder": TEXT, "text_encoder_2": TEXT} if text else {})}
    lora = {}
    for component, pattern in wanted.items():
        modules = {name[:-len(".weight")]: array.shape for name, array in weights[component].items()
                   if name.endswith(".weight") and array.ndim >= 2}
        lora[component] = {module: (*matrices(f"{seed}/{component}/{module}", shape, rank), alpha)
                           for module, shape in sorted(modules.items()) if pattern.search(module)}
    return lora


def matrices(key, shape, rank):
    """down [rank,in,...] and up [out,rank,...], whose product is about half as large as the weights are."""
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest(), "little"))
    down = random.standard_normal((rank, *shape[1:])) / np.prod(shape[1:]) ** 0.5
    up = random.standard_normal((shape[0], rank, *(1 for _ in shape[2:]))) / rank ** 0.5
    return down.astype(np.float32), up.astype(np.float32)


def difference(down, up, alpha, shape):
    rank = len(down)
    return alpha / rank * (up.reshape(-1, rank) @ down.reshape(rank, -1)).reshape(shape)


def apply(weights, lora, scale=1.):
    """Weights of an Oracle with a LoRA merged into them; the given ones stay as they are."""
    changed = {component: dict(tensors) for component, tensors in weights.items()}
    for component, modules in lora.items():
        for module, (down, up, alpha) in modules.items():
            weight = changed[component][module + ".weight"]
            changed[component][module + ".weight"] = weight + scale * difference(*(x.astype(float) for x in (down, up)), alpha, weight.shape)
    return changed


# ---- names ----

def original(module):
    """SDXL's first name of a module of the UNet, which kohya's files use: the blocks of each half counted through, a level's last one
    being its change of size."""
    found = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)(\..*)", module)
    if found:
        way, level, kind, i, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        per_level, first, half = LAYERS + 1, way == "down", "input_blocks" if way == "down" else "output_blocks"
        if kind == "downsamplers":
            return f"{half}.{(level + 1) * per_level}.0.op"
        if kind == "upsamplers":
            return f"{half}.{level * per_level + LAYERS}.2{rest}"
        return f"{half}.{first + level * per_level + i}.{int(kind == 'attentions')}{inside(rest)}"
    found = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)(\..*)", module)
    if found:
        return f"middle_block.{1 if found[1] == 'attentions' else 2 * int(found[2])}{inside(found[3])}"
    return {"conv_in": "input_blocks.0.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
            "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}[module]


def inside(rest):
    """The name inside a block: only resnets have another."""
    return {".conv1": ".in_layers.2", ".conv2": ".out_layers.3", ".time_emb_proj": ".emb_layers.1",
            ".conv_shortcut": ".skip_connection"}.get(rest, rest)


def peft(lora):
    tensors = {f"{component}.{module}.lora_{letter}.weight": matrix for component, modules in lora.items()
               for module, (down, up, _) in modules.items() for letter, matrix in (("A", down), ("B", up))}
    settings = {}
    for component, modules in lora.items():
        down, _, alpha = next(iter(modules.values()))
        settings.update({f"{component}.r": len(down), f"{component}.lora_alpha": alpha, f"{component}.target_modules": sorted(modules)})
    return tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(settings)}


def kohya(lora, unet_name):
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
    tensors = {}
    for component, modules in lora.items():
        for module, (down, up, alpha) in modules.items():
            name = unet_name(module) if component == "unet" else module
            stem = f"{prefixes[component]}_{name.replace('.', '_')}"
            tensors.update({f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": np.array(alpha, down.dtype)})
    return tensors, {"ss_base_model_version": "sdxl_base_v1-0", "ss_network_module": "networks.lora"}


NAMINGS = {"peft": peft, "kohya": lambda lora: kohya(lora, original), "kohya-diffusers": lambda lora: kohya(lora, lambda module: module)}


def write(path, lora, naming, dtype=np.float32):
    tensors, metadata = NAMINGS[naming](lora)
    safetensors.write(path, {name: array.astype(dtype) for name, array in tensors.items()}, metadata)


# ---- what must be refused ----

def pair(stem, inputs, outputs, rank=4):
    return {f"{stem}.lora_down.weight": np.ones((rank, inputs), np.float32), f"{stem}.lora_up.weight": np.ones((outputs, rank), np.float32),
            f"{stem}.alpha": np.array(2, np.float32)}


def foreign(lora):
    """Tensors by what is the matter with them; each file is well-formed. lora: one that fits, of the UNet."""
    good, _ = NAMINGS["kohya"](lora)
    stem = min(good)[:-len(".alpha")]
    rest = {name: array for name, array in good.items() if not name.startswith(stem + ".")}
    down, up = good[f"{stem}.lora_down.weight"], good[f"{stem}.lora_up.weight"]
    outputs, inputs = len(up), down.shape[1]
    square = lambda *shape: np.ones(shape, np.float32)
    attention = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    return {
        "sd15": {**pair(f"lora_unet_{attention}", 768, 640), **pair("lora_unet_down_blocks_0_attentions_0_proj_in", 320, 320)},
        "flux": {f"transformer.single_transformer_blocks.{i}.attn.to_q.lora_{letter}.weight": square(*shape)
                 for i in range(2) for letter, shape in (("A", (4, 3072)), ("B", (3072, 4)))},
        "flux-kohya": pair("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072),
        "loha": {**rest, f"{stem}.hada_w1_a": square(outputs, 4), f"{stem}.hada_w1_b": square(4, inputs), f"{stem}.hada_w2_a": square(outputs, 4),
                 f"{stem}.hada_w2_b": square(4, inputs), f"{stem}.alpha": np.array(4, np.float32)},
        "lokr": {**rest, f"{stem}.lokr_w1": square(4, 4), f"{stem}.lokr_w2": square(outputs // 4, inputs // 4)},
        "dora": {**good, f"{stem}.dora_scale": square(outputs, 1)},
        "tucker": {**good, f"{stem}.lora_mid.weight": square(4, 4, 3, 3)},
        "full": {**rest, f"{stem}.diff": square(outputs, inputs)},
        "unmatched": {**good, **pair("lora_unet_input_blocks_8_1_transformer_blocks_9_attn1_to_q", 64, 64)},
        "nothing-matched": pair("lora_unet_input_blocks_8_1_transformer_blocks_9_attn1_to_q", 64, 64),
        "half": {name: array for name, array in good.items() if name != f"{stem}.lora_up.weight"},
        "two-ranks": {**good, f"{stem}.lora_up.weight": square(outputs, 8)},
        "wrong-width": {**good, f"{stem}.lora_down.weight": square(4, inputs + 8)},
        "not-finite": {**good, f"{stem}.lora_up.weight": np.full((outputs, 4), np.nan, np.float32)},
        "empty": {},
    }


def malformed():
    """Bytes of files that are no safetensors, by what is the matter with them."""
    entry = lambda start, end, shape=(2,), kind="F32": {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
    data = bytes(16)
    pack = lambda header, data=data: safetensors.pack(header if isinstance(header, str) else json.dumps(header), data)
    well = {"a": entry(0, 8), "b": entry(8, 16)}
    return {
        "no-bytes": b"",
        "cut-length": b"\x10\0\0",
        "cut-header": pack(well)[:20],
        "cut-data": pack(well)[:-1],
        "data-left-over": pack(well, data + b"\0"),
        "header-longer-than-file": struct.pack("<Q", 1 << 40) + b"{}",
        "header-length-overflows": struct.pack("<Q", (1 << 64) - 1) + b"{}",
        "not-json": pack("{'a': 1}"),
        "not-an-object": pack("[]"),
        "not-utf-8": pack(well).replace(b'"a"', b'"\xff"'),
        "too-deep": pack("{\"a\":" + "[" * 10000 + "]" * 10000 + "}"),
        "twice-the-same": pack(f'{{"a":{json.dumps(entry(0, 8))},"a":{json.dumps(entry(8, 16))}}}'),
        "overlap": pack({"a": entry(0, 16, (4,)), "b": entry(8, 16)}),
        "hole": pack({"a": entry(0, 4, (1,)), "b": entry(8, 16)}),
        "backwards": pack({"a": entry(8, 0), "b": entry(8, 16)}),
        "past-the-end": pack({"a": entry(0, 8), "b": entry(8, 24, (4,))}),
        "negative-offset": pack({"a": entry(-8, 0), "b": entry(0, 16, (4,))}),
        "shape-does-not-fit": pack({"a": entry(0, 8, (3,)), "b": entry(8, 16)}),
        "shape-overflows": pack({"a": entry(0, 8, (1 << 33, 1 << 31, 2)), "b": entry(8, 16)}),
        "negative-shape": pack({"a": entry(0, 8, (-2, -1)), "b": entry(8, 16)}),
        "unknown-type": pack({"a": entry(0, 8, (2,), "F33"), "b": entry(8, 16)}),
        "metadata-not-text": pack({"__metadata__": {"rank": 4}, **well}),
        "no-offsets": pack({"a": {"dtype": "F32", "shape": [4]}}),
    }


def write_oversized_header(path, length=(100 << 20) + 1):
    """A header of more than the 100 MB that are allowed, without the disk space: the file is sparse."""
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", length) + b"{")
        f.truncate(8 + length)
