"""Rehearsal against the real plug-in's features, parameters and sound."""

import numpy as np
import pytest
import torch

from timbrekit.errors import ModelFileError, OutputError, TimbrekitError
from timbrekit.plugin.rehearse import modulated_parameters, normalize_running, rehearse
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.parameters import PARAMETERS
from timbrekit.synth.snare808 import Snare808

RATE = 48_000
PATCH = torch.linspace(0.2, 0.8, 14)


class GoldenNetwork(torch.nn.Module):
    """The network the golden vectors were made with, rebuilt from its weights."""

    def __init__(self, arrays):
        super().__init__()
        self.first = torch.nn.Linear(3, 32)
        self.norm = torch.nn.LayerNorm(32, elementwise_affine=False)
        self.last = torch.nn.Linear(32, 14)
        with torch.no_grad():
            for layer, number in ((self.first, 0), (self.last, 3)):
                layer.weight.copy_(torch.from_numpy(arrays[f"model_model_net_{number}_weight"]))
                layer.bias.copy_(torch.from_numpy(arrays[f"model_model_net_{number}_bias"]))
        self.register_buffer("damping", torch.from_numpy(arrays["model_damp"]))
        self.register_buffer("patch", torch.from_numpy(arrays["model_patch"]))

    def forward(self, features):
        modulation = torch.tanh(self.last(torch.relu(self.norm(self.first(features))))) * self.damping
        return torch.cat([modulation.clip(-1, 1), self.patch])


class Straight(torch.nn.Module):
    """Modulates every parameter by a third of the loudness input's distance from one half."""

    def forward(self, features):
        return torch.cat([((features[:, :1] - 0.5) / 3).expand(1, 14), torch.linspace(0.2, 0.8, 14)[None]])


class WrongShape(torch.nn.Module):
    def forward(self, features):
        return features


@pytest.fixture(scope="module")
def golden_model(golden):
    return torch.jit.script(GoldenNetwork(golden).eval())


@pytest.fixture(scope="module")
def take(golden):
    return golden["input_i16"].astype(np.float32) / np.float32(32768)


@pytest.fixture(scope="module")
def model():
    return torch.jit.script(Straight().eval())


