"""The differentiable synthesiser: against the plug-in's own renders, against scipy, against itself."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from timbrekit.synth.parameters import NUM_PARAMETERS, PARAMETER_KEYS, PARAMETERS
from timbrekit.synth.snare808 import Snare808, attack_ramp, white_noise
from timbrekit.synth.snare808_stream import play

RATE = 48_000
TOLERANCE = {"extreme": 5e-2}  # its phase sum magnifies rounding; the plug-in's own spreads as much
LOW = np.array([p.minimum for p in PARAMETERS])
HIGH = np.array([p.maximum for p in PARAMETERS])
INDEX = {key: i for i, key in enumerate(PARAMETER_KEYS)}


def normalized(dtype=torch.float64, **physical):
    """``(1, 14)`` a plain snare with some values changed, given by key with "_" for "."."""
    values = {
        "osc1.freq": 180, "osc1.mod": 0.4, "osc2.freq": 240, "osc2.mod": 0.3, "freq_env.decay": 50,
        "osc1_env.decay": 200, "osc2_env.decay": 150, "noise_env.decay": 200, "noise_filter.freq": 2500,
        "noise_filter.q": 2, "osc1_gain.gain": -6, "osc2_gain.gain": -12, "noise_gain.gain": -4, "tanh.in_gain": -12,
    }  # fmt: skip
    for name, value in physical.items():
        values[name.replace("__", ".")] = value
    row = [p.to_normalized(values[p.key]) for p in PARAMETERS]
    return torch.tensor([row], dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("noisy", [False, True], ids=["noise off", "noise on"])
def test_sounds_like_the_plugin(golden_808, rate, noisy, dtype):
    expected = golden_808[f"{'on' if noisy else 'off'}_{rate}"]
    synth = partial(Snare808().sound, rate, expected.shape[1])
    noise = torch.from_numpy(golden_808["noise"]) if noisy else None
    sound = synth(torch.from_numpy(golden_808["params_norm"]).to(dtype), noise)
    assert sound.dtype == dtype
    for name, ours, theirs in zip(golden_808["set_names"], sound.numpy(), expected, strict=True):
        assert np.abs(ours - theirs).max() < TOLERANCE.get(str(name), 2e-6), name


def test_the_parameter_table_is_the_plugins(golden_808):
    for theirs, ours in zip(
        golden_808["param_names"], PARAMETER_KEYS, strict=True
    ):  # "osc1_decay", "osc1_env.decay"
        assert set(str(theirs).split("_")) <= set(ours.replace(".", "_").split("_"))
    np.testing.assert_allclose(golden_808["param_lo"], LOW)
    np.testing.assert_allclose(golden_808["param_hi"], HIGH)
    expected = (golden_808["params_real"] - LOW) / (HIGH - LOW)
    np.testing.assert_allclose(golden_808["params_norm"], expected, atol=1e-6)


def test_normalised_and_physical_values_are_inverse():
    for parameter in PARAMETERS:
        assert parameter.to_physical(0) == parameter.minimum
        assert parameter.to_physical(1) == parameter.maximum
        assert parameter.to_normalized(parameter.to_physical(0.37)) == pytest.approx(0.37)
        assert parameter.title and (parameter.unit or parameter.key == "noise_filter.q")


@pytest.mark.parametrize(("rate", "samples"), [(48_000, 49), (44_100, 45)])
def test_the_attack_is_as_long_as_the_plugins(rate, samples):
    ramp = attack_ramp(rate)
    assert len(ramp) == samples
    assert ramp[-1] == 1 and np.all(np.diff(ramp) > 0)


# A point of the box: corners, edges and the inside are all likely.
points = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1, width=32)),
    min_size=NUM_PARAMETERS,
    max_size=NUM_PARAMETERS,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(points, st.sampled_from([8_000, 44_100, 48_000, 192_000]), st.booleans(), st.integers(0, 3))
def test_sound_and_gradient_are_finite_everywhere(point, rate, running, seed):
    parameters = torch.tensor([point], requires_grad=True)
    noise = white_noise((4096,), seed)
    sound = Snare808().sound(rate, 4096, parameters, noise, steady_state=running)
    assert sound.shape == (1, 4096)
    assert sound.isfinite().all() and sound.abs().max() <= 1
    weights = white_noise((4096,), seed + 1)
    (gradient,) = torch.autograd.grad((sound * weights).sum(), parameters)
    assert gradient.isfinite().all()


def test_every_corner_of_the_box_is_finite():
    generator = torch.Generator().manual_seed(0)
    corners = (torch.rand(128, NUM_PARAMETERS, generator=generator) > 0.5).float().requires_grad_()
    sound = Snare808().sound(RATE, 2048, corners, white_noise((4096,), 0), steady_state=True)
    (gradient,) = torch.autograd.grad(sound.square().sum(), corners)
    assert sound.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("running", [False, True], ids=["filter at rest", "filter running"])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_agree_with_differences(seed, running):
    # Inside the box: decays of 209 ms and more. No envelope falls below the cut to 0 within the 20 ms of 160
    # samples; the sound is not smooth there.
    generator = torch.Generator().manual_seed(seed)
    parameters = 0.1 + 0.8 * torch.rand(2, NUM_PARAMETERS, dtype=torch.float64, generator=generator)
    noise = white_noise((160,), seed, torch.float64)
    phases = torch.rand(2, 2, dtype=torch.float64, generator=generator)
    synth = partial(
        Snare808(plugin_rounding=False).sound, 8000, 160
    )  # a low rate: fewer samples of ringing to compute

    signs = torch.randint(0, 2, (2, 40, 4), generator=generator).double() * 2 - 1

    def render(values):  # four samples in one number: every sample counts, at a quarter of the work
        return (synth(values, noise, phases, running).reshape(2, 40, 4) * signs).sum(-1)

    assert torch.autograd.gradcheck(render, parameters.requires_grad_(), eps=1e-7, atol=1e-4, rtol=1e-4)


def test_the_rounding_of_the_decay_lets_the_gradient_through():
    parameters = normalized()
    gradients = []
    for rounding in (True, False):
        point = parameters.clone().requires_grad_()
        sound = Snare808(plugin_rounding=rounding).sound(RATE, 4096, point)
        gradients.append(torch.autograd.grad(sound.square().sum(), point)[0])
    assert gradients[1][0, INDEX["osc1_env.decay"]] != 0
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_a_row_sounds_the_same_in_any_batch():
    parameters = torch.rand(
        7, NUM_PARAMETERS, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    noise = white_noise((7, 6000), 2, torch.float64)
    phases = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    synth = partial(Snare808().sound, RATE, 6000)
    together = synth(parameters, noise, phases)
    for i in range(7):
        alone = synth(parameters[i : i + 1], noise[i], phases[i : i + 1])[0]
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("samples", [1, 10, 49, 50, 300, 4097])
def test_a_shorter_render_is_the_beginning_of_a_longer_one(samples):
    parameters = torch.rand(
        5, NUM_PARAMETERS, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )
    parameters[0, INDEX["noise_filter.freq"]] = 0  # the filter that rings longest
    parameters[0, INDEX["noise_filter.q"]] = 1
    noise = white_noise((20_000,), 5, torch.float64)
    whole = Snare808().sound(RATE, 20_000, parameters, noise)
    part = Snare808().sound(RATE, samples, parameters, noise)
    assert part.shape == (5, samples)
    torch.testing.assert_close(part, whole[:, :samples], rtol=0, atol=1e-5)


def high_pass(samples, cutoff_hz, q, rate):
    """The plug-in's filter by its difference equation."""
    k = np.tan(np.pi * min(cutoff_hz, rate / 2 - 1000) / rate)
    norm = 1 / (1 + k / q + k * k)
    return lfilter(
        np.array([1, -2, 1]) * norm, [1, 2 * (k * k - 1) * norm, (1 - k / q + k * k) * norm], samples
    )


