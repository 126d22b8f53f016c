"""A primer proved by rehearsal: after it the plug-in hears a take as if it knew the whole of it."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly

from timbrekit.errors import RecordingError
from timbrekit.plugin.primer import make_primer, primed_deviation
from timbrekit.plugin.rehearse import normalize_running, rehearse
from timbrekit.recording import resample, write_wav
from timbrekit.recording.onsets import DetectorSettings

RATE = 48_000


class Still(torch.nn.Module):
    def forward(self, features):
        return torch.cat([features.mean() * torch.zeros(1, 14), torch.full((1, 14), 0.5)])


def bursts(gains, seed=0):
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(len(gains) + 1) * RATE // 2).astype(np.float32) * 1e-4
    for i, gain in enumerate(gains):
        start = (i + 1) * RATE // 2 - 12_000
        tone = np.sin(np.arange(12_000) * rng.uniform(0.02, 0.6)) + rng.uniform(-1, 1, 12_000) * rng.uniform()
        samples[start : start + 12_000] += (gain * tone * np.exp(-np.arange(12_000) / 1500)).astype(
            np.float32
        )
    return samples


@pytest.fixture(scope="module", params=["snare_performance", "tap_medley"])
def take(request, shared_audio_dir):
    return soundfile.read(shared_audio_dir / f"{request.param}.flac", dtype="float32")


@pytest.fixture(scope="module")
def primer(take):
    return make_primer(*take).samples


@pytest.mark.parametrize(
    ("own_rate", "settings"),
    [(48_000, DetectorSettings(15.5, 9.0, 1000)), (44_100, DetectorSettings())],
)
def test_primed_features_are_those_of_the_whole_take_at_both_rates(take, settings, own_rate):
    samples = resample(*take, own_rate)
    primer = make_primer(samples, own_rate, settings)
    assert primer.seconds < 8
    assert set(primer.deviations) == {44_100, 48_000}
    assert max(primer.deviations.values()) <= 0.01


def test_the_file_on_disk_primes_as_well_and_in_rehearsal(take, primer, tmp_path):
    samples, rate = take
    write_wav(tmp_path / "primer.wav", primer, rate)
    written, _ = soundfile.read(tmp_path / "primer.wav", dtype="float32")
    model = torch.jit.script(Still().eval())
    for daw_rate in (48_000, 44_100):
        heard = resample(samples, rate, daw_rate)
        cold = rehearse(model, heard, daw_rate)
        primed = rehearse(model, heard, daw_rate, primer=resample(written, rate, daw_rate))
        np.testing.assert_array_equal(primed.triggers, cold.triggers)
        whole = normalize_running(cold.raw_features, cold.ranges)
        np.testing.assert_allclose(primed.normalized_features, whole, atol=0.01)
        assert np.abs(cold.normalized_features - whole).max() > 0.2  # what the primer is for


def test_a_daw_with_a_plainer_resampler_is_primed_too(take, primer):
    samples, _ = take
    heard = resample_poly(primer, 147, 160).astype(np.float32)
    model = torch.jit.script(Still().eval())
    take_there = resample_poly(samples, 147, 160).astype(np.float32)
    cold = rehearse(model, take_there, 44_100)
    primed = rehearse(model, take_there, 44_100, primer=heard)
    whole = normalize_running(cold.raw_features, cold.ranges)
    assert np.abs(primed.normalized_features - whole).max() <= 0.01


def test_the_deviation_is_that_of_rehearsal():
    samples = bursts([0.2, 0.9, 0.4, 0.05, 0.6])
    half_primer = bursts([0.9], seed=5)
    model = torch.jit.script(Still().eval())
    primed = rehearse(model, samples, RATE, primer=half_primer)
    cold = rehearse(model, samples, RATE)
    whole = normalize_running(cold.raw_features, cold.ranges)
    expected = np.abs(primed.normalized_features - whole).max()
    assert primed_deviation(half_primer, samples, RATE, RATE) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.05


@pytest.mark.parametrize("gains", [[0.5], [0.5, 0.1], [0.1, 0.3, 0.9, 0.05, 0.5, 0.02, 0.7, 0.2]])
def test_few_hits_suffice(gains):
    primer = make_primer(bursts(gains), RATE)
    assert max(primer.deviations.values()) <= 0.01


def test_a_silent_recording_has_no_primer():
    with pytest.raises(RecordingError, match="no hit"):
        make_primer(np.zeros(RATE), RATE)
