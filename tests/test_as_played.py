"""The as-played measure: its zero point, a perfect follower, and degenerate takes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from takes import RATE, still_mapping, tiny_take, varied_strokes

from timbrekit.export.torchdrum import PluginModel
from timbrekit.plugin.as_played import AsPlayed, error_ratio, measure_as_played, rank_correlations
from timbrekit.presets import load_preset
from timbrekit.recording.hits import find_hits
from timbrekit.synth.parameters import PARAMETER_KEYS
from timbrekit.synth.snare808_stream import play
from timbrekit.training.take import make_take

differences = arrays(np.float32, (6, 7), elements=st.floats(-20, 20, width=32))


def scripted(mapping):
    return torch.jit.script(PluginModel(mapping).eval())


class Follower(torch.nn.Module):
    """Turns the sound's levels up with the loudness it hears, by ``slope`` of their ranges, from ``centre`` on."""

    def __init__(self, slope: float, centre: float = 0.5):
        super().__init__()
        self.centre = centre
        moved = torch.tensor([1.0 if key.endswith("gain") else 0.0 for key in PARAMETER_KEYS])
        self.register_buffer("moved", moved[None] * slope)
        self.register_buffer("preset", torch.from_numpy(load_preset("snare-1").normalized())[None])

    def forward(self, features):
        return torch.cat([(features[:, :1] - self.centre) * self.moved, self.preset])


@pytest.mark.parametrize("situation", ["cold", "second pass", "after a primer", "other seed"])
def test_a_model_that_never_moves_has_a_ratio_of_exactly_one(situation):
    samples, take = varied_strokes(), tiny_take()
    options = {
        "cold": {},
        "second pass": {"initial_ranges": np.array([[-60, 40, -60], [0, 120, 0]])},
        "after a primer": {"primer": varied_strokes(4, seed=9)},
        "other seed": {"seed": 4},
    }[situation]
    measured = measure_as_played(scripted(still_mapping()), samples, take, **options)
    assert len(measured.played) >= len(take) - 1
    assert (measured.ratio_per_feature == 1).all() and measured.error_ratio == 1
    assert (measured.rank_correlation == 0).all()


def test_a_take_played_by_the_synthesiser_itself_is_followed_perfectly():
    """What a model plays is taken as what was intended: it follows that perfectly, a still one not at all."""
    follower, still = torch.jit.script(Follower(0.4).eval()), scripted(still_mapping())
    samples, take = varied_strokes(), tiny_take()
    played = torch.from_numpy(measure_as_played(follower, samples, take).played)
    ideal = replace(take, timbre=played, reference_timbre=torch.zeros_like(played))
    perfect = measure_as_played(follower, samples, ideal)
    assert (perfect.ratio_per_feature < 1e-3).all() and perfect.first_hits_error_ratio < 1e-3
    assert perfect.rank_correlation[0] == pytest.approx(1)
    assert measure_as_played(still, samples, ideal).error_ratio == 1


def test_following_the_loudness_is_better_than_not_and_backwards_is_worse():
    samples, take = varied_strokes(), tiny_take()
    ranges = np.stack([take.minimum.numpy(), take.maximum.numpy()])
    centre = float(take.inputs[take.reference, 0])
    forwards, backwards = (
        measure_as_played(
            torch.jit.script(Follower(slope, centre).eval()), samples, take, initial_ranges=ranges
        )
        for slope in (0.3, -0.3)
    )
    assert forwards.ratio_per_feature[0] < 0.75 and forwards.rank_correlation[0] > 0.9
    assert backwards.ratio_per_feature[0] > 1.2 and backwards.rank_correlation[0] < -0.5


def test_the_zero_point_is_the_preset_played_at_the_same_places():
    samples, take = varied_strokes(), tiny_take()
    measured = measure_as_played(scripted(still_mapping()), samples, take)
    rehearsal = measured.rehearsal
    assert np.array_equal(rehearsal.audio, measured.static)
    static = play(rehearsal.preset, rehearsal.triggers, len(samples), RATE, seed=0)
    assert np.array_equal(static, measured.static)


@settings(max_examples=50, deadline=None)
@given(differences, differences)
def test_ratios_are_finite_and_one_for_what_never_moves(played, intended):
    assert (error_ratio(np.zeros_like(intended), intended) == 1).all()
    assert np.allclose(error_ratio(intended, intended), 0, atol=1.0 if not intended.any() else 1e9)
    assert np.isfinite(error_ratio(played, intended)).all()
    correlations = rank_correlations(played, intended)
    assert np.isfinite(correlations).all() and (np.abs(correlations) <= 1 + 1e-9).all()


def test_without_any_hit_nothing_is_followed():
    none = np.zeros((0, 7), np.float32)
    measured = AsPlayed(none, none, None, none, none, none, 1.0)
    assert measured.error_ratio == 1 and measured.first_hits_error_ratio == 1


def test_a_primer_that_shifts_the_detector_by_some_samples_costs_no_hit():
    samples = varied_strokes(4)
    take = make_take(find_hits(samples, RATE))
    shifted = take.hits.triggers + np.array([0, 3, -20, 100])
    moved = make_take(find_hits(samples, RATE))
    object.__setattr__(moved.hits, "triggers", shifted)
    assert len(measure_as_played(scripted(still_mapping()), samples, moved).played) == 4


def test_the_summary_is_plain_json_values():
    summary = measure_as_played(scripted(still_mapping()), varied_strokes(), tiny_take()).summary()
    assert set(summary) == {
        "error_ratio",
        "error_ratio_per_feature",
        "rank_correlation",
        "first_8_error_ratio",
        "hits",
        "sample_rate",
    }
    assert all(type(value) is float for value in summary["rank_correlation"].values())
