"""The bounds: better than no model where there is something to follow, and honest where there is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from takes import tiny_take

from timbrekit.as_played import error_ratio, rank_correlations
from timbrekit.bounds import optimize_directly, predict_from_onsets
from timbrekit.presets import load_preset

pytest.importorskip("sklearn", reason="the information bound needs scikit-learn, which librosa brings")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr("timbrekit.bounds.TREES", 40)


def test_direct_optimisation_comes_nearer_the_more_it_iterates():
    take, indices = tiny_take(), np.array([1, 4, 7])
    intended = take.intended[indices].numpy()
    none, some = (
        error_ratio(optimize_directly(take, load_preset("snare-1"), indices, steps), intended)
        for steps in (0, 30)
    )
    assert some[0] < 0.4 < 0.8 < none[0]  # loudness, which any preset can follow
    assert some.mean() < 0.8 * none.mean()


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
