"""Feature difference loss (Shier et al., NIME 2024, section 3.3)."""

import torch
from torch import Tensor

# Mean absolute differences below these, in each feature's own unit and order of ``features.TIMBRE_FEATURES``, count
# as these. A feature that hardly moves in a recording would otherwise get a weight that drowns the other six: what
# the synthesiser does to it by the way would cost more than all that it should follow. Played on purpose, features
# move 2 to 20 times as much (measured on a real snare, fingers on a table and the sample recording).
MINIMUM_SPREAD = (0.5, 0.5, 0.02, 0.02, 0.5, 0.5, 0.3)


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

    1 / the mean absolute intended difference: with them the loss of the unmodulated preset is 1 in each feature
    that moves at all (``MINIMUM_SPREAD``), and the loss is the mean error ratio that the report shows.

    Args:
        intended: ``(n, 7)`` differences of a take's hits from its reference hit.
    """
    least = torch.tensor(MINIMUM_SPREAD, dtype=intended.dtype, device=intended.device)
    return 1 / torch.maximum(intended.abs().mean(0), least)