def bursts(count=4, seed=0):
    """Noise bursts of growing loudness, half a second apart."""
    rng = np.random.default_rng(seed)
    samples = np.zeros((count + 1) * RATE // 2, dtype=np.float32)
    for i in range(count):
        start = (i + 1) * RATE // 2 - 12_000
        samples[start : start + 12_000] = rng.uniform(-1, 1, 12_000) * np.exp(-np.arange(12_000) / 2000)
        samples[start : start + 12_000] *= (i + 1) / count
    return samples


@pytest.mark.parametrize("rate", [48000, 44100, 96000])
def test_the_whole_chain_is_the_plug_ins(golden, golden_model, take, rate):
    played = rehearse(golden_model, take, rate, noise=np.zeros(len(take)))
    np.testing.assert_array_equal(played.detections, golden[f"detect_idx_{rate}"])
    np.testing.assert_array_equal(played.triggers, golden[f"trigger_idx_{rate}"])
    error = np.abs(played.raw_features - golden[f"raw_features_{rate}"]).max(axis=0)
    assert (error < [1e-4, 1e-3, 0.02]).all()  # dB, semitones, dB
    np.testing.assert_allclose(played.normalized_features, golden[f"norm_features_{rate}"], atol=1e-4)
    np.testing.assert_allclose(played.modulation, golden[f"net_out_{rate}"], atol=1e-4)
    # What is left of the features' rounding can tip a parameter over to the next steps of 0.01.
    spans = np.array([parameter.maximum - parameter.minimum for parameter in PARAMETERS])
    error = np.abs(played.parameters - golden[f"synth_params_real_{rate}"])
    assert (error < 1e-4 * spans + 0.011).all()


def test_the_sound_is_the_plug_ins(golden, golden_model, take):
    expected = golden["plugin_audio_48000_first3s"]
    played = rehearse(golden_model, take, RATE, noise=np.zeros(len(take)))
    np.testing.assert_allclose(played.audio[: len(expected)], expected, atol=1e-5, rtol=0)


def test_given_the_plug_ins_network_output_the_parameters_are_its_own(golden):
    parameters = modulated_parameters(Snare808(), golden["model_patch"][0], golden["net_out_48000"])
    np.testing.assert_array_equal(parameters, golden["synth_params_real_48000"])


def test_parameters_are_clamped_and_lie_on_steps_of_a_hundredth():
    modulation = np.linspace(-2, 2, 5)[:, None] * np.ones((1, 14))
    parameters = modulated_parameters(Snare808(), PATCH.numpy(), modulation)
    low = np.array([parameter.minimum for parameter in PARAMETERS], dtype=np.float32)
    high = np.array([parameter.maximum for parameter in PARAMETERS], dtype=np.float32)
    np.testing.assert_array_equal(parameters[0], low)
    np.testing.assert_array_equal(parameters[-1], high)
    steps = (parameters.astype(np.float64) - low) / 0.01
    np.testing.assert_allclose(steps, steps.round(), atol=0.3)  # float32 near 24 000 Hz has steps of 0.002
    assert modulated_parameters(Snare808(), PATCH.numpy(), modulation, 0.0)[0] == pytest.approx(parameters[2])


def test_running_normalisation_starts_at_one_half_and_grows():
    raw = np.array([[-20.0, 60, -5], [-10, 50, -5], [-15, 55, -10], [-30, 70, -7.5]])
    np.testing.assert_allclose(
        normalize_running(raw), [[0.5, 0.5, 0.5], [1, 0, 0.5], [0.5, 0.5, 0], [0, 1, 0.5]]
    )


def test_running_normalisation_is_that_of_a_loop():
    raw = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    scaled = normalize_running(raw)
    for i in range(1, 50):
        low, high = raw[: i + 1].min(axis=0), raw[: i + 1].max(axis=0)
        np.testing.assert_allclose(scaled[i], (raw[i] - low) / (high - low), atol=1e-6)


def test_not_a_number_leaves_the_range_alone():
    raw = np.array([[0.0, 0, 0], [10, 10, 10], [np.nan, 5, 5], [5, 5, 5]])
    scaled = normalize_running(raw)
    assert np.isnan(scaled[2, 0])
    np.testing.assert_allclose(scaled[3], 0.5)
    np.testing.assert_allclose(scaled[2, 1:], 0.5)


def test_known_ranges_hold_from_the_first_hit_on(model):
    first = rehearse(model, bursts(), RATE)
    second = rehearse(model, bursts(), RATE, initial_ranges=first.ranges)
    raw = first.raw_features
    whole = (raw - raw.min(axis=0)) / (raw.max(axis=0) - raw.min(axis=0))
    np.testing.assert_allclose(second.normalized_features, whole, atol=1e-6)
    assert np.abs(first.normalized_features - whole).max() > 0.1
    np.testing.assert_array_equal(second.ranges, first.ranges)


def test_a_primer_sets_the_ranges_and_is_not_heard(model):
    samples = bursts()
    cold = rehearse(model, samples, RATE)
    primed = rehearse(model, samples, RATE, primer=bursts())
    assert len(primed.audio) == len(samples)
    np.testing.assert_array_equal(primed.triggers, cold.triggers)
    np.testing.assert_array_equal(primed.detections, cold.detections)
    np.testing.assert_allclose(
        primed.normalized_features,
        rehearse(model, samples, RATE, initial_ranges=cold.ranges).normalized_features,
        atol=1e-6,
    )
    assert np.abs(primed.parameters[0] - cold.parameters[0]).max() > 1  # the first hit plays as it should


def test_sensitivity_scales_the_modulation(model):
    still = rehearse(model, bursts(), RATE, sensitivity=0)
    np.testing.assert_array_equal(still.parameters, np.tile(still.preset, (4, 1)))
    full = rehearse(model, bursts(), RATE)
    half = rehearse(model, bursts(), RATE, sensitivity=0.5)
    moved = full.parameters - full.preset
    np.testing.assert_allclose(half.parameters - full.preset, moved / 2, atol=0.02)
    assert np.abs(moved).max() > 1


def test_dry_wet_mixes_the_recording_in(model):
    samples = bursts()
    wet = rehearse(model, samples, RATE)
    np.testing.assert_array_equal(rehearse(model, samples, RATE, dry_wet=0.0).audio, samples)
    half = rehearse(model, samples, RATE, dry_wet=0.5)
    np.testing.assert_allclose(half.audio, (wet.audio + samples) / 2, atol=1e-6)


def test_the_seed_decides_the_noise(model):
    one = rehearse(model, bursts(), RATE, seed=1).audio
    np.testing.assert_array_equal(one, rehearse(model, bursts(), RATE, seed=1).audio)
    assert np.abs(one - rehearse(model, bursts(), RATE, seed=2).audio).max() > 1e-4


def test_nothing_to_play_gives_silence(model):
    played = rehearse(model, np.zeros(RATE), RATE)
    assert not played.audio.any()
    assert played.raw_features.shape == played.normalized_features.shape == (0, 3)
    assert played.parameters.shape == played.modulation.shape == (0, 14)


def test_the_trace_holds_every_step(model, tmp_path):
    played = rehearse(model, bursts(), RATE, DetectorSettings(on_threshold=20))
    played.save_trace(tmp_path / "trace.npz")
    trace = np.load(tmp_path / "trace.npz")
    assert set(trace) == {
        "sample_rate",
        "detections",
        "triggers",
        "raw_features",
        "normalized_features",
        "modulation",
        "parameters",
    }
    assert trace["sample_rate"] == RATE
    for name in set(trace) - {"sample_rate"}:
        np.testing.assert_array_equal(trace[name], getattr(played, name))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        played.save_trace(tmp_path / "file" / "trace.npz")


def test_a_model_that_answers_in_another_shape_is_refused_in_words():
    with pytest.raises(ModelFileError, match=r"\(2, 14\) is needed"):
        rehearse(torch.jit.script(WrongShape().eval()), bursts(), RATE)


@pytest.mark.parametrize("wrong", [{"sensitivity": 5}, {"sensitivity": float("nan")}, {"dry_wet": -0.1}])
def test_controls_out_of_range_are_refused(model, wrong):
    with pytest.raises(TimbrekitError, match="give a value from"):
        rehearse(model, bursts(), RATE, **wrong)
