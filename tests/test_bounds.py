"""The bounds: better than no model where there is something to follow, and honest where there is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from takes import tiny_take

from timbrekit.features import TimbreFeatures
from timbrekit.plugin.as_played import error_ratio, rank_correlations
from timbrekit.presets import load_preset
from timbrekit.training.bounds import optimize_directly, predict_from_onsets
from timbrekit.training.published import SEARCH
from timbrekit.training.take import make_take

pytest.importorskip("sklearn", reason="the information bound needs scikit-learn, which librosa brings")


def test_direct_optimisation_comes_nearer_the_more_it_iterates():
    take, indices = tiny_take(), np.array([1, 4, 7])
    intended = take.intended[indices].numpy()
    none, some = (
        error_ratio(optimize_directly(take, load_preset("snare-1"), indices, steps), intended)
        for steps in (0, 30)
    )
    assert some[0] < 0.4 < 0.8 < none[0]  # loudness, which any preset can follow
    assert some.mean() < 0.8 * none.mean()


@pytest.fixture(scope="module")
def published_take():
    take = tiny_take()
    return make_take(take.hits, TimbreFeatures(take.hits.sample_rate, gated=False))


def search_as_published(take, indices, iterations):
    search = {**SEARCH, "iterations": iterations}
    return optimize_directly(take, load_preset("snare-1"), indices, gated=False, fresh_noise=False, **search)


def test_the_published_search_starts_at_the_preset_and_comes_nearer(published_take):
    """One fixed noise and phase: the unmodulated preset differs from itself by nothing."""
    indices = np.array([1, 4, 7])
    intended = published_take.intended[indices].numpy()
    start, reached = (search_as_published(published_take, indices, steps) for steps in (0, 25))
    assert np.abs(start).max() < 1e-3
    assert np.abs(reached - intended).mean() < 0.9 * np.abs(intended).mean()


def test_a_published_search_of_one_hit_does_not_depend_on_the_others(published_take):
    together = search_as_published(published_take, np.array([1, 4, 7]), 4)
    alone = search_as_published(published_take, np.array([4]), 4)
    assert np.allclose(together[1], alone[0], rtol=1e-3, atol=1e-3)


def test_a_hit_that_gets_no_better_is_searched_in_smaller_steps(monkeypatch):
    """With a loss that never improves, the rate is halved after every ``patience`` + 1 iterations."""
    take, rates = tiny_take(), []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))
    )
    monkeypatch.setattr(
        "timbrekit.training.bounds.feature_difference_loss",
        lambda played, intended, weights: played.sum() * 0 + 1,
    )
    optimize_directly(
        take, load_preset("snare-1"), np.array([1, 4]), 8, learning_rate=1e-2, patience=2, balanced=False
    )
    first_hit = rates[::2]
    assert first_hit == rates[1::2]
    assert first_hit == [1e-2] * 4 + [5e-3] * 3 + [2.5e-3]


def test_the_onsets_of_varied_hits_tell_their_loudness():
    take = tiny_take(40, seed=3)
    predicted, intended = predict_from_onsets(take), take.intended.numpy()
    assert predicted.shape == (40, 7) and np.isfinite(predicted).all()
    assert rank_correlations(predicted, intended)[0] > 0.8


def test_a_prediction_never_saw_the_hit_it_predicts():
    """Intended differences drawn at random cannot be foretold: a leak would show as a correlation."""
    take = tiny_take(40, seed=3)
    drawn = torch.randn(40, 7, generator=torch.Generator().manual_seed(0))
    luck = replace(take, timbre=drawn, reference_timbre=torch.zeros(40, 7))
    assert np.abs(rank_correlations(predict_from_onsets(luck), drawn.numpy())).mean() < 0.35


@pytest.mark.parametrize("count", [2, 3, 11])
def test_few_hits_are_foretold_without_fuss(count):
    predicted = predict_from_onsets(tiny_take(count))
    assert predicted.shape == (count, 7) and np.isfinite(predicted).all()


def test_what_leaps_and_what_bends_are_both_foretold():
    """A difference that leaps in the middle of the range, as between two ways of playing, and one that bends."""
    generator = torch.Generator().manual_seed(0)
    onset = torch.rand(80, 3, generator=generator) * torch.tensor([1.0, 0.0, 0.0])
    take = replace(tiny_take(80), shifted_onset=onset[None])
    level = take.inputs[:, 0]
    wanted = torch.stack([(level > 0.5) * 10.0, 10 * torch.sin(3 * level)] + [torch.zeros(80)] * 5, 1)
    take = replace(take, timbre=wanted, reference_timbre=torch.zeros(80, 7))
    assert (error_ratio(predict_from_onsets(take), wanted.numpy())[:2] < 0.15).all()
