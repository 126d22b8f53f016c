"""Feature difference loss (Shier et al., NIME 2024, section 3.3)."""

from torch import Tensor

MINIMUM_SPREAD = 1e-3  # a feature that does not move at all in a recording must not get an infinite weight


def feature_difference_loss(played: Tensor, intended: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean absolute distance of the synthesiser's feature differences from the player's.

    Args:
        played: ``(batch, 7)``: features(synth(preset + modulation)) - features(synth(preset)).
        intended: ``(batch, 7)``: features(hit) - features(reference hit).
        weights: ``(7,)`` factor of each feature (see :func:`spread_weights`); None is the published, unweighted
            form, in which the features with large units rule.

    Returns:
        A scalar: 0 where the synthesiser follows exactly.
    """
    error = (played - intended).abs()
    return error.mean() if weights is None else (error * weights).mean()


def spread_weights(intended: Tensor) -> Tensor:
    """``(7,)`` weights that make an error of one mean deviation in any feature cost the same.

    1 / the mean absolute intended difference: with them the loss of the unmodulated preset is 1 in each feature,
    and the loss is the mean error ratio that the report shows.
    """
    return 1 / intended.abs().mean(0).clamp_min(MINIMUM_SPREAD)
