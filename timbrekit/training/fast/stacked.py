"""Several mappings of one shape as one: their weights as the rows of a matrix, and an optimiser for all at once.

Adam and its schedules are written out because each model has a learning rate of its own, which ``torch.optim`` has for
groups of whole tensors only. Arithmetic as there (tested).
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from timbrekit.mapping import Mapping
from timbrekit.training.train import PLATEAU_EPOCHS

PLATEAU_THRESHOLD = 1e-4  # relative; less is no improvement


class _Played(nn.Module):
    """``functional_call`` calls a module as a whole: here, what the mapping plays."""

    def __init__(self, mapping: Mapping):
        super().__init__()
        self.mapping = mapping

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.mapping.parameters_and_penalty(inputs)


class StackedMappings:
    """Mappings of one size. Their weights are kept outside, as ``(models, weights)``."""

    def __init__(self, mappings: Sequence[Mapping], device: torch.device):
        self.device = device
        self.module = _Played(copy.deepcopy(mappings[0])).to(device)
        self.rows = torch.stack([parameters_to_vector(mapping.parameters()).detach() for mapping in mappings])
        self.buffers = {
            f"mapping.{name}": torch.stack([mapping.get_buffer(name) for mapping in mappings]).to(device)
            for name, _ in mappings[0].named_buffers()
        }
        self.shapes = {name: weights.shape for name, weights in self.module.named_parameters()}
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]

    def weights(self) -> Tensor:
        """``(models, weights)``, a copy of those that the mappings came with."""
        return self.rows.to(self.device, copy=True)

    def play(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """``Mapping.parameters_and_penalty`` of each model.

        Args:
            weights: ``(models, weights)``.
            inputs: ``(models, batch, 3)``.

        Returns:
            ``(models, batch, parameters)`` parameters, ``(models,)`` penalties.
        """

        def one(row: Tensor, buffers: dict[str, Tensor], heard: Tensor) -> tuple[Tensor, Tensor]:
            parts = row.split(self.sizes)
            named = {
                name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
            }
            return functional_call(self.module, {**named, **buffers}, (heard,))

        if len(weights) > 1:
            return vmap(one)(weights, self.buffers, inputs)
        buffers = {name: values[0] for name, values in self.buffers.items()}  # alone, without what vmap costs
        parameters, penalty = one(weights[0], buffers, inputs[0])
        return parameters[None], penalty[None]

    @staticmethod
    def unstack(row: Tensor, mapping: Mapping) -> None:
        """Give ``mapping`` the weights of one model."""
        vector_to_parameters(row.clone(), mapping.parameters())


class Adam:
    """Adam (Kingma and Ba, 2015) for weights ``(models, weights)`` with a learning rate for each model."""

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, weights: Tensor):
        self.steps, self.mean, self.square = 0, torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        """Change ``weights`` in place. ``rates``: ``(models,)``."""
        self.change(weights, gradient, rates, *self.count())

    def count(self) -> tuple[float, float]:
        """One step more: :meth:`shares` by then."""
        self.steps += 1
        return self.shares(self.steps)

    @classmethod
    def shares(cls, step: int) -> tuple[float, float]:
        """The shares of their final size that the moving mean and mean square have by a step, 1 …"""
        beta1, beta2 = cls.BETAS
        return 1 - beta1**step, 1 - beta2**step

    def change(
        self,
        weights: Tensor,
        gradient: Tensor,
        rates: Tensor,
        mean_share: Tensor | float,
        square_share: Tensor | float,
    ) -> None:
        """:meth:`step` that is counted elsewhere, so that it can be captured on a GPU."""
        beta1, beta2 = self.BETAS
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = (self.square / square_share).sqrt_().add_(self.EPSILON)
        weights -= (rates.to(weights)[:, None] / mean_share) * self.mean / spread

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "mean": self.mean, "square": self.square}

    def load_state(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])


class Plateau:
    """Halves each model's learning rate when its validation loss has not improved for 20 epochs."""

    def __init__(self, models: int):
        self.factors, self.waited = torch.ones(models), torch.zeros(models, dtype=torch.long)
        self.best = torch.full((models,), math.inf)

    def see(self, losses: Tensor) -> None:
        """``(models,)`` validation losses after an epoch."""
        better = losses < self.best * (1 - PLATEAU_THRESHOLD)
        self.best = torch.where(better, losses, self.best)
        self.waited = torch.where(better, 0, self.waited + 1)
        too_long = self.waited > PLATEAU_EPOCHS
        self.factors = torch.where(too_long, self.factors / 2, self.factors)
        self.waited = torch.where(too_long, 0, self.waited)

    def state(self) -> dict[str, Tensor]:
        return {"factors": self.factors, "best": self.best, "waited": self.waited}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.factors, self.best, self.waited = state["factors"], state["best"], state["waited"]


def one_cycle(step: int, total_steps: int, highest: float) -> float:
    """Learning rate at a step: up from 1/25 of the highest in a tenth of the steps, then along a cosine to nothing.

    As ``torch.optim.lr_scheduler.OneCycleLR`` with ``pct_start=0.1`` (Smith and Topin, 2018).
    """
    lowest, last = highest / 25, highest / 25e4
    rise = 0.1 * total_steps - 1
    if step <= rise:
        return _cosine(lowest, highest, step / rise)
    return _cosine(highest, last, (step - rise) / (total_steps - 1 - rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
