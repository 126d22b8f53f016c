"""Versions of a take are equally loud, cut where the hits are, and honest about what is played."""

import numpy as np
import pytest
import torch

from timbrekit.plugin.rehearse import rehearse
from timbrekit.presets import load_preset
from timbrekit.results.audition import (
    MIX,
    ORIGINAL,
    PRESET,
    REMAPPED,
    integrated_loudness,
    make_audition,
    match_loudness,
)

RATE = 48_000


def tone(seconds, amplitude, frequency=997):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


class Fixed(torch.nn.Module):
    """A model that moves the noise level with loudness, and nothing else."""

    def __init__(self):
        super().__init__()
        self.register_buffer("preset", torch.from_numpy(load_preset("snare-1").normalized()))
        self.register_buffer("moves", torch.eye(14)[12] * 0.2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.stack([(features[0, 0] - 0.5) * self.moves, self.preset])


@pytest.fixture(scope="module")
def model():
    return torch.jit.script(Fixed())


@pytest.fixture(scope="module")
def take():
    rng = np.random.default_rng(0)
    samples = np.zeros(4 * RATE, np.float32)
    for number, level in enumerate([0.1, 0.5, 0.2, 0.8, 0.3, 0.6]):
        start = round((0.3 + 0.6 * number) * RATE)
        decay = np.exp(-np.arange(9_600) / 1_500)
        samples[start : start + 9_600] += (level * decay * rng.uniform(-1, 1, 9_600)).astype(np.float32)
    return samples


def test_a_full_scale_sine_measures_what_bs1770_says():
    assert integrated_loudness(tone(3, 1.0), RATE) == pytest.approx(-3.01, abs=0.1)


def test_halving_the_level_is_six_db_less():
    loud, soft = (integrated_loudness(tone(3, amplitude), RATE) for amplitude in (0.5, 0.25))
    assert loud - soft == pytest.approx(6.02, abs=0.01)


def test_pauses_do_not_make_a_take_softer():
    playing = tone(5, 0.3)
    with_pauses = np.concatenate([playing, np.zeros(20 * RATE), playing])
    assert integrated_loudness(with_pauses, RATE) == pytest.approx(
        integrated_loudness(playing, RATE), abs=0.4
    )


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(RATE)])
def test_silence_is_at_the_gate(samples):
    assert integrated_loudness(samples, RATE) == -70.0


def test_matched_versions_are_equally_loud_and_silence_stays_silent():
    matched = match_loudness({"a": tone(2, 0.01), "b": tone(2, 0.9, 3000), "c": np.zeros(RATE)}, RATE, -23)
    assert integrated_loudness(matched["a"], RATE) == pytest.approx(-23, abs=0.01)
    assert integrated_loudness(matched["b"], RATE) == pytest.approx(-23, abs=0.01)
    assert not matched["c"].any()


def test_all_four_versions_are_equally_loud_and_within_full_scale(model, take):
    audition = make_audition(model, take, RATE)
    loudness = [integrated_loudness(samples, RATE) for samples in audition.versions.values()]
    assert set(audition.versions) == {ORIGINAL, REMAPPED, PRESET, MIX}
    assert np.ptp(loudness) < 0.05
    assert max(np.abs(samples).max() for samples in audition.versions.values()) <= 0.96
    assert len({len(samples) for samples in audition.versions.values()}) == 1


def test_both_together_is_the_sum_of_the_first_two_at_one_level(model, take):
    """As the notebooks' player adds them up."""
    audition = make_audition(model, take, RATE)
    versions = audition.versions
    added = audition.both_level * (versions[ORIGINAL] + versions[REMAPPED])
    assert np.allclose(added, versions[MIX], atol=1e-5) and np.abs(added).max() > 0.1


def test_the_remapped_version_is_the_rehearsal_at_another_level(model, take):
    audition = make_audition(model, take, RATE, sensitivity=2.0)
    played = rehearse(model, take, RATE, sensitivity=2.0).audio
    heard = audition.versions[REMAPPED]
    gain = np.abs(heard).max() / np.abs(played).max()
    assert np.allclose(heard, gain * played, atol=1e-5)


def test_with_sensitivity_zero_the_remapped_version_is_the_preset_alone(model, take):
    still = make_audition(model, take, RATE, sensitivity=0.0).versions
    assert np.allclose(still[REMAPPED], still[PRESET], atol=1e-6)
    moved = make_audition(model, take, RATE, sensitivity=1.0).versions
    assert not np.allclose(moved[REMAPPED], moved[PRESET], atol=1e-3)
