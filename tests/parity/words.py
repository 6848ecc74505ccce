"""Ids of prompts, against transformers' CLIPTokenizerFast."""
import json
import os
import pathlib

from transformers import CLIPTokenizerFast

from ..diffusion.corpus import CORPUS, long_prompts
from ..support.paths import ROOT
from .mela import Row, tool

CLIP = pathlib.Path(os.environ.get("MELA_DEPS", ROOT / ".deps")) / "clip"
SPECIALS = "<|startoftext|>", "<|endoftext|>"


def rows():
    texts = [text for text in [*CORPUS, *long_prompts(3)] if not any(special in text for special in SPECIALS)]
    for name in "tokenizer", "tokenizer_2":
        theirs = CLIPTokenizerFast.from_pretrained(CLIP / name)
        wanted = theirs(texts, padding="max_length", max_length=77, truncation=True).input_ids
        ours = [line["ids"][0] for line in tool("prompts", CLIP / name, 0, 1, 0, input=json.dumps(texts))]
        different = [text for text, a, b in zip(texts, ours, wanted) if a != b]
        yield Row(f"ids of {len(texts)} prompts, {name}", len(texts) * 77, len(different), 0, "; ".join(map(repr, different)))
