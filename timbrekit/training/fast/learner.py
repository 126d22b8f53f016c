"""The weights of models that are trained together, and how a batch of hits changes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from timbrekit.mapping import Mapping
from timbrekit.training.fast.cuda_graph import Replayed
from timbrekit.training.fast.renderer import Renderer
from timbrekit.training.fast.stacked import Adam, StackedMappings
from timbrekit.training.settings import Settings
from timbrekit.training.train import GradientClipping


@dataclass(frozen=True)
class Batch:
    """Hits of each model, on the CPU."""

    heard: Tensor  # (models, hits, 3)
    indices: Tensor  # (models, hits) of the take
    draws: tuple[Tensor, ...]  # noise and phases: from ``Renderer.draw``


class Learner:
    """Weights ``(models, weights)``, their moving average, and Adam. On a GPU a step is captured and replayed."""

    def __init__(
        self, mappings: Sequence[Mapping], renderer: Renderer, settings: Settings, device: torch.device
    ):
        self.renderer, self.settings, self.device = renderer, settings, device
        self.stacked = StackedMappings(mappings, device)
        self.weights = self.stacked.weights()
        self.averaged = self.weights.clone()
        self.optimizer = Adam(self.weights)
        self.clipping = GradientClipping(settings.gradient_clip, len(mappings), device)
        self._captured: dict[tuple, Replayed] = {}  # by function and shapes

    def step(self, batch: Batch, rates: Tensor) -> Tensor:
        """One step of the optimiser, at the learning rates ``(models,)``. Losses ``(models,)`` before it."""
        # Without an average, and after the first step, it is the weights themselves.
        share = self.settings.ema if self.optimizer.steps else 0.0
        how = rates, *self.optimizer.count(), 1 - share
        return self._run(self._step, *how, batch.heard, batch.indices, *batch.draws)

    def losses(self, batch: Batch) -> Tensor:
        """Losses ``(models,)`` of the moving average, which is what is validated and kept."""
        return self._run(self._losses, batch.heard, batch.indices, *batch.draws)

    def _run(self, function: Callable[..., Tensor], *inputs: Tensor | float) -> Tensor:
        if self.device.type != "cuda":
            return function(*inputs)
        tensors = [torch.as_tensor(each) for each in inputs]
        key = function.__name__, *(each.shape for each in tensors)
        if key not in self._captured:
            self._captured[key] = Replayed(function, self._changed())
        return self._captured[key](*tensors)

    def _changed(self) -> list[Tensor]:
        """All tensors that a step changes."""
        adam = self.optimizer
        return [self.weights, self.averaged, adam.mean, adam.square, self.clipping.medians]

    def _step(
        self,
        rates: Tensor,
        mean_share: Tensor | float,
        square_share: Tensor | float,
        follow: Tensor | float,
        heard: Tensor,
        indices: Tensor,
        *draws: Tensor,
    ) -> Tensor:
        weights = self.weights.detach().requires_grad_()
        parameters, penalty = self.stacked.play(weights, heard)
        losses, gradient = self.renderer.losses(parameters.detach(), indices, draws, with_gradient=True)
        torch.autograd.backward(
            [parameters, penalty],
            [self.clipping.clip(gradient), torch.full_like(penalty, self.settings.l2_penalty)],
        )
        self.optimizer.change(self.weights, weights.grad, rates, mean_share, square_share)
        self.averaged.lerp_(self.weights, follow)
        return losses

    @torch.no_grad()
    def _losses(self, heard: Tensor, indices: Tensor, *draws: Tensor) -> Tensor:
        parameters, _ = self.stacked.play(self.averaged, heard)
        return self.renderer.losses(parameters, indices, draws, with_gradient=False)[0]

    def state(self) -> dict[str, Any]:
        """All that steps have changed."""
        return {
            "weights": self.weights,
            "averaged": self.averaged,
            "optimizer": self.optimizer.state(),
            "clipping": self.clipping.medians,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.weights.copy_(state["weights"])
        self.averaged.copy_(state["averaged"])
        self.optimizer.load_state(state["optimizer"])
        self.clipping.medians.copy_(state["clipping"])
