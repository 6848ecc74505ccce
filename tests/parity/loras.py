"""LoRAs, as diffusers applies them and as mela merges them: the UNet's attention and both text encoders, in the namings that are met."""
import json

import numpy as np

from ..picture import lora_files, oracle, safetensors
from . import mela, pictures
from .mela import Row

WEIGHT = 0.8
ASKED = pictures.Asked(negative="blurry")


def write(path, lora, naming):
    tensors, metadata = lora_files.NAMINGS[naming](lora)
    if naming == "peft":
        # diffusers 0.42 looks for the first encoder's modules by these names, which transformers 5 shortened; mela does not read them.
        settings = json.loads(metadata["lora_adapter_metadata"])
        settings["text_encoder.target_modules"] = [name.removeprefix("text_model.") for name in settings["text_encoder.target_modules"]]
        metadata["lora_adapter_metadata"] = json.dumps(settings)
    safetensors.write(path, tensors, metadata)
    return path


def paint(pipe, file):
    """By diffusers, which computes with the LoRA beside the weights."""
    pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name="it")
    pipe.set_adapters(["it"], [WEIGHT])
    changed = {name for name in ("unet", "text_encoder", "text_encoder_2") if getattr(pipe, name).peft_config}
    assert len(changed) == 3, f"diffusers takes the LoRA for {changed} only"
    pixels = pictures.paint(pipe, ASKED)[0]
    pipe.unload_lora_weights()
    return pixels


def rows(model, scratch):
    pipe = pictures.load(model)
    plain = pictures.paint(pipe, ASKED)[0]
    zoo = mela.make_zoo(scratch / "zoo", model)
    lora = lora_files.draw(oracle.Oracle(model).weights, rank=4, alpha=2., text=True)
    for naming in lora_files.NAMINGS:
        file = write(scratch / f"{naming}.safetensors", lora, naming)
        ours, theirs = mela.paint_with_lora(zoo, file, WEIGHT, ASKED, scratch), paint(pipe, file)
        assert np.abs(theirs.astype(int) - plain).max() > 20, "the LoRA changes nothing that shows"
        yield Row(f"pixels: a LoRA with {naming}'s names", theirs.size, int(pictures.levels(ours, theirs).max()), 1)
