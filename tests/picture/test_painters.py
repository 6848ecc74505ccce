"""Sets of LoRAs in one process, by painters_tool, against the oracle."""
import json
import os
import subprocess

import numpy as np
import pytest

from ..support.once import make_once
from ..support.paths import BUILD, ROOT
from . import lora_files, oracle, safetensors, sampling, vocabulary

PROMPT, NEGATIVE, SIZE, STEPS, SEED = "a photo of a red cat on the moon", "blurry, low quality", 64, 2, 5
MODELS = {"plain": {}, "dynamo": {"naming": "dynamo"}, "unfolded": {"naming": "unfolded"}, "external": {"external": True},
          "half": {"dtype": "float16", "vae_dtype": "float32", "naming": "dynamo", "external": True}}


def mela(*arguments):
    return subprocess.run([BUILD / "mela-worker", "models", *arguments, "--manifests", ROOT / "models"], capture_output=True, text=True)


def styles(weights):
    """Two LoRAs; the first changes all that one can."""
    return {"first": lora_files.draw(weights, seed=1, conv=True, text=True), "second": lora_files.draw(weights, seed=2, rank=2, alpha=1)}


@pytest.fixture(scope="session")
def zoo(tiny, tmp_path_factory):
    """The folder of a zoo with all models, and LoRAs in each naming."""
    def make(folder):
        for name, options in MODELS.items():
            done = mela("add", "image", tiny(**options), "--name", name, "--models", folder)
            assert done.returncode == 0, done.stderr
        for style, lora in styles(oracle.Oracle(tiny()).weights).items():
            for naming in lora_files.NAMINGS:
                lora_files.write(folder / "file", lora, naming)
                done = mela("add", "lora", folder / "file", "--name", f"{style}-{naming}", "--models", folder)
                assert done.returncode == 0, done.stderr
        (folder / "file").unlink()
    return make_once(tmp_path_factory, "picture-zoo", make)


