"""Times and sigmas against the same written in numpy with float64, steps against closed forms, and the strict reading of configs."""
import json

import numpy as np
import pytest

from .conftest import ToolError

SDXL = {"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "clip_sample": False, "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "epsilon",
        "sample_max_value": 1.0, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "leading",
        "trained_betas": None, "use_karras_sigmas": False}
DPM = {"_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.35.0", "algorithm_type": "dpmsolver++", "beta_end": 0.012,
       "beta_schedule": "scaled_linear", "beta_start": 0.00085, "dynamic_thresholding_ratio": 0.995, "euler_at_final": False,
       "final_sigmas_type": "zero", "flow_shift": 1.0, "lambda_min_clipped": -np.inf, "lower_order_final": True, "num_train_timesteps": 1000,
       "prediction_type": "epsilon", "rescale_betas_zero_snr": False, "sample_max_value": 1.0, "solver_order": 2, "solver_type": "midpoint",
       "steps_offset": 1, "thresholding": False, "timestep_spacing": "leading", "trained_betas": None, "use_beta_sigmas": False,
       "use_exponential_sigmas": False, "use_flow_sigmas": False, "use_karras_sigmas": True, "use_lu_lambdas": False, "variance_type": None}



def trained_alphas():
    """PyTorch's float32 table: near 1 its rounding decides the small sigmas. linspace goes from both ends, cumprod keeps a double."""
    first, last = np.float32(0.00085 ** 0.5), np.float32(0.012 ** 0.5)
    step, i = np.float64((last - first) / np.float32(999)), np.arange(1000)
    roots = np.where(i < 500, first + step * i, last - step * (999 - i)).astype(np.float32)
    return np.cumprod((1 - roots * roots).astype(np.float64)).astype(np.float32)


ALPHAS = trained_alphas()
SIGMAS = np.sqrt((1 - ALPHAS) / ALPHAS).astype(np.float64)


@pytest.fixture
def config(tmp_path):
    def write(base=SDXL, text=None, **options):
        path = tmp_path / "scheduler_config.json"
        path.write_text(text or json.dumps({**base, **options}))
        return path
    return write


@pytest.fixture
def schedule(tool, config):
    def run(first, last=None, name="-", spacing="-", karras=-1, slope=0.0, base=SDXL, text=None, **options):
        lines = tool("schedule", config(base, text, **options), name, spacing, karras, first, last or first, slope)
        return lines if last else lines[0]
    return run


# --- the tables, written anew from diffusers' formulas ---

