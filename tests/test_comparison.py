"""The comparison of 07_experiments: trained on one take, measured on every hit of another."""

import numpy as np
import pytest
from takes import RATE, varied_strokes

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

from timbrekit.notebook.comparison import SECOND_SCORE, Recorded, compare, second_take
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.recording.hits import find_hits


def recorded(samples):
    samples = np.asarray(samples, np.float32)
    return Recorded(samples, find_hits(samples, RATE))


@pytest.fixture(scope="module")
def takes():
    return recorded(varied_strokes(24)), recorded(varied_strokes(16, seed=7))


def test_every_row_is_about_all_hits_of_the_other_take(takes):
    trained_on, test = takes
    told = []
    rows = compare(
        trained_on, test, load_preset("snare-1"), ("preset", "direct", "linear"), 2, 20, progress=told.append
    )
    assert [row.name for row in rows] == told == ["Preset unchanged", "Direct optimisation", "Linear"]
    for row in rows:
        assert len(row.followed.intended) % len(test.hits) == 0 and np.isfinite(row.followed.played).all()
        assert list(row.row())[:2] == ["", "mean ratio"]
    preset, direct, _ = (row.followed.error_ratio for row in rows)
    assert preset == pytest.approx(1) and direct < preset


def test_what_the_mapping_hears_is_scaled_by_the_ranges_of_the_take_it_was_trained_on(takes):
    """A softer other take stays softer: scaled by its own ranges it would be as loud."""
    trained_on, test = takes
    softer = recorded(test.samples / 4)
    heard = {}
    for name, other in (("same", test), ("softer", softer)):
        (row,) = compare(trained_on, other, load_preset("snare-1"), ("linear",), 3, 1)
        heard[name] = row.followed.played[:, 0].mean()
    assert heard["softer"] < heard["same"] - 0.05


def test_the_second_take_is_other_playing_of_the_same_drum_at_the_same_gain(sample_recording):
    first, second = read_recording(sample_recording).samples, second_take()
    assert second.shape == first.shape and SECOND_SCORE
    assert not np.allclose(first, second)
    levels = [np.log10(np.sqrt(np.mean(np.square(samples)))) * 20 for samples in (first, second)]
    assert abs(levels[0] - levels[1]) < 2  # dB
    spectra = [np.abs(np.fft.rfft(samples)) ** 2 for samples in (first, second)]
    bands = [np.log10([part.sum() for part in np.array_split(spectrum, 60)]) for spectrum in spectra]
    assert np.corrcoef(bands)[0, 1] > 0.97  # the same drum
    assert 120 < len(find_hits(second, RATE)) < 220
