"""A warm start for the inverse of a synthesiser: from how it is to sound to its parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from timbrekit.loss import feature_difference_loss
from timbrekit.training import warm_start
from timbrekit.training.fast.warm_start import FastWarmStart
from timbrekit.training.fast.worker import Worker
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.warm_start import Render

ASKED = 0.2, 1.15  # least and most of a hit's differences that the inverse is asked for
MIXED = 0.5  # share of what is asked for that is mixed with another hit, by up to a half
NOISE = 0.1  # standard deviation, in spreads of the take, on what is asked for and on estimates


def draw_mixtures(
    values: Sequence[Tensor], hits: Tensor, some: Tensor, amounts: tuple[float, float], generator: torch.Generator
) -> list[Tensor]:
    """Augmentation: hits ``some`` ``(batch,)``, less or more of each, some of them mixed with another (mixup).

    Args:
        values: ``(n, …)`` of the take's hits: what belongs together is mixed alike.
        hits: ``(m,)`` those that may be mixed in.
        amounts: least and most that a hit is multiplied with.

    Returns:
        ``(batch, …)`` for each of ``values``.
    """
    least, most = amounts
    amount = least + (most - least) * torch.rand(len(some), generator=generator)
    other = hits[torch.randint(len(hits), (len(some),), generator=generator)]
    mixed = torch.rand(len(some), generator=generator) < MIXED
    share = 0.5 * torch.rand(len(some), generator=generator) * mixed
    mixtures = []
    for each in values:
        size = -1, *[1] * (each.ndim - 1)
        mixtures.append(amount.view(size) * torch.lerp(each[some], each[other], share.view(size)))
    return mixtures


def draw_asked(differences: Tensor, hits: Tensor, some: Tensor, generator: torch.Generator) -> Tensor:
    """What the synthesiser is asked to sound like for hits ``some`` ``(batch,)``, in spreads of the take.

    Args:
        differences: ``(n, 7)`` intended differences of the take's hits, in spreads.
        hits: ``(m,)`` those that may be mixed in.
    """
    (asked,) = draw_mixtures([differences], hits, some, ASKED, generator)
    return asked + NOISE * torch.randn(asked.shape, generator=generator)


class InverseWarmStart(FastWarmStart):
    """Fits a mapping from asked differences, in spreads of the take, on a surrogate (``training.warm_start``)."""

    def __init__(self, mapping, take: Take, render: Render, indices, settings: Settings, seed: int):
        super().__init__(mapping, take, render, indices, settings, seed, Worker(None, wanted=False))

    def mapping_batches(self, penalty: float) -> list[Tensor]:
        """As ``WarmStart.mapping_batches``: what is asked for is the input and the aim."""
        size = warm_start.MAPPING_STEPS, min(warm_start.MAPPING_BATCH, len(self.hits))
        some = torch.randint(len(self.hits), size, generator=self.generator)
        asked = self._ask(some.flatten()).unflatten(0, some.shape)
        penalties = torch.full((size[0],), penalty, dtype=torch.float64)
        return [asked, self.rings[self.hits][some], asked, penalties]

    def _ask(self, rows: Tensor) -> Tensor:
        return draw_asked(self.intended, torch.arange(len(self.hits)), rows, self.generator)

    def _draw(self, passes: int) -> Tensor:
        rows = torch.arange(len(self.hits)).repeat(passes)
        return self._ask(rows).unflatten(0, (passes, -1))

    def _rendered_loss(self) -> float:
        played = self.render(self.mapping.parameters_for(self.intended), self.hits)
        return float(feature_difference_loss(played, self.intended))
