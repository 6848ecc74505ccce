"""Whole pictures by mela-bench picture, against the oracle."""
import json
import os
import subprocess

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from ..support.paths import BUILD
from . import oracle, sampling, vocabulary

PROMPT, NEGATIVE = "a photo of a red cat on the moon, highly detailed", "blurry, low quality"
WIDTH, HEIGHT, STEPS, SEED = 128, 64, 4, 5


@pytest.fixture
def paint(tmp_path):
    """paint(folder, option, ...) -> (pixels [count, height, width, 3], what it printed)"""
    def run(folder, *options, steps=STEPS, count=1, prompt=PROMPT, check=True):
        done = subprocess.run(
            [BUILD / "mela-bench", "picture", "--model", folder, "--prompt", prompt, "--steps", str(steps), "--width", str(WIDTH),
             "--height", str(HEIGHT), "--count", str(count), "--seed", str(SEED), "--device", "cpu", "--output", tmp_path / "out", *options],
            capture_output=True, text=True)
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        return np.stack([pixels_of(tmp_path / f"out-{SEED + k}.png") for k in range(count)]), json.loads(done.stdout)
    return run


def pixels_of(path):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(HEIGHT, WIDTH, 3)


def noises(seed, count):
    """What one generator draws in turn."""
    shape = (4, HEIGHT // 8, WIDTH // 8)
    return sampling.torch_noise(seed, (count, *shape)).reshape(count, 1, *shape)


def expected(folder, sampler, negative=NEGATIVE, seed=SEED, guidance=5):
    both = lambda prompt: tuple(np.array([vocabulary.encode(prompt, second)], np.int64) for second in (False, True))
    negatives = None if negative is None else both(negative)
    return sampling.text_to_image(oracle.Oracle(folder), both(PROMPT), negatives, noises(seed, 1)[0], sampler, guidance)[1][0]


def euler(predict, noise):
    return sampling.euler(predict, sampling.schedule("euler", STEPS), noise)


def assert_same(found, wanted, level=1):
    assert found.shape == wanted.shape and np.abs(found.astype(int) - wanted).max() <= level


def test_a_picture_is_the_oracles(paint, tiny):
    assert_same(paint(tiny(), "--negative", NEGATIVE)[0][0], expected(tiny(), euler))


def test_no_negative_is_not_an_empty_one(paint, tiny):
    none, empty = paint(tiny())[0][0], paint(tiny(), "--negative", "")[0][0]
    assert_same(none, expected(tiny(), euler, negative=None))
    assert_same(empty, expected(tiny(), euler, negative=""))
    assert np.abs(none.astype(int) - empty).max() > 1


def test_weights_beside_the_model_are_read(paint, tiny):
    assert (paint(tiny(external=True))[0] == paint(tiny())[0]).all()


def test_a_picture_is_the_same_alone_and_in_a_batch(paint, tiny):
    three = paint(tiny(), "--negative", NEGATIVE, count=3)[0]
    for k, seen in enumerate(three):
        assert_same(seen, expected(tiny(), euler, seed=SEED + k))


@pytest.mark.parametrize("options, sampler", [
    (["--scheduler", "dpmpp_2m", "--karras"], lambda predict, noise: sampling.dpm(predict, sampling.schedule("dpm", STEPS, is_karras=True), noise)),
    (["--spacing", "trailing"], lambda predict, noise: sampling.euler(predict, sampling.schedule("euler", STEPS, "trailing"), noise)),
])
def test_other_schedulers_are_the_oracles(paint, tiny, options, sampler):
    assert_same(paint(tiny(), "--negative", NEGATIVE, *options)[0][0], expected(tiny(), sampler))


def test_half_precision_is_near(paint, tiny):
    found = paint(tiny(dtype="float16", vae_dtype="float32"), "--negative", NEGATIVE)[0][0]
    wanted = expected(tiny(dtype="float16", vae_dtype="float32"), euler)
    assert np.abs(found.astype(int) - wanted).mean() < 2


def copy_of(folder, to, without):
    """The model, less one of its files."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) != without:
            target = to / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return to


@pytest.mark.parametrize("missing, said", [
    ("unet/model.onnx", "unet/model.onnx"), ("tokenizer_2/merges.txt", "merges.txt"), ("model_index.json", "model_index.json"),
    ("scheduler/scheduler_config.json", "scheduler_config.json"), ("text_encoder/config.json", "text_encoder/config.json")])
def test_a_missing_piece_is_named(paint, tiny, tmp_path, missing, said):
    done = paint(copy_of(tiny(), tmp_path / "model", missing), check=False)
    assert done.returncode != 0 and said in done.stderr


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2", "unet", "vae_decoder"])
def test_an_input_that_nobody_fills_is_refused(paint, tiny, tmp_path, part):
    network = onnx.load(tiny() / part / "model.onnx")
    network.graph.input.append(onnx.helper.make_tensor_value_info("attention_mask", onnx.TensorProto.FLOAT, [1, 77]))
    folder = copy_of(tiny(), tmp_path / "model", f"{part}/model.onnx")
    onnx.save(network, folder / part / "model.onnx")
    done = paint(folder, check=False)
    assert done.returncode > 0 and "model.invalid" in done.stderr and part in done.stderr, done.stderr


def test_a_decoder_that_overflows_makes_no_black_picture(paint, tiny, tmp_path):
    """As SDXL's own does in float16, on some prompts."""
    network = onnx.load(tiny() / "vae_decoder/model.onnx")
    bias = next(tensor for tensor in network.graph.initializer if tensor.name == "decoder.conv_out.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.float32([0, np.inf, 0]), bias.name))
    folder = copy_of(tiny(), tmp_path / "model", "vae_decoder/model.onnx")
    onnx.save(network, folder / "vae_decoder/model.onnx")
    done = paint(folder, check=False)
    assert done.returncode > 0 and "picture.not_finite" in done.stderr, done.stderr
    assert not list(tmp_path.glob("out*"))


def test_without_guidance_the_negative_is_nothing(paint, tiny):
    assert (paint(tiny(), "--guidance", "1", "--negative", NEGATIVE)[0] == paint(tiny(), "--guidance", "1")[0]).all()


def test_a_size_that_the_unet_cannot_give_back_is_refused(paint, tiny):
    """Three levels halve the latents twice: 72 pixels are nine latents, of which five come back as ten."""
    done = paint(tiny(), "--height", "72", check=False)
    assert done.returncode != 0 and "128 x 72 is no size for this model: both must be multiples of 32" in done.stderr