@pytest.fixture
def painters(zoo, tmp_path):
    """painters([request, ...], memory_mb) -> what was said of each request, with its "pixels" where it was painted. A request is one of
    painters_tool's, without the key and the output; "paint" false: it is only loaded."""
    def run(requests, memory_mb=0, cache="-", folder=zoo):
        lines = []
        for i, request in enumerate(requests):
            defaults = {"key": f"set {i}", "prompt": PROMPT, "negative": NEGATIVE, "width": SIZE, "height": SIZE, "steps": STEPS, "seed": SEED}
            output = {"output": str(tmp_path / f"{i}.rgb")} if request.get("paint", True) else {}
            lines.append(json.dumps(request if "data_mb" in request else {**defaults, **request, **output}))
        done = subprocess.run([BUILD / "tests/picture/painters_tool", ROOT / "models", folder, cache, str(memory_mb)], input="\n".join(lines) + "\n",
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        asked = [(i, request) for i, request in enumerate(requests) if "data_mb" not in request]
        assert len(answers) == len(asked), done.stderr
        for (i, request), answer in zip(asked, answers):
            if request.get("paint", True) and "error" not in answer:
                shape = request.get("count", 1), request.get("height", SIZE), request.get("width", SIZE), 3
                answer["pixels"] = np.fromfile(tmp_path / f"{i}.rgb", np.uint8).reshape(shape).astype(int)
        return answers
    return run


def with_loras(model, *loras):
    return {"model": model, "loras": [{"name": name, "weight": weight} for name, weight in loras]}


def expected(folder, loras=(), half=False):
    model = oracle.Oracle(folder)
    for lora, weight in loras:
        model.weights = lora_files.apply(model.weights, lora, weight)
    if half:
        model.weights = {name: {tensor: array if name == "vae" else array.astype(np.float16).astype(float) for tensor, array in part.items()}
                         for name, part in model.weights.items()}
    both = lambda prompt: tuple(np.array([vocabulary.encode(prompt, second)], np.int64) for second in (False, True))
    noise = sampling.torch_noise(SEED, (1, 4, SIZE // 8, SIZE // 8))
    euler = lambda predict, noise: sampling.euler(predict, sampling.schedule("euler", STEPS), noise)
    return sampling.text_to_image(model, both(PROMPT), both(NEGATIVE), noise, euler)[1].astype(int)


def same(a, b):
    return np.array_equal(a["pixels"], b["pixels"])


@pytest.mark.parametrize("name", MODELS)
def test_a_merged_lora_is_the_oracles(painters, tiny, name):
    folder = tiny(**MODELS[name])
    loras = styles(oracle.Oracle(tiny()).weights)
    plain, changed = painters([{"model": name}, with_loras(name, ("first-kohya", 0.5))])
    wanted = expected(folder, [(loras["first"], 0.5)], half=name == "half")
    assert np.abs(changed["pixels"] - wanted).max() <= (1 if name != "half" else 255) and np.abs(changed["pixels"] - wanted).mean() < 2
    assert np.abs(changed["pixels"] - plain["pixels"]).mean() > 10


def test_two_with_weights_are_the_oracles(painters, tiny):
    loras = styles(oracle.Oracle(tiny()).weights)
    seen, = painters([with_loras("plain", ("first-peft", 0.4), ("second-kohya", -0.7))])
    assert np.abs(seen["pixels"] - expected(tiny(), [(loras["first"], 0.4), (loras["second"], -0.7)])).max() <= 1


def test_namings_of_loras_and_of_models_give_the_same_bytes(painters):
    of_loras = [with_loras("plain", (f"first-{naming}", 0.7)) for naming in lora_files.NAMINGS]
    of_models = [with_loras(name, ("first-peft", 0.7)) for name in ("unfolded", "dynamo", "external")]
    first, *rest = painters(of_loras + of_models)
    assert all(same(first, other) for other in rest)


def test_weight_zero_is_no_lora(painters):
    plain, zero = painters([{"model": "plain"}, with_loras("plain", ("first-kohya", 0))])
    assert same(plain, zero) and zero["origin"]["loras"][0]["matched"] == 210


def test_there_and_back_again(painters):
    """Whatever was loaded, and cancelled, in between."""
    request = lambda key, *loras, **more: {"key": key, **with_loras("plain", *loras), **more}
    said = painters([request("none"), request("a", ("first-kohya", 1)), request("b", ("second-kohya", 1)), request("a", ("first-kohya", 1)),
                     request("c", ("first-kohya", 0.9), cancel_after=1), request("none"), request("b", ("second-kohya", 1))], memory_mb=12)
    assert said[4]["error"] == "cancelled"
    assert same(said[0], said[5]) and same(said[1], said[3]) and same(said[2], said[6])
    assert not same(said[0], said[1]) and not same(said[0], said[2]) and not same(said[1], said[2])


def test_a_batch_is_as_its_pictures_alone(painters):
    lora = with_loras("plain", ("first-kohya", 0.7))
    batch, *alone = painters([{**lora, "count": 3}, *({**lora, "seed": SEED + k} for k in range(3))])
    for k, one in enumerate(alone):
        assert np.abs(batch["pixels"][k] - one["pixels"][0]).max() <= 1


def test_a_graph_from_the_cache_is_never_a_merged_one(painters, tmp_path):
    requests = [{"model": "plain"}, with_loras("plain", ("first-kohya", 1))]
    cold = painters(requests, cache=tmp_path / "cache")
    warm = painters(requests[::-1], cache=tmp_path / "cache")[::-1]
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert same(cold[0], warm[0]) and same(cold[1], warm[1]) and not same(cold[0], cold[1])


def test_origin(painters, zoo, tmp_path):
    manifest = json.loads((zoo / "first-kohya.json").read_text())
    path = zoo / "second-peft.safetensors"
    said, = painters([{"model": "half", "paint": False, "loras": [{"name": "first-kohya", "weight": 0.7},
                                                                  {"name": "fetched", "path": str(path), "weight": -1}]}])
    first, second = said["origin"]["loras"]
    assert first == {"name": "first-kohya", "sha256": manifest["sha256"], "weight": 0.7, "matched": 210, "unmatched": 0}
    assert second["name"] == "fetched" and second["sha256"] == json.loads((zoo / "second-peft.json").read_text())["sha256"]
    assert said["origin"]["model"]["name"] == "half" and said["origin"]["device"] == "cpu" and len(said["origin"]["vocabulary"]) == 64
    listed = {model["name"]: model for model in json.loads(mela("list", "--json", "--models", zoo).stdout)}
    assert said["origin"]["model"]["sha256"] == listed["half"]["sha256"]


def loads(requests):
    return [{**request, "paint": False} for request in requests]


def test_what_was_not_used_for_longest_is_closed(painters):
    """A tiny model takes 9 MB; of a set with LoRAs, 5 MB are its own."""
    a, b, none = ({"key": key, **with_loras("plain", *loras)} for key, loras in
                  (("a", [("first-kohya", 1)]), ("b", [("first-kohya", 0.5)]), ("none", [])))
    held = lambda memory_mb: [said["held"] for said in painters(loads([a, none, b, none, a]), memory_mb)]
    assert held(100) == [["a"], ["none", "a"], ["b", "none", "a"], ["none", "b", "a"], ["a", "none", "b"]]
    assert held(18) == [["a"], ["none", "a"], ["b", "none"], ["none", "b"], ["a", "none"]]
    assert held(10) == [["a"], ["none"], ["b"], ["none"], ["a"]]


def test_too_little_memory_is_told_with_what_is_needed(painters):
    big, = painters(loads([with_loras("plain", ("first-kohya", 1))]), memory_mb=5)
    assert big["error"] == "model.memory" and "needs 9 MB, and 5 MB may be used" in big["message"] and big["held"] == []


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="AddressSanitizer ends a process whose allocation fails")
def test_out_of_memory_leaves_a_process_that_works(painters):
    """The UNet's attention over a large picture wants 4 GiB at once."""
    small, large = {"key": "a", "model": "plain"}, {"key": "a", "model": "plain", "width": 2048, "height": 2048, "steps": 1, "guidance": 1}
    said = painters([small, {"data_mb": 500}, large, small, {"data_mb": 0}, small])
    assert said[1]["error"] == "model.memory"
    assert same(said[0], said[2]) and same(said[0], said[3])


def test_a_key_of_other_contents_is_another_set(painters):
    one, other = painters([{"key": "a", **with_loras("plain", ("first-kohya", weight))} for weight in (1, 0.5)])
    assert other["held"] == ["a"] and not same(one, other)


def test_what_cannot_be_used_leaves_the_others(painters, zoo, tmp_path, tiny):
    foreign = lora_files.foreign(lora_files.draw(oracle.Oracle(tiny()).weights))
    for name, tensors in foreign.items():
        safetensors.write(tmp_path / name, tensors)
    refused = {"sd15": "lora.unsupported", "flux": "lora.unsupported", "dora": "lora.unsupported", "nothing-matched": "lora.no_match",
               "not-finite": "weights.invalid", "half": "weights.invalid"}
    bad = [{"model": "plain", "loras": [{"name": name, "path": str(tmp_path / name)}]} for name in refused]
    bad += [{"model": "nothing"}, {"model": "first-peft"}, with_loras("plain", ("plain", 1)), with_loras("plain", ("nothing", 1))]
    *said, stray = painters(loads([{"key": "good", "model": "plain"}, *bad,
                                   {"model": "plain", "loras": [{"name": "stray", "path": str(tmp_path / "unmatched")}]}]))
    assert [answer["error"] for answer in said[1:]] == [*refused.values(), "model.not_found", "model.invalid", "model.invalid", "model.not_found"]
    assert all(answer["held"] == ["good"] for answer in said)
    assert stray["origin"]["loras"][0]["unmatched"] == 3


def test_tiles_show_no_seam(painters):
    """A decoder's norms see a tile where they saw the picture, so tiles differ a little; what counts is that no line shows between them."""
    request = {"key": "a", "model": "plain", "width": 256, "height": 192}
    whole, tiled, again = (said["pixels"][0] for said in painters([request, {**request, "tile": 128}, {**request, "tile": 128}]))
    assert np.array_equal(tiled, again) and 0 < np.abs(tiled - whole).mean() < 8
    for axis in (0, 1):
        steps = (np.diff(tiled, axis=axis) - np.diff(whole, axis=axis)).mean(axis=1 - axis)
        assert np.abs(steps[4:-4]).max() < 4  # the picture's own edges are the same in both


def test_a_picture_of_one_tile_is_whole(painters):
    request = {"key": "a", "model": "plain", "width": 128, "height": 64}
    whole, tiled = painters([request, {**request, "tile": 128}])
    assert same(whole, tiled)


def test_many_switches_keep_nothing(painters):
    """Under the leak checker, what one set left behind shows at the end."""
    sets = [{"key": f"{name}-{weight}", **with_loras(name, ("first-peft", weight), ("second-kohya", 1))}
            for name in ("plain", "external") for weight in (0.1, 0.2)]
    said = painters([{**request, "paint": i == 0} for i, request in enumerate(sets * 4)], memory_mb=20)
    assert all("error" not in answer for answer in said)
