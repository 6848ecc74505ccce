"""The tiny model against the oracle, and what both promise to the tests that use them."""
import functools

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from . import oracle, sampling, safetensors, tiny_networks, true_sdxl, vocabulary
from .torch_graph import TorchGraph, Weights

PROMPT, NEGATIVE = "a photo of a red cat on the moon, highly detailed", "blurry, low quality"
NETWORKS = ["text_encoder", "text_encoder_2", "unet", "vae_decoder", "vae_encoder"]
BOUNDS = {"float32": 1e-4, "float16": 0.03}  # on numbers of size 1


def ids(*prompts, second=False):
    return np.array([vocabulary.encode(prompt, second) for prompt in prompts], np.int64)


def unet_inputs(batch=1, height=8, width=8, tokens=77, seed=1):
    normal = np.random.default_rng(seed).standard_normal
    return {"sample": normal((batch, 4, height, width)), "timestep": np.float32(951), "encoder_hidden_states": normal((batch, tokens, 56)),
            "text_embeds": normal((batch, 32)), "time_ids": sampling.size_ids(batch, 8 * height, 8 * width, crop=(0, 16))}


def cases(network):
    """Inputs of several sizes."""
    random = np.random.default_rng(2)
    if network.startswith("text"):
        prompts = [PROMPT, "", "night " * 80]
        return [{"input_ids": ids(*prompts[:count], second=network.endswith("2"))} for count in (1, 3)]
    if network == "unet":
        return [unet_inputs(1, 8, 8, 77), unet_inputs(3, 8, 16, 77), unet_inputs(3, 8, 8, 154), unet_inputs(1, 8, 16, 154)]
    if network == "vae_decoder":
        return [{"latent_sample": random.standard_normal((batch, 4, 8, width)) / 0.13025} for batch, width in ((1, 16), (3, 8))]
    return [{"sample": random.uniform(-1, 1, (batch, 3, 64, 8 * width))} for batch, width in ((1, 16), (3, 8))]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_network_equals_the_oracle(dtype, network, tiny, networks):
    folder = tiny(dtype=dtype)
    graph, expected = networks(folder, dtype), oracle.Oracle(folder)
    for inputs in cases(network)[:2 if dtype == "float16" else None]:  # slow: the CPU has to cast
        found = graph(network, **inputs)
        rounded = {name: x if x.dtype == np.int64 else np.asarray(x).astype(dtype) for name, x in inputs.items()}
        wanted = expected(network, **rounded)
        assert found.keys() == wanted.keys()
        for name, array in wanted.items():
            assert found[name].dtype == dtype and found[name].shape == array.shape
            assert np.abs(found[name] - array).max() < BOUNDS[dtype] * max(1, array.std()), name


def test_other_exports_are_the_same_network(tiny, networks):
    exports = {}, {"naming": "unfolded"}, {"naming": "dynamo"}, {"external": True}
    wanted, *others = (networks(tiny(**options))("unet", **unet_inputs())["out_sample"] for options in exports)
    for found in others:
        assert np.abs(found - wanted).max() < 1e-5


def test_vae_may_stay_float32(tiny):
    folder = tiny(dtype="float16", vae_dtype="float32")
    types = {name: onnx.load(folder / name / "model.onnx").graph.input[0].type.tensor_type.elem_type for name in ("unet", "vae_decoder")}
    assert types == {"unet": onnx.TensorProto.FLOAT16, "vae_decoder": onnx.TensorProto.FLOAT}