def euler_times(n, spacing):
    if spacing == "linspace":
        return np.linspace(0, 999, n, dtype=np.float32)[::-1]
    if spacing == "leading":
        return np.arange(n)[::-1] * (1000 // n) + 1
    return np.arange(1000, 0, -1000 / n).round()[:n] - 1


def dpm_times(n, spacing):
    if spacing == "linspace":
        return np.linspace(0, 999, n + 1).round()[:0:-1]
    if spacing == "leading":
        return np.arange(n + 1)[:0:-1] * (1000 // (n + 1)) + 1
    return euler_times(n, spacing)


def karras(high, low, n):
    return (high ** (1 / 7) + np.linspace(0, 1, n) * (low ** (1 / 7) - high ** (1 / 7))) ** 7


def time_of(sigmas):
    return np.interp(np.log(sigmas), np.log(SIGMAS), np.arange(1000))


def table(name, n, spacing, with_karras):
    times = (dpm_times if name == "dpmpp_2m" else euler_times)(n, spacing)
    sigmas = np.interp(times, np.arange(1000), SIGMAS)
    if with_karras:
        sigmas = karras(SIGMAS[-1], SIGMAS[0], n) if name == "dpmpp_2m" else karras(sigmas[0], sigmas[-1], n)
        times = time_of(sigmas).round() if name == "dpmpp_2m" else time_of(sigmas)
    return times, np.append(sigmas, 0)


@pytest.mark.parametrize("with_karras", [0, 1])
@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("name", ["euler", "euler_ancestral", "dpmpp_2m"])
def test_tables_of_1_to_100_steps(schedule, name, spacing, with_karras):
    for n, line in enumerate(schedule(1, 100, name, spacing, with_karras), 1):
        times, sigmas = table(name, n, spacing, with_karras)
        np.testing.assert_allclose(line["sigmas"], sigmas, rtol=2e-6, atol=0)
        assert with_karras or line["sigmas"] == list(sigmas.astype(np.float32))
        if name == "dpmpp_2m":
            assert line["times"] == list(times)
        else:
            np.testing.assert_allclose(line["times"], times, rtol=2e-6, atol=2e-4 if with_karras else 0)
        first = 1 if name == "dpmpp_2m" else np.hypot(sigmas[0], spacing == "leading")
        assert line["first_scale"] == pytest.approx(first, rel=2e-6)


def test_tables_of_lcm(schedule):
    for n, line in enumerate(schedule(1, 50, "lcm"), 1):
        assert line["times"] == [(20 * np.arange(1, 51) - 1)[::-1][i * 50 // n] for i in range(n)]
        assert line["sigmas"] == [] and line["first_scale"] == 1
    with pytest.raises(ToolError) as failure:
        schedule(51, name="lcm")
    assert failure.value.code == "picture.invalid" and "1 to 50" in failure.value.message


def close(found, *wanted, digits=1e-6):
    assert list(found) == pytest.approx(wanted, rel=digits)


def test_values_that_diffusers_gives(schedule):
    """Printed by diffusers with PyTorch."""
    line = schedule(20)
    close(line["times"][:3] + line["times"][-2:], 951, 901, 851, 51, 1)
    close(line["sigmas"][:2] + line["sigmas"][-3:], 11.028336, 8.390687, 0.2281473, 0.04131448, 0)
    assert line["first_scale"] == pytest.approx(11.073581, rel=1e-6)
    line = schedule(30)
    close(line["times"][:3] + line["times"][-2:], 958, 925, 892, 34, 1)
    close(line["sigmas"][:3] + line["sigmas"][-3:-1], 11.4768505, 9.543586, 8.004313, 0.18216637, 0.04131448)
    assert line["first_scale"] == pytest.approx(11.520334, rel=1e-6)
    line = schedule(4, spacing="trailing")
    close(line["times"], 999, 749, 499, 249)
    close(line["sigmas"], 14.614647, 4.081731, 1.612887, 0.6932054, 0)
    assert line["first_scale"] == pytest.approx(14.614647, rel=1e-6)
    line = schedule(30, karras=1)
    close(line["times"][:3] + line["times"][-2:], 958, 934.07209, 908.79432, 2.60091, 1, digits=2e-6)
    close(line["sigmas"][:2] + line["sigmas"][-2:-1], 11.47685, 10.031294, 0.04131448)
    assert line["sigmas"][-3] == pytest.approx(0.055309, abs=1e-6)
    line = schedule(25, base=DPM)
    close(line["times"][:3] + line["times"][-2:], 999, 970, 938, 1, 0)
    close(line["sigmas"][:2] + line["sigmas"][-3:-1], 14.614647, 12.283042, 0.0437429, 0.0291675, digits=2e-6)
    close(schedule(25, name="dpmpp_2m")["times"][:3], 951, 913, 875)
    close(schedule(25, name="dpmpp_2m", spacing="linspace")["times"][:3], 999, 959, 919)
    close(schedule(4, name="lcm")["times"], 999, 759, 499, 259)


# --- steps, with a network that says slope * input + 0.1 ---

def latents_of(line):
    return [np.array(latents) for _, latents in line["linear"]]


def start(line):
    return np.array([1, -0.5, 0.25]) * line["first_scale"]


def picture(x, sigma, output, v):
    """Of latents picture + sigma * noise."""
    return x / (sigma ** 2 + 1) - sigma / np.hypot(sigma, 1) * output if v else x - sigma * output


@pytest.mark.parametrize("v", [False, True])
@pytest.mark.parametrize("with_karras", [0, 1])
def test_euler_steps(schedule, v, with_karras):
    line = schedule(12, karras=with_karras, slope=0.3, prediction_type="v_prediction" if v else "epsilon")
    x, sigmas = start(line), line["sigmas"]
    for found, sigma, after in zip(latents_of(line), sigmas, sigmas[1:]):
        x0 = picture(x, sigma, 0.3 * x / np.hypot(sigma, 1) + 0.1, v)
        x = x0 + (x - x0) * after / sigma  # a straight line to the picture
        np.testing.assert_allclose(found, x, rtol=2e-5, atol=2e-6)
    assert not any(noisy for noisy, _ in line["linear"])


@pytest.mark.parametrize("v", [False, True])
def test_ancestral_steps_take_noise_each_time(schedule, v):
    line = schedule(12, name="euler_ancestral", slope=0.3, prediction_type="v_prediction" if v else "epsilon")
    x, sigmas = start(line), line["sigmas"]
    for step, (found, sigma, after) in enumerate(zip(latents_of(line), sigmas, sigmas[1:])):
        x0 = picture(x, sigma, 0.3 * x / np.hypot(sigma, 1) + 0.1, v)
        down = after ** 2 / sigma  # up^2 + down^2 = after^2
        up = after * (1 - after ** 2 / sigma ** 2) ** 0.5
        x = x0 + (x - x0) * down / sigma + up * ((step + 1) * 0.5 - np.arange(3))
        np.testing.assert_allclose(found, x, rtol=2e-5, atol=2e-6)
    assert all(noisy for noisy, _ in line["linear"])


@pytest.mark.parametrize("v", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_dpm_steps(schedule, n, v):
    """Exponential integrators: of first order first and last, else extrapolated from the last two pictures."""
    line = schedule(n, base=DPM, slope=0.3, prediction_type="v_prediction" if v else "epsilon")
    x, sigmas, before = start(line), np.array(line["sigmas"]), None
    alphas = 1 / np.hypot(sigmas, 1)
    with np.errstate(divide="ignore"):
        lambdas = -np.log(sigmas)
    for step, found in enumerate(latents_of(line)):
        a, s, h = alphas[step], sigmas[step] * alphas[step], lambdas[step + 1] - lambdas[step]
        output = 0.3 * x + 0.1
        x0 = a * x - s * output if v else (x - s * output) / a
        guess = x0
        if 0 < step < n - 1:
            guess = x0 + 0.5 * (x0 - before) * h / (lambdas[step] - lambdas[step - 1])
        x = sigmas[step + 1] * alphas[step + 1] / s * x - alphas[step + 1] * np.expm1(-h) * guess
        before = x0
        np.testing.assert_allclose(found, x, rtol=3e-5, atol=3e-6)
    np.testing.assert_allclose(x, before, rtol=1e-6)  # the last step arrives at the picture


@pytest.mark.parametrize("v", [False, True])
def test_lcm_steps_take_noise_but_for_the_last(schedule, v):
    line = schedule(4, name="lcm", slope=0.3, prediction_type="v_prediction" if v else "epsilon")
    x, times = start(line), [int(time) for time in line["times"]]
    for step, found in enumerate(latents_of(line)):
        a, t = np.float64(ALPHAS[times[step]]), times[step] * 10
        output = 0.3 * x + 0.1
        x0 = a ** 0.5 * x - (1 - a) ** 0.5 * output if v else (x - (1 - a) ** 0.5 * output) / a ** 0.5
        x = t / np.hypot(t, 0.5) * x0 + 0.25 / (t ** 2 + 0.25) * x
        if step < 3:
            after = np.float64(ALPHAS[times[step + 1]])
            x = after ** 0.5 * x + (1 - after) ** 0.5 * ((step + 1) * 0.5 - np.arange(3))
        np.testing.assert_allclose(found, x, rtol=2e-5, atol=2e-6)
    assert [noisy for noisy, _ in line["linear"]] == [True, True, True, False]


# --- what is refused ---

@pytest.mark.parametrize("option, value", [
    ("_class_name", "UniPCMultistepScheduler"), ("beta_schedule", "linear"), ("use_exponential_sigmas", True), ("use_beta_sigmas", True),
    ("prediction_type", "sample"), ("rescale_betas_zero_snr", True), ("thresholding", True), ("solver_order", 3), ("invented", 1),
    ("timestep_spacing", "log"), ("timestep_type", "continuous"), ("num_train_timesteps", 4000), ("final_sigmas_type", "sigma_min"),
    ("steps_offset", -1), ("steps_offset", 1.5), ("use_karras_sigmas", "yes"), ("beta_start", 0), ("clip_sample", True),
    ("algorithm_type", "sde-dpmsolver++"), ("trained_betas", [1])])
def test_an_unknown_option_is_named(schedule, option, value):
    with pytest.raises(ToolError) as failure:
        schedule(10, **{option: value})
    assert failure.value.code == "scheduler.unsupported"
    assert f'"{option}"' in failure.value.message and f" of {json.dumps(value)} is not" in failure.value.message


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"_class_name": "EulerDiscreteScheduler"}'])
def test_no_config_at_all(schedule, text):
    with pytest.raises(ToolError) as failure:
        schedule(10, text=text or " ")
    assert failure.value.code == "model.invalid"


@pytest.mark.parametrize("choice, word", [
    ({"name": "ddim"}, "ddim"), ({"spacing": "log"}, "log"), ({"name": "lcm", "karras": 1}, "lcm"), ({"name": "lcm", "spacing": "leading"}, "lcm")])
def test_an_unknown_choice_is_named(schedule, choice, word):
    with pytest.raises(ToolError) as failure:
        schedule(10, **choice)
    assert failure.value.code == "scheduler.unsupported" and word in failure.value.message


@pytest.mark.parametrize("steps", [0, 501, -3])
def test_too_many_steps(schedule, steps):
    with pytest.raises(ToolError) as failure:
        schedule(steps)
    assert failure.value.code == "picture.invalid" and "1 to 500" in failure.value.message