@pytest.mark.parametrize(("cutoff_hz", "q"), [(2500, 2), (200, 10), (24_000, 0.5), (20, 10)])
@pytest.mark.parametrize("running", [False, True], ids=["filter at rest", "filter running"])
def test_the_noise_passes_the_filter_that_scipy_computes(cutoff_hz, q, running):
    period, repeats = (
        6000,
        40 if running else 0,
    )  # 5 s of the same noise before: all ringing is that of the noise
    noise = white_noise((period,), 0, torch.float64)
    parameters = normalized(
        noise_filter__freq=cutoff_hz, noise_filter__q=q, noise_env__decay=2000, noise_gain__gain=0,
        osc1_gain__gain=-60, osc2_gain__gain=-60, tanh__in_gain=-24,
    )  # fmt: skip
    synth = partial(Snare808().sound, RATE, 5000)
    silent = torch.atanh(synth(parameters, None))
    sound = torch.atanh(synth(parameters, noise, steady_state=running)) - silent
    drive = 10 ** (-24 / 20)
    ramp = attack_ramp(RATE)
    rate = float(np.float32(1 - 6.91 / (2 * RATE)))
    envelope = np.concatenate([ramp, rate ** np.arange(1, 5000 - len(ramp) + 1)])
    filtered = high_pass(np.tile(noise.numpy(), repeats + 1), cutoff_hz, q, RATE)[repeats * period :][:5000]
    np.testing.assert_allclose(sound[0].numpy() / drive, filtered * envelope, atol=2e-5)


