"""A take: its inputs scaled as the plug-in scales them, its reference, and what hits are compared over."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from takes import RATE, strokes, take_with, tiny_take, varied_strokes

from timbrekit.errors import TrainingError
from timbrekit.features import TimbreFeatures, onset_features
from timbrekit.plugin.rehearse import normalize_running
from timbrekit.recording.hits import find_hits, onset_windows
from timbrekit.training.settings import Settings
from timbrekit.training.take import SHIFTS, choose_reference, draw_inputs, make_take, scale_to_range


def augmentation(shift_probability, growing_probability, jitter=0.0):
    return Settings(
        shift_probability=shift_probability, growing_probability=growing_probability, jitter=jitter
    )


def growing_inputs(take):
    """``(n, n, 3)``: ``[start, i]`` is hit i as heard by a plug-in that was opened just before hit ``start``."""
    return scale_to_range(take.onset, *take.growing_ranges)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-90, 110, width=32)] * 3), min_size=1, max_size=20))
def test_growing_ranges_are_those_of_a_plug_in_opened_at_each_hit(onsets):
    onset = torch.tensor(onsets, dtype=torch.float32)
    growing = growing_inputs(take_with(onset))
    for start in range(len(onset)):
        heard = normalize_running(onset[start:].numpy())
        assert np.allclose(growing[start, start:].numpy(), heard, atol=1e-5)


def test_inputs_fill_the_range_over_the_whole_take():
    take = tiny_take()
    assert torch.equal(take.inputs.amin(0), torch.zeros(3)) and torch.equal(
        take.inputs.amax(0), torch.ones(3)
    )
    assert torch.equal(growing_inputs(take)[0, -1], take.inputs[-1])


def test_a_feature_that_never_changes_is_in_the_middle():
    assert torch.equal(
        scale_to_range(torch.ones(4, 3), torch.ones(3), torch.ones(3)), torch.full((4, 3), 0.5)
    )


def test_drawn_inputs_are_whole_take_ones_or_growing_ones():
    take, generator = tiny_take(), torch.Generator().manual_seed(0)
    assert torch.equal(draw_inputs(take, augmentation(0.0, 0.0), generator)[0], take.inputs)
    drawn = draw_inputs(take, augmentation(0.0, 0.5), generator, passes=200)
    possible = torch.cat([growing_inputs(take), take.inputs[None]])
    distance = (drawn[:, None] - possible[None]).abs().amax(-1).amin(1)
    assert distance.max() == 0
    grown = (drawn != take.inputs).any(-1).float().mean()
    assert 0.2 < grown <= 0.55  # half are drawn so; the widest of them are whole-take ones


def test_an_early_hit_is_mostly_heard_as_by_a_plug_in_opened_before_the_take():
    take = tiny_take()
    growing = growing_inputs(take)
    drawn = draw_inputs(take, augmentation(0.0, 1.0), torch.Generator().manual_seed(0), passes=4000)
    for hit in (2, 5):
        cold = (drawn[:, hit] == growing[0, hit]).all(-1).float().mean()
        # Opened at the take's start, or at a later hit that changes no range.
        same = sum(torch.equal(growing[s, hit], growing[0, hit]) for s in range(1, hit + 1))
        assert cold == pytest.approx((len(take) - hit + same) / len(take), abs=0.04)


def test_shifted_inputs_are_those_of_the_same_strokes_caught_earlier_or_later():
    samples, take = varied_strokes(12), tiny_take()
    for shift, heard in zip(SHIFTS, take.shifted_onset, strict=True):
        windows = torch.from_numpy(onset_windows(samples, take.hits.triggers + shift))
        assert torch.equal(heard, onset_features(windows, RATE)), shift
    assert torch.equal(take.onset, take.shifted_onset[SHIFTS.index(0)])


def test_half_of_the_drawn_inputs_are_shifted_and_all_stay_in_range():
    take = tiny_take()
    drawn = draw_inputs(take, augmentation(0.5, 0.0), torch.Generator().manual_seed(0), passes=500)
    possible = scale_to_range(take.shifted_onset, take.minimum, take.maximum).clamp(0, 1)
    assert (drawn[:, None] == possible[None]).all(-1).any(1).all()
    exact = (drawn == take.inputs).all(-1).float().mean()
    assert exact == pytest.approx(0.5 + 0.5 / len(SHIFTS), abs=0.03)


def test_noise_on_the_inputs_has_the_asked_for_spread_and_stays_in_range():
    take = tiny_take()
    drawn = draw_inputs(take, augmentation(0.0, 0.0, 0.03), torch.Generator().manual_seed(0), passes=2000)
    assert drawn.min() == 0 and drawn.max() == 1
    off = drawn - take.inputs
    inside = (take.inputs - 0.5).abs() < 0.35  # four deviations from either end
    assert off[:, inside].std() == pytest.approx(0.03, rel=0.03)
    assert off[:, inside].mean().abs() < 0.001


def test_shifted_hits_are_heard_with_growing_ranges_too():
    take = tiny_take()
    drawn = draw_inputs(take, augmentation(1.0, 1.0), torch.Generator().manual_seed(0), passes=100)
    possible = scale_to_range(take.shifted_onset[:, None], *take.growing_ranges).clamp(0, 1)
    for hit in range(len(take)):
        heard = possible[:, : hit + 1, hit].flatten(0, 1)
        assert (drawn[:, hit, None] == heard).all(-1).any(1).all(), hit


def test_hits_heard_through_other_windows_are_not_shifted():
    take = tiny_take()
    other = make_take(take.hits, onset_windows=take.hits.windows_at(-20))
    assert torch.equal(other.shifted_onset, other.onset[None])
    assert torch.equal(
        draw_inputs(other, augmentation(1.0, 0.0), torch.Generator().manual_seed(0))[0], other.inputs
    )


def test_the_reference_differs_from_itself_by_nothing():
    take = tiny_take()
    assert torch.equal(take.intended[take.reference], torch.zeros(7))
    assert take.intended.abs().amax(0)[0] > 3  # LKFS: the others do differ


def test_the_reference_is_of_middling_loudness():
    take = tiny_take()
    rank = int((take.timbre[:, 0] < take.timbre[take.reference, 0]).sum())
    assert 0.25 * len(take) <= rank <= 0.75 * len(take)


def test_of_equally_typical_hits_the_reference_is_the_one_that_rings():
    lengths = torch.full((40,), 3000)
    lengths[2] = 30_000
    assert choose_reference(torch.zeros(40, 7), lengths) == 2


def test_differences_of_loudness_are_those_that_were_played():
    samples = strokes([-12, -18, -24, -15], [400] * 4)
    take = make_take(find_hits(samples, RATE), TimbreFeatures(RATE, gated=False))
    heard = take.intended[:, 0] - take.intended[0, 0]
    assert np.allclose(heard, [0, -6, -12, -3], atol=1.0)  # the noise in each burst is another


def test_a_louder_recording_of_the_same_playing_is_the_same_take():
    samples = strokes([-6, -12, -9, -15, -12], [400, 500, 300, 900, 700])
    quiet, loud = make_take(find_hits(samples * 0.7, RATE)), make_take(find_hits(samples, RATE))
    assert quiet.reference == loud.reference
    assert torch.allclose(quiet.intended, loud.intended, atol=0.02)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_hits_are_refused_with_the_number(count):
    with pytest.raises(TrainingError, match=f"Only {count} .*at least 2"):
        make_take(find_hits(strokes([-6] * count, [400] * count), RATE))


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
def test_takes_at_other_rates_are_finite(rate):
    take = make_take(find_hits(varied_strokes(4, rate), rate))
    assert len(take) == 4 and take.timbre.isfinite().all() and take.onset.isfinite().all()
