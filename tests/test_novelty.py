"""Onset strength and peaks, compared with librosa's and with curves whose peaks are known."""

import numpy as np
import pytest

from timbrekit.recording.novelty import begin_of_rise, onset_strength, pick_peaks

RATE = 48_000


def clicks():
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(2 * RATE)
    for start in (0, 20_000, 47_000, 90_000):
        samples[start : start + 4_000] += rng.standard_normal(4_000) * np.exp(-np.arange(4_000) / 800)
    return (samples / np.abs(samples).max()).astype(np.float32)


@pytest.mark.parametrize("rate, hop, size", [(48_000, 128, 1024), (44_100, 235, 1024), (8_000, 21, 128)])
def test_onset_strength_and_peaks_are_those_of_librosa(rate, hop, size):
    librosa = pytest.importorskip("librosa")
    bands = min(80, size // 2)
    mine = onset_strength(clicks(), rate, hop, size, bands, 200.0)
    options = {"hop_length": hop, "n_fft": size, "lag": 2, "max_size": 3, "n_mels": bands, "fmin": 200}
    theirs = librosa.onset.onset_strength(y=clicks(), sr=rate, **options)
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
    peaks = begin_of_rise(pick_peaks(mine, 0.02, (7, 4), (37, 27), 11), mine)
    limits = {"pre_max": 7, "post_max": 4, "pre_avg": 37, "post_avg": 27, "wait": 11, "delta": 0.02}
    expected = librosa.onset.onset_detect(onset_envelope=theirs, backtrack=True, units="frames", **limits)
    np.testing.assert_array_equal(peaks, expected)


def test_a_peak_is_the_highest_around_above_its_mean_and_not_right_after_another():
    curve = np.zeros(60)
    curve[[10, 30, 34, 50]] = [1.0, 0.8, 0.8, 0.05]
    assert pick_peaks(curve, 0.1, (2, 3), (10, 10), wait=5).tolist() == [10, 30]
    assert pick_peaks(curve, 0.1, (2, 3), (10, 10), wait=2).tolist() == [10, 30, 34]
    assert pick_peaks(curve, 0.01, (2, 3), (10, 10), wait=2).tolist() == [10, 30, 34, 50]
    assert pick_peaks(np.zeros(10), 0.1, (2, 3), (10, 10), 5).size == 0


def test_a_rise_begins_at_the_minimum_before_its_peak():
    curve = np.array([0, 1, 3, 2, 1, 2, 5, 1.0])
    assert begin_of_rise(np.array([2, 6]), curve).tolist() == [0, 4]
