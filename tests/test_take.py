"""A take: its inputs scaled as the plug-in scales them, its reference, and what hits are compared over."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from takes import RATE, strokes, take_with, tiny_take, varied_strokes

from timbrekit.errors import TrainingError
from timbrekit.features import TimbreFeatures
from timbrekit.hits import find_hits
from timbrekit.rehearse import normalize_running
from timbrekit.take import (
    LEAST_JITTER,
    MOST_JITTER,
    choose_reference,
    draw_inputs,
    make_take,
    scale_to_range,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-90, 110, width=32)] * 3), min_size=1, max_size=20))
def test_growing_inputs_are_those_of_a_plug_in_opened_at_each_hit(onsets):
    onset = torch.tensor(onsets, dtype=torch.float32)
    growing = take_with(onset).growing_inputs
    for start in range(len(onset)):
        heard = normalize_running(onset[start:].numpy())
        assert np.allclose(growing[start, start:].numpy(), heard, atol=1e-5)


def test_inputs_fill_the_range_over_the_whole_take():
    take = tiny_take()
    assert torch.equal(take.inputs.amin(0), torch.zeros(3)) and torch.equal(
        take.inputs.amax(0), torch.ones(3)
    )
    assert torch.equal(take.growing_inputs[0, -1], take.inputs[-1])


def test_a_feature_that_never_changes_is_in_the_middle():
    assert torch.equal(
        scale_to_range(torch.ones(4, 3), torch.ones(3), torch.ones(3)), torch.full((4, 3), 0.5)
    )


def test_drawn_inputs_are_whole_take_ones_or_growing_ones():
    take, generator = tiny_take(), torch.Generator().manual_seed(0)
    assert torch.equal(draw_inputs(take, 0.0, 0.0, generator)[0], take.inputs)
    drawn = draw_inputs(take, 0.5, 0.0, generator, passes=200)
    possible = torch.cat([take.growing_inputs, take.inputs[None]])
    distance = (drawn[:, None] - possible[None]).abs().amax(-1).amin(1)
    assert distance.max() == 0
    grown = (drawn != take.inputs).any(-1).float().mean()
    assert 0.2 < grown <= 0.55  # half are drawn so; the widest of them are whole-take ones


def test_an_early_hit_is_mostly_heard_as_by_a_plug_in_opened_before_the_take():
    take = tiny_take()
    drawn = draw_inputs(take, 1.0, 0.0, torch.Generator().manual_seed(0), passes=4000)
    for hit in (2, 5):
        cold = (drawn[:, hit] == take.growing_inputs[0, hit]).all(-1).float().mean()
        # Opened at the take's start, or at a later hit that changes no range.
        same = sum(
            torch.equal(take.growing_inputs[s, hit], take.growing_inputs[0, hit]) for s in range(1, hit + 1)
        )
        assert cold == pytest.approx((len(take) - hit + same) / len(take), abs=0.04)


@pytest.mark.parametrize("growing_share", [0.0, 0.5])
@pytest.mark.parametrize("squeezed, expected", [(0.3, None), (1e-3, LEAST_JITTER), (5.0, MOST_JITTER)])
def test_drawn_inputs_scatter_by_the_spacing_of_the_hits_and_stay_in_range(growing_share, squeezed, expected):
    take = tiny_take()
    expected = expected or squeezed * take.spacing
    plain, jittered = (
        draw_inputs(take, growing_share, jitter, torch.Generator().manual_seed(0), passes=500)
        for jitter in (0.0, squeezed)
    )
    assert jittered.min() >= 0 and jittered.max() <= 1
    inside = (plain > 0.4) & (plain < 0.6)  # where nothing is clipped
    assert (jittered - plain)[inside].std() == pytest.approx(expected, rel=0.1)
    assert (jittered - plain)[inside].mean().abs() < 5e-3


def test_spacing_is_the_median_distance_to_the_nearest_hit():
    """On a line from 0 to 1 with two hits close to each end and one in the middle: 0.1 for four of five."""
    line = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    take = take_with(torch.stack([line * 40 - 60, torch.full((5,), 60.0), torch.full((5,), -9.0)], 1))
    assert take.spacing == pytest.approx(0.1, rel=1e-4)
    alike = take_with(torch.zeros(5, 3))
    assert alike.spacing == 0


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
