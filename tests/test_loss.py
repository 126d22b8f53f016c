"""The loss, against sums done by hand."""

import pytest
import torch

from timbrekit.loss import MINIMUM_SPREAD, feature_difference_loss, spread_weights


def differences(count=30, seed=0):
    return torch.randn(count, 7, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [5.0, 6.0, 0.1, 0.07, 5.0, 5.0, 7.0]
    )


def test_following_exactly_costs_nothing():
    intended = differences()
    assert feature_difference_loss(intended, intended) == 0
    assert feature_difference_loss(intended, intended, spread_weights(intended)) == 0


def test_unweighted_it_is_the_mean_distance():
    played, intended = torch.zeros(2, 7), torch.zeros(2, 7)
    played[0, 0], intended[1, 6] = 3.0, -4.0
    assert feature_difference_loss(played, intended) == pytest.approx((3 + 4) / 14)


def test_weights_multiply_each_features_distance():
    played, intended = torch.ones(3, 7), torch.zeros(3, 7)
    weights = torch.arange(7.0)
    assert feature_difference_loss(played, intended, weights) == pytest.approx(21 / 7)


def test_a_still_synthesiser_costs_one_when_weighted_by_the_spread():
    intended = differences()
    still = torch.zeros_like(intended)
    weights = spread_weights(intended)
    assert feature_difference_loss(still, intended, weights) == pytest.approx(1)
    each = (intended.abs() * weights).mean(0)
    torch.testing.assert_close(each, torch.ones(7))


def test_the_units_of_a_feature_do_not_matter_when_weighted():
    played, intended = differences(seed=1), differences(seed=2)
    units = torch.tensor([2.0, 2.0, 3.0, 3.0, 2.0, 2.0, 2.0])  # only larger ones: see MINIMUM_SPREAD
    loss = feature_difference_loss(played, intended, spread_weights(intended))
    scaled = feature_difference_loss(played * units, intended * units, spread_weights(intended * units))
    assert float(scaled) == pytest.approx(float(loss), rel=1e-5)


def test_a_feature_that_stands_still_does_not_drown_the_others():
    intended = differences()
    intended[:, 4] = 0
    weights = spread_weights(intended)
    assert weights.isfinite().all()
    assert weights[4] == pytest.approx(1 / MINIMUM_SPREAD[4])
    # What the synthesiser does to it by the way, here the usual 5 dB, costs about 10 times, not 5000 times.
    assert 5 * weights[4] < 20


def test_identical_hits_give_finite_weights():
    weights = spread_weights(torch.zeros(2, 7))
    torch.testing.assert_close(weights, 1 / torch.tensor(MINIMUM_SPREAD))


def test_the_gradient_is_bounded_by_the_weights():
    played = differences(seed=3).requires_grad_()
    intended = differences(seed=4)
    weights = spread_weights(intended)
    (gradient,) = torch.autograd.grad(feature_difference_loss(played, intended, weights), played)
    torch.testing.assert_close(gradient.abs(), (weights / played.numel()).expand_as(gradient))
