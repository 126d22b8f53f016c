"""The warm start in a few seconds: gradients of its two small networks written out, and both fitted at once.

The two networks take many short steps: on a CPU on one thread, as so small products are slower on several, which wait
for each other longer than they work; on a GPU captured and replayed.
"""

from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timbrekit.mapping import EXCESS_WEIGHT, Mapping
from timbrekit.training.fast.small_network import Fit, SmallNetwork
from timbrekit.training.fast.worker import Worker
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.warm_start import (
    MAPPING_RATE,
    SMOOTH_L1_BETA,
    SURROGATE_RATE,
    WIDEST,
    Render,
    WarmStart,
    sample_batches,
    surrogate_network,
)


class FastWarmStart(WarmStart):
    """``WarmStart`` with the same steps, up to rounding.

    Args:
        worker: that trains the surrogate while the mapping is fitted to what it knew before.
    """

    def __init__(
        self,
        mapping: Mapping,
        take: Take,
        render: Render,
        indices: np.ndarray,
        settings: Settings,
        worker: Worker,
        weights: Tensor | None = None,
    ):
        super().__init__(mapping, take, render, indices, settings, weights)
        self.worker = worker
        with torch.no_grad():
            self.small_surrogate = SmallNetwork(self.surrogate.network)
            self.small_mapping = SmallNetwork(self.mapping.network)
        self._surrogate_fit = surrogate_fit(self.small_surrogate)
        self._mapping_fit = Fit(self.small_mapping, self.mapping_backward, MAPPING_RATE)
        self._aside: Fit | None = None  # of a copy of the surrogate

    def fit_surrogate(self, batches: list[Tensor]) -> None:
        self._surrogate_fit.run(batches)

    def fit_mapping(self, batches: list[Tensor]) -> None:
        self._mapping_fit.run(batches)

    def fit_both(self, penalty: float, seen: Tensor, heard: Tensor, steps: int, seed: int) -> None:
        if self.device.type == "cuda":
            weights = self._fit_both_by_turns(penalty, seen, heard, steps, seed)
        else:
            learned_from = self.small_surrogate.weights, seen, heard, steps, seed
            _, weights = self.worker.beside(
                lambda: self.fit_mapping(self.mapping_batches(penalty)), _learn_apart, learned_from
            )
        self.small_surrogate.weights.copy_(weights)

    def _fit_both_by_turns(
        self, penalty: float, seen: Tensor, heard: Tensor, steps: int, seed: int
    ) -> Tensor:
        """On streams of their own. The surrogate's weights after it."""
        if self._aside is None:
            network = surrogate_network(seen.shape[1], heard.shape[1])
            self._aside = surrogate_fit(SmallNetwork(network.to(seen.device)))
        self._aside.network.weights.copy_(self.small_surrogate.weights)
        batches = sample_batches(seen, heard, steps, torch.Generator().manual_seed(seed))
        by_turns = self._aside.in_parts(batches), self._mapping_fit.in_parts(self.mapping_batches(penalty))
        for _ in zip_longest(*by_turns):
            pass
        return self._aside.network.weights

    def mapping_backward(
        self, inputs: Tensor, rings: Tensor, intended: Tensor, penalty: Tensor | float
    ) -> None:
        """Set the mapping's gradient to that of the feature difference loss on the surrogate and of the penalty."""
        mapping = self.mapping
        modulation = self.small_mapping(inputs - mapping.centre)
        wanted = mapping.preset + modulation * mapping.damping
        parameters = wanted.clamp(0, 1)
        excess = wanted - parameters
        compressed = self.small_surrogate(self.surrogate.inputs(parameters, rings))
        clamped, is_inside = compressed.clamp(-WIDEST, WIDEST), compressed.abs() <= WIDEST
        error = torch.sinh(clamped) - intended
        by_compressed = error.sign().div_(error.numel()) * torch.cosh(clamped) * is_inside
        by_inputs = self.small_surrogate.backward(by_compressed, to_weights=False)
        by_parameters = by_inputs[:, :-1] / self.surrogate.reach
        by_penalty = 2 * modulation + EXCESS_WEIGHT * mapping.damping * excess.sign()
        self.small_mapping.backward(
            by_parameters * mapping.damping * (excess == 0) + penalty / modulation.numel() * by_penalty,
            to_inputs=False,
        )


def surrogate_fit(network: SmallNetwork) -> Fit:
    def backward(inputs: Tensor, wanted: Tensor) -> None:
        """Of the smooth L1 loss: its gradient grows with the error up to ``SMOOTH_L1_BETA`` and then stays."""
        error = network(inputs) - wanted
        network.backward(error.div_(SMOOTH_L1_BETA).clamp_(-1, 1).div_(error.numel()), to_inputs=False)

    return Fit(network, backward, SURROGATE_RATE, together=20)


@torch.no_grad()
def _learn_apart(_: Any, weights: Tensor, seen: Tensor, heard: Tensor, steps: int, seed: int) -> Tensor:
    """The weights of a surrogate after ``steps`` more steps; those given stay."""
    network = SmallNetwork(surrogate_network(seen.shape[1], heard.shape[1]))
    network.weights.copy_(weights)
    surrogate_fit(network).run(sample_batches(seen, heard, steps, torch.Generator().manual_seed(seed)))
    return network.weights
