"""The figures of a modelled sound, against their definitions."""

import numpy as np
import pytest
import torch

from timbrekit.results.likeness import RATE, beside_floor, lsd, measure, mss, onset_error, two_seconds


def _noise(seed: int, samples: int = RATE, level: float = 0.1) -> np.ndarray:
    decay = np.exp(-np.arange(samples) / RATE * 8)
    return np.random.default_rng(seed).standard_normal(samples) * decay * level


def test_every_figure_of_a_sound_against_itself_is_zero():
    figures = measure(_noise(0), _noise(0))
    assert (figures.mss, figures.lsd, figures.onset_error) == (0, 0, 0)


def test_mss_is_that_of_auraloss_at_its_defaults():
    auraloss = pytest.importorskip("auraloss", reason="needs auraloss, of the test extra")
    pair = [two_seconds(_noise(seed)) for seed in (0, 1)]
    theirs = auraloss.freq.MultiResolutionSTFTLoss()(*(sound[None, None] for sound in pair))
    assert float(mss(*pair)) == pytest.approx(float(theirs), rel=1e-5)


def test_lsd_of_a_sound_at_twice_the_amplitude_is_the_logarithm_of_four():
    sound = two_seconds(np.random.default_rng(0).standard_normal(2 * RATE))
    assert float(lsd(2 * sound, sound)) == pytest.approx(np.log(4), rel=1e-3)


def test_onset_error_of_silence_is_one():
    sound = two_seconds(_noise(0))
    assert float(onset_error(torch.zeros_like(sound), sound)) == pytest.approx(1.0)


def test_onset_error_sees_a_softened_attack_and_not_a_changed_sign():
    sound = two_seconds(_noise(0))
    softened = sound.clone()
    softened[:960] *= torch.linspace(0, 1, 960)
    assert float(onset_error(-sound, sound)) < 1e-5
    assert float(onset_error(softened, sound)) > 0.05


def test_the_floor_is_the_distance_of_seed_1_from_seed_0():
    """Here seed 1 is twice as loud, and the recording a quarter: by how much each figure grows is its formula."""
    sound = np.random.default_rng(0).standard_normal(2 * RATE)
    found = beside_floor(lambda seed: (1 + seed) * sound, sound / 4)
    expected = {"mss": 3 + np.log(4), "lsd": np.log(16), "onset_error": 3}
    floors = {"mss_floor": 1 + np.log(2), "lsd_floor": np.log(4), "onset_error_floor": 1}
    assert found == pytest.approx(expected | floors, rel=1e-3)