def test_a_quarter_turn_makes_the_sine_a_cosine():
    parameters = normalized(
        osc1__freq=480, osc1__mod=0, osc1_env__decay=2000, osc1_gain__gain=0, osc2_gain__gain=-60, tanh__in_gain=-24
    )  # fmt: skip
    other = torch.zeros(1, 2, dtype=torch.float64)
    quarter = torch.tensor([[0.25, 0.0]], dtype=torch.float64)
    synth = partial(Snare808().sound, RATE, 1000)
    sine, cosine = (torch.atanh(synth(parameters, phases=p))[0] / 10 ** (-24 / 20) for p in (other, quarter))
    # The second oscillator is 60 dB below and the same in both; the first one's envelope is known.
    angle = 2 * np.pi * 480 / RATE * np.arange(1000)
    ramp = attack_ramp(RATE)
    rate = float(np.float32(1 - 6.91 / (2 * RATE)))
    envelope = np.concatenate([ramp, rate ** np.arange(1, 1000 - len(ramp) + 1)])
    difference = (np.cos(angle) - np.sin(angle)) * envelope
    np.testing.assert_allclose((cosine - sine).numpy(), difference, atol=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=NUM_PARAMETERS, max_size=NUM_PARAMETERS), st.integers(0, 1000))
def test_agrees_with_the_streaming_synthesiser(point, seed):
    # Two implementations of the same plug-in, in float32 and in closed form. They drift apart with the pitch sweep: at
    # 2001 points of the box and its corners by at most 5.2e-4 for each cycle that it adds, or for all if below one.
    point = np.array(point)
    physical = LOW + point * (HIGH - LOW)
    noise = white_noise((4096,), seed)
    streamed = play(physical, [0], 4096, RATE, noise.numpy())
    sound = Snare808().sound(RATE, 4096, torch.from_numpy(point)[None], noise.double())[0].numpy()
    decay_samples = physical[INDEX["freq_env.decay"]] * RATE / 1000 / 6.91
    hz = max(abs(physical[INDEX[f"osc{n}.freq"]] * physical[INDEX[f"osc{n}.mod"]]) for n in (1, 2))
    cycles = hz / RATE * min(decay_samples, 4096)
    assert np.abs(sound - streamed).max() < 1e-3 * max(cycles, 1)


def test_the_cutoff_stays_below_half_the_sample_rate():
    noise = white_noise((2000,), 0, torch.float64)
    synth = partial(Snare808().sound, RATE, 2000)
    at_limit = synth(normalized(noise_filter__freq=23_000), noise)
    torch.testing.assert_close(synth(normalized(noise_filter__freq=24_000), noise), at_limit)
    assert not torch.allclose(synth(normalized(noise_filter__freq=22_000), noise), at_limit)


def test_white_noise_fills_its_range_and_repeats_by_seed():
    noise = white_noise((100_000,), 7)
    assert torch.equal(noise, white_noise((100_000,), 7))
    assert not torch.equal(noise, white_noise((100_000,), 8))
    assert -1 <= noise.min() < -0.999 and 0.999 < noise.max() <= 1
    assert abs(float(noise.mean())) < 0.01 and float(noise.var()) == pytest.approx(1 / 3, rel=0.01)


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        (torch.zeros(14), {}),
        (torch.zeros(2, 13), {}),
        (torch.zeros(2, 14), {"noise": torch.zeros(99)}),
        (torch.zeros(2, 14), {"noise": torch.zeros(3, 100)}),
        (torch.zeros(2, 14), {"phases": torch.zeros(3, 2)}),
        (torch.zeros(2, 14), {"phases": torch.zeros(2)}),
    ],
)
def test_shapes_that_do_not_fit_are_refused(parameters, options):
    with pytest.raises(ValueError, match=r"must be"):
        Snare808().sound(RATE, 100, parameters, **options)


def test_decay_rates_are_the_plug_ins_in_float32_all_the_way():
    """A rate computed in float64 and rounded at the end differs by one ulp about once in three thousand."""
    decays = 10 + np.arange(0, 1990, 0.01)
    for rate in (48_000, 44_100):
        length = np.float32(decays) * np.float32(rate) / np.float32(1000)
        expected = np.float32(1) - np.float32(6.91) / length
        ours = Snare808()._decay_rates(torch.from_numpy(decays)[None], rate)[0].float().numpy()
        assert np.array_equal(ours, expected)
        exact = (1 - 6.91 / (np.float32(decays).astype(float) * rate / 1000)).astype(np.float32)
        assert 0 < (expected != exact).mean() < 1e-3
