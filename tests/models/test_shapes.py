"""The small text-to-image model's drawings, their reader, and what its files hold."""
import json
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

from ..support.paths import BUILD, ROOT

SHAPES = ROOT / "models" / "shapes"
sys.path.insert(0, str(SHAPES))
import draw
import read
import weights

FOLDER = SHAPES / "model"


def drawn(seed):
    random = np.random.default_rng(seed)
    scene = draw.scene(random)
    return scene, draw.draw(scene), draw.caption(scene, random)


def test_a_seed_names_a_picture_and_a_caption():
    first, second = drawn(5), drawn(5)
    assert np.array_equal(first[1], second[1]) and first[2] == second[2]
    assert drawn(6)[2] != first[2]


def test_the_reader_reads_what_was_drawn():
    right = {}
    for seed in range(200):
        scene, picture, _ = drawn(seed)
        for name, answers in read.agrees(scene, read.read(picture)).items():
            right.setdefault(name, []).extend(answers)
    assert sorted(right) == ["colour", "count", "ground", "place", "shape", "size"]
    assert all(np.mean(answers) >= 0.99 for answers in right.values()), right


def test_the_reader_sees_what_is_wrong():
    scene, picture, _ = drawn(1)
    said = {"ground": scene["ground"], "things": [thing | {"colour": scene["ground"]} for thing in scene["things"]]}
    assert not any(read.agrees(said, read.read(picture))["colour"])


def test_a_caption_says_what_it_says_it_says():
    for seed in range(200):
        _, _, (text, said) = drawn(seed)
        for value in [said["ground"], *(thing["colour"] for thing in said["things"])]:
            assert value is None or value in text


def test_weights_have_the_names_and_shapes_of_sdxl(tmp_path):
    unet = weights.named_weights(FOLDER / "unet" / "model.onnx")
    assert unet["conv_in.weight"].shape == (64, 4, 3, 3)
    assert unet["down_blocks.2.attentions.0.transformer_blocks.1.attn2.to_k.weight"].shape == (64, 112)
    assert not any(name.startswith(("down_blocks.0.attentions", "up_blocks.2.attentions")) for name in unet)
    assert all(array.dtype == np.float16 for array in unet.values())
    second = weights.named_weights(FOLDER / "text_encoder_2" / "model.onnx")
    assert second["text_projection.weight"].shape == (64, 64)
    body = weights.safetensors(unet)
    length, = struct.unpack_from("<Q", body)
    header = json.loads(body[8:8 + length])
    start, end = header["conv_in.weight"]["data_offsets"]
    assert body[8 + length + start:8 + length + end] == unet["conv_in.weight"].tobytes()


@pytest.mark.parametrize("folder, padding", [("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")])
def test_tokenizers_are_laid_out_as_clip_s(folder, padding):
    vocabulary = json.loads((FOLDER / folder / "vocab.json").read_text())
    merges = (FOLDER / folder / "merges.txt").read_text().splitlines()[1:]
    assert sorted(vocabulary.values()) == list(range(512 + len(merges) + 2))
    assert [vocabulary[line.replace(" ", "", 1)] for line in merges] == list(range(512, 512 + len(merges)))
    assert vocabulary["!"] == 0 and "circle</w>" in vocabulary
    assert json.loads((FOLDER / folder / "special_tokens_map.json").read_text())["pad_token"] == padding


def test_all_files_together_are_small():
    assert sum(path.stat().st_size for path in pathlib.Path(FOLDER).rglob("*.onnx")) < 8 << 20


# ---- what mela draws with it ----

@pytest.fixture
def paint(tmp_path):
    """paint(prompt, option, ...) -> pictures [count,64,64,3] by mela-bench picture, Euler, 20 steps, guidance 4."""
    def run(prompt, *options, count=2, seed=1):
        subprocess.run([BUILD / "mela-bench", "picture", "--model", FOLDER, "--device", "cpu", "--prompt", prompt, "--width", "64", "--height",
                        "64", "--steps", "20", "--guidance", "4", "--count", str(count), "--seed", str(seed), "--output", tmp_path / "out",
                        *options], check=True, capture_output=True)
        raw = [subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / f"out-{seed + k}.png", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                              capture_output=True, check=True).stdout for k in range(count)]
        return np.frombuffer(b"".join(raw), np.uint8).reshape(count, draw.SIDE, draw.SIDE, 3)
    return run


def test_words_become_what_they_say(paint):
    """Each shape twice; one of ten may miss, as in the score over 200 prompts."""
    wanted = [("red", "circle", "blue"), ("blue", "square", "yellow"), ("green", "triangle", "black"), ("yellow", "star", "purple"),
              ("white", "cross", "red")]
    right = []
    for colour, shape, ground in wanted:
        for picture in paint(f"a {colour} {shape} on a {ground} background"):
            seen = read.read(picture)
            right.append(seen["ground"] == ground and [(t["colour"], t["shape"]) for t in seen["things"]] == [(colour, shape)])
    assert sum(right) >= 9, right


def test_a_negative_prompt_keeps_away_what_it_names(paint):
    reds = lambda pictures: sum("red" in [seen["ground"], *(t["colour"] for t in seen["things"])] for seen in map(read.read, pictures))
    assert reds(paint("a circle", "--negative", "red", count=8)) <= 1
    assert reds(paint("a red circle", count=4)) == 4


@pytest.mark.parametrize("scheduler", ["euler_ancestral", "dpmpp_2m"])
def test_other_schedulers_draw_it_too(paint, scheduler):
    seen = [read.read(picture) for picture in paint("a green square on a white background", "--scheduler", scheduler, count=3)]
    assert sum([(t["colour"], t["shape"]) for t in one["things"]] == [("green", "square")] for one in seen) >= 2
