"""A warm start for the inverse of a synthesiser: from how it is to sound to its parameters."""

import numpy as np
import torch
from torch import Tensor

from timbrekit.loss import feature_difference_loss
from timbrekit.mapping import Mapping
from timbrekit.training import warm_start
from timbrekit.training.expected import ENOUGH
from timbrekit.training.fast.warm_start import FastWarmStart
from timbrekit.training.fast.worker import Worker
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.warm_start import Render

LEAST_ASKED, MOST_ASKED = 0.2, 1.15  # of a hit's differences
MIXED = 0.5  # share of what is asked for that is mixed with another hit, by up to a half
ALONE = 0.5  # share of what is asked for in which each feature has an amount of its own, of few hits
NOISE = 0.1  # standard deviation, in spreads of the take, on what is asked for and on estimates


def draw_asked(differences: Tensor, hits: Tensor, some: Tensor, generator: torch.Generator) -> Tensor:
    """What the synthesiser is asked to sound like for hits ``some`` ``(batch,)``, in spreads of the take.

    Few hits are few strokes, in each of which the features go together. Of a take with less than ``ENOUGH`` the network
    also learns to move them apart.

    Args:
        differences: ``(n, 7)`` intended differences of the take's hits, in spreads.
        hits: ``(m,)`` those that may be mixed in.
    """
    size = len(some), 1
    amount = LEAST_ASKED + (MOST_ASKED - LEAST_ASKED) * torch.rand(size, generator=generator)
    alone = ALONE * min(1.0, max(0.0, ENOUGH / len(hits) - 1))
    if alone:
        own = LEAST_ASKED + (MOST_ASKED - LEAST_ASKED) * torch.rand(
            len(some), differences.shape[1], generator=generator
        )
        amount = torch.where(torch.rand(size, generator=generator) < alone, own, amount)
    other = differences[hits[torch.randint(len(hits), (len(some),), generator=generator)]]
    share = 0.5 * torch.rand(size, generator=generator) * (torch.rand(size, generator=generator) < MIXED)
    asked = amount * torch.lerp(differences[some], other, share)
    return asked + NOISE * torch.randn(asked.shape, generator=generator)


class InverseWarmStart(FastWarmStart):
    """Fits a mapping from asked differences, in spreads of the take, on a surrogate (``training.warm_start``)."""

    def __init__(self, mapping: Mapping, take: Take, render: Render, indices: np.ndarray, settings: Settings):
        super().__init__(mapping, take, render, indices, settings, Worker(None, wanted=False))

    def mapping_batches(self, penalty: float) -> list[Tensor]:
        """As ``WarmStart.mapping_batches``: what is asked for is both input and target."""
        size = warm_start.MAPPING_STEPS, min(warm_start.MAPPING_BATCH, len(self.hits))
        some = torch.randint(len(self.hits), size, generator=self.generator)
        asked = self._ask(some.flatten()).unflatten(0, some.shape)
        penalties = torch.full((size[0],), penalty, dtype=torch.float64)
        return [asked, self.rings[self.hits][some], asked, penalties]

    def _ask(self, rows: Tensor) -> Tensor:
        return draw_asked(self.intended, torch.arange(len(self.hits)), rows, self.generator)

    def _draw_inputs(self, passes: int) -> Tensor:
        rows = torch.arange(len(self.hits)).repeat(passes)
        return self._ask(rows).unflatten(0, (passes, -1))

    def _rendered_loss(self) -> float:
        played = self.render(self.mapping.parameters_for(self.intended), self.hits)
        return float(feature_difference_loss(played, self.intended))