def test_weights_beside_the_graph(tiny):
    folder = tiny(external=True) / "unet"
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert all(len(tensor.raw_data) < 100 for tensor in model.graph.initializer) and len(outside) > 300
    assert {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"} == {"model.onnx_data"}
    onnx.checker.check_model(str(folder / "model.onnx"))


def test_graph_is_named_as_torch_names_it(tiny):
    """Each matrix and kernel is found by the name of the node that uses it, which is the path of its module."""
    folder = tiny()
    weights = safetensors.read(folder / "unet/diffusion_pytorch_model.safetensors")
    graph = onnx.load(folder / "unet/model.onnx").graph
    stored, found = {tensor.name: tensor for tensor in graph.initializer}, set()
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm", "Conv") or node.input[1] not in stored:
            continue
        name = ".".join(node.name.split("/")[1:-1]) + ".weight"
        array = onnx.numpy_helper.to_array(stored[node.input[1]])
        anonymous = node.op_type == "MatMul"
        assert np.array_equal(array.T if anonymous else array, weights[name])
        assert node.input[1].startswith("onnx::MatMul_") if anonymous else node.input[1] == name
        found.add(name)
    assert found == {name for name, array in weights.items() if array.ndim >= 2} and len(found) == 174
    assert sum(array.size for array in weights.values()) == 536628  # of diffusers' UNet with this configuration


def test_the_true_unet_has_all_parameters_of_sdxls():
    class Names(TorchGraph):
        def initializer(self, name, array):
            return name

    class Counted(true_sdxl.StreamedWeights):
        def draw(self, name, shape, deviation, mean=0):
            self.parameters += int(np.prod(shape))
            return np.broadcast_to(self.dtype.type(0), shape)

    weights = Counted(0, "unet", "float16")
    tiny_networks.unet(Names("main_graph", weights, "torchscript"), true_sdxl.unet_config())
    assert weights.parameters == true_sdxl.PARAMETERS


def test_same_arguments_give_the_same_bytes(tiny, tmp_path):
    from .tiny_sdxl import make
    once, again, other = tiny(dtype="float16"), make(tmp_path / "again", dtype="float16"), make(tmp_path / "other", 1, "float16")
    files = sorted(path.relative_to(once) for path in once.rglob("*") if path.is_file())
    assert len(files) == 25
    assert all((once / file).read_bytes() == (again / file).read_bytes() for file in files)
    changed = {file.suffix for file in files if (once / file).read_bytes() != (other / file).read_bytes()}
    assert changed == {".onnx", ".safetensors"}


def test_a_weight_depends_on_its_name_alone():
    one, two = Weights(0, "unet", "float32"), Weights(0, "unet", "float32")
    one.draw("a", (3, 4), 1)
    assert np.array_equal(one.draw("b", (5,), 2, 1), two.draw("b", (5,), 2, 1))
    assert not np.array_equal(one["b"], Weights(1, "unet", "float32").draw("b", (5,), 2, 1))


# ---- pictures ----

def picture(networks, prompts, negatives, steps=4, width=8):
    both = lambda prompt: (ids(prompt), ids(prompt, second=True))
    sampler = lambda predict, noise: sampling.euler(predict, sampling.schedule("euler", steps), noise)
    negatives = None if negatives is None else both(negatives)
    return sampling.text_to_image(networks, both(prompts), negatives, sampling.torch_noise(5, (1, 4, 8, width)), sampler)


def test_whole_picture_equals_the_oracle(tiny, networks):
    states, seen = picture(networks(tiny()), PROMPT, NEGATIVE, width=16)
    wanted_states, wanted = picture(oracle.Oracle(tiny()), PROMPT, NEGATIVE, width=16)
    for found, expected in zip(states, wanted_states):
        assert np.abs(found - expected).max() < 1e-4
    assert seen.shape == (1, 64, 128, 3)
    assert np.abs(seen.astype(int) - wanted).max() <= 1


def test_picture_shows_every_difference(tiny):
    """Not saturated, and prompts, negatives that are absent, and steps can be told apart by their pixels."""
    networks = oracle.Oracle(tiny())
    pictures = [picture(networks, *asked)[1] for asked in ((PROMPT, NEGATIVE), ("a blue dog", NEGATIVE), (PROMPT, ""), (PROMPT, None),
                                                          (PROMPT, NEGATIVE, 5))]
    for i, one in enumerate(pictures):
        assert np.isin(one, (0, 255)).mean() < 0.1 and one.std() > 20
        assert all(np.abs(one.astype(int) - other).mean() > 1 for other in pictures[:i])


def test_latents_of_a_picture_have_unit_scale(tiny):
    shown = np.random.default_rng(3).integers(0, 256, (1, 64, 64, 3))
    assert 0.3 < sampling.encoded(oracle.Oracle(tiny()), shown, 0).std() < 3


# ---- schedules and noise, against numbers of diffusers and torch ----

@pytest.mark.parametrize("kind, count, options, steps, sigmas, first", [
    ("euler", 20, {}, (951, 901, 851, 51, 1), (11.028336, 8.390687, 0.2281473, 0.04131448), 11.073581),
    ("euler", 30, {}, (958, 925, 892, 34, 1), (11.4768505, 9.543586, 0.18216637, 0.04131448), 11.520334),
    ("euler", 4, {"spacing": "trailing"}, (999, 749, 499, 499, 249), (14.614647, 4.081731, 1.612887, 0.6932054), 14.614647),
    ("euler", 30, {"is_karras": True}, (958, 934.07209, 908.79432, 2.60091, 1), (11.47685, 10.031294, 0.055309, 0.04131448), 11.520334),
    ("dpm", 25, {"is_karras": True}, (999, 970, 938, 1, 0), (14.614647, 12.283042, 0.0437429, 0.0291675), 1),
    ("dpm", 25, {}, (951, 913, 875, 77, 39), None, 1),
    ("dpm", 25, {"spacing": "linspace"}, (999, 959, 919, 80, 40), None, 1),
])
def test_schedule(kind, count, options, steps, sigmas, first):
    plan = sampling.schedule(kind, count, **options)
    assert len(plan.steps) == count and len(plan.sigmas) == count + 1 and plan.sigmas[-1] == 0
    assert np.allclose([*plan.steps[:3], *plan.steps[-2:]], steps, rtol=1e-6, atol=1e-5)
    assert sigmas is None or np.allclose([*plan.sigmas[:2], *plan.sigmas[-3:-1]], sigmas, rtol=2e-6)
    assert np.isclose(plan.first, first, rtol=1e-6)


def test_samplers_find_the_picture_that_the_noise_hides():
    """A network that always sees the same picture: each step keeps the noise's direction, the last one leaves the picture."""
    random = np.random.default_rng(4)
    noise, hidden, fresh = random.standard_normal((1, 4, 8, 8)), random.standard_normal((1, 4, 8, 8)), random.standard_normal((9, 1, 4, 8, 8))
    sigma = lambda step: np.interp(step, np.arange(1000), sampling.SIGMAS)
    predict = lambda x, step: (x * np.sqrt(sigma(step) ** 2 + 1) - hidden) / sigma(step)
    plan = sampling.schedule("euler", 9)
    states = sampling.euler(predict, plan, noise)
    assert np.allclose(states[3] - hidden, (noise * plan.first - hidden) * plan.sigmas[4] / plan.sigmas[0], atol=1e-5)
    assert sampling.lcm_steps(4).tolist() == [999, 759, 499, 259]
    for last in (states[-1], sampling.euler_ancestral(predict, plan, noise, fresh)[-1],
                 sampling.dpm(predict, sampling.schedule("dpm", 9), noise)[-1], sampling.lcm(predict, 4, noise, fresh)[-1]):
        assert np.allclose(last, hidden, atol=1e-5)


def test_dpm_is_of_second_order():
    """A picture that changes evenly with the logarithm of sigma, for which the way of the latents is known: e^l (l - 1) in closed form."""
    noise, errors = np.ones((1, 4, 8, 8)), []
    log_snr = lambda sigma: -np.log(sigma)
    for count in (25, 50):
        plan = sampling.schedule("dpm", count, is_karras=True)
        asked = iter(plan.sigmas)  # some of the rounded steps are equal

        def predict(x, _):
            sigma = next(asked)
            return (x * np.sqrt(sigma ** 2 + 1) - log_snr(sigma)) / sigma

        first, last = plan.sigmas[0], plan.sigmas[-2]
        integral = lambda sigma: (log_snr(sigma) - 1) / sigma
        exact = last / np.sqrt(last ** 2 + 1) * (noise * np.sqrt(first ** 2 + 1) / first + integral(last) - integral(first))
        errors.append(np.abs(sampling.dpm(predict, plan, noise)[-2] - exact).max())
    assert errors[1] < 0.003 and errors[0] / errors[1] > 3


def test_noise_is_that_of_torch():
    first, other = sampling.torch_noise(0, (16,)), sampling.torch_noise(42, (16,))
    assert np.allclose(first[[0, 1, 2, 7, 15]], np.array([0xbf901b85, 0xbf93808a, 0xbe804bd6, 0xc0075fc1, 0xbe7d367c], np.uint32).view(np.float32), atol=2e-6)
    assert np.allclose(other[[0, 5, 15]], np.array([0x3ff6a529, 0xbf9e0591, 0x3f432f9f], np.uint32).view(np.float32), atol=2e-6)
    ends = sampling.torch_noise(0, (20,))
    assert np.array_equal(ends[:4], sampling.torch_noise(0, (32,))[:4]) and (ends[4:] != 0).all()
    assert not np.isclose(ends[4:], sampling.torch_noise(0, (32,))[4:20]).any()  # the last 16 are drawn again


# ---- words ----

def test_vocabulary_has_the_order_of_clip(tiny):
    ids = vocabulary.ids()
    assert len(ids) == 512 + vocabulary.MERGES + 2
    assert (ids["!"], ids["a"], ids["!</w>"], ids["a</w>"], ids["Ġ"]) == (0, 64, 256, 320, 220)
    assert ids[vocabulary.END] == len(ids) - 1
    assert ids["".join(vocabulary.merges()[0])] == 512


def test_prompts_are_split_as_by_clip():
    assert vocabulary.split("A  Cat's 24k, ÉTÉ\n日本!?") == ["a", "cat", "'s", "2", "4", "k", ",", "été", "日本", "!?"]
    known = vocabulary.encode("red cat")
    assert known[:4] == [len(vocabulary.ids()) - 2, vocabulary.ids()["red</w>"], vocabulary.ids()["cat</w>"], len(vocabulary.ids()) - 1]
    assert set(known[4:]) == {known[3]} and set(vocabulary.encode("red cat", second=True)[4:]) == {0}
    long = vocabulary.encode("red " * 100)
    assert len(long) == 77 and long[-2:] == [known[1], known[3]]
