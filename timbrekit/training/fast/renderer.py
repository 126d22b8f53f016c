"""Batches of hits, rendered and compared in chunks that two processes can share."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from timbrekit.features import TIMBRE_SAMPLES
from timbrekit.loss import feature_difference_loss
from timbrekit.training.fast.worker import Worker
from timbrekit.training.objective import SynthPlayer, differences_together, draw_for, draw_seed, draw_together
from timbrekit.training.take import CHUNK

# Models, or chunks of one model's hits, that are rendered at once: on a CPU one, since more fall out of its cache.
MODELS_TOGETHER = {"cpu": 1, "cuda": 64}
HITS_TOGETHER = 8  # of a training batch, on a CPU: half of its sixteen, so that each of two processes has one


@dataclass(frozen=True)
class Targets:
    """What several models are to follow, and with what: all that a chunk is computed from."""

    players: Sequence[SynthPlayer]
    intended: Tensor  # (models, n, 7): what each is to make of the take's hits
    loss_weights: Tensor | None  # (7,)


class Renderer:
    """What models play for hits, and how far that is from what it should be.

    The same numbers come out with a second process and without. Use as a context: at its end that process is gone.

    Args:
        targets: of all models, in order.
        second_process: let one compute beside this one.
    """

    def __init__(self, targets: Targets, second_process: bool):
        self.targets = targets
        self._device = targets.players[0].device.type
        self.worker = Worker(targets, second_process)

    def differences(
        self, model: int, parameters: Tensor, indices: Tensor, generator: torch.Generator
    ) -> Tensor:
        """``(batch, 7)`` how the model's synthesiser differs from its preset; nothing is recorded for gradients.

        Args:
            model: its number.
            parameters: ``(batch, parameters)`` normalised, where the players are, as is the result.
            indices: ``(batch,)`` hits of the take that they are played for, there too.
            generator: source of noise and phases.
        """
        order = torch.arange(len(indices), device=indices.device)
        if self._device == "cpu":  # hits of like length are rendered fastest
            order = self.targets.players[model].lengths[indices].argsort(stable=True)
        full, together = len(order) // CHUNK, MODELS_TOGETHER[self._device]
        rows = [*order[: full * CHUNK].view(full, CHUNK).split(together), order[None, full * CHUNK :]]
        rows = [some for some in rows if some.numel()]  # (chunks, hits) each
        calls = [
            (model, parameters[some], indices[some], [draw_seed(generator) for _ in range(len(some))])
            for some in rows
        ]
        played = [each.flatten(0, 1) for each in self.worker.starmap(_differences, calls)]
        heard = parameters.new_empty(len(parameters), self.targets.intended.shape[-1])
        heard[torch.cat([some.flatten() for some in rows])] = torch.cat(played)
        return heard

    def draw(self, batch: int, generators: Sequence[torch.Generator]) -> tuple[Tensor, ...]:
        """What is random in :meth:`losses` of a batch, on the CPU: from each model's own source of noise and phases."""
        parts = -(-batch // HITS_TOGETHER) if self._device == "cpu" else 1
        seeds = torch.tensor([[draw_seed(generator) for generator in generators] for _ in range(parts)])
        if self._device == "cpu":
            return (seeds,)
        return draw_together(self.targets.players, batch, TIMBRE_SAMPLES, _seeded(seeds[0].tolist()))

    def losses(
        self, parameters: Tensor, indices: Tensor, draws: Sequence[Tensor], with_gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Feature difference loss of each model over its batch. On a GPU nothing waits for its work.

        Args:
            parameters: ``(models, batch, parameters)`` normalised, where the players are.
            indices: ``(models, batch)`` hits of the take, there too.
            draws: from :meth:`draw`, on a GPU brought there.
            with_gradient: also find out the gradients.

        Returns:
            Losses ``(models,)``, and their gradients by the parameters ``(models, batch, parameters)``.
        """
        models, batch = indices.shape
        losses = torch.zeros(models, device=parameters.device)
        gradients = torch.empty_like(parameters) if with_gradient else None
        every = range(0, models, MODELS_TOGETHER[self._device])
        groups = [slice(start, start + MODELS_TOGETHER[self._device]) for start in every]
        if self._device == "cpu":
            (seeds,) = draws
            # Each part with short hits and long ones, where they are in order of length.
            places = [(some, slice(part, None, len(seeds))) for some in groups for part in range(len(seeds))]
            calls = [
                (some, parameters[some, hits], indices[some, hits], seeds[hits.start, some], with_gradient)
                for some, hits in places
            ]
            answers = self.worker.starmap(_losses, calls)
        else:
            places = [(some, slice(None)) for some in groups]
            answers = [
                _sums_and_gradients(
                    self.targets,
                    some,
                    parameters[some],
                    indices[some],
                    tuple(each[some] for each in draws),
                    TIMBRE_SAMPLES,
                    with_gradient,
                )
                for some in groups
            ]
        for place, (sums, gradient) in zip(places, answers, strict=True):
            losses[place[0]] += sums / batch
            if with_gradient:
                gradients[place] = gradient / batch
        return losses, gradients

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.close()


def _seeded(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@torch.no_grad()
def _differences(
    targets: Targets, model: int, parameters: Tensor, indices: Tensor, seeds: Sequence[int]
) -> Tensor:
    """``(chunks, hits, 7)`` of parameters ``(chunks, hits, parameters)``, each chunk with a noise of its own."""
    players = [targets.players[model]] * len(seeds)
    return differences_together(players, parameters, indices, *draw_for(players, indices, _seeded(seeds)))


def _losses(
    targets: Targets, some: slice, parameters: Tensor, indices: Tensor, seeds: Tensor, with_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """Of some models over a part of their batches: sums over the hits ``(models,)``, and their gradients."""
    draws, samples = draw_for(targets.players[some], indices, _seeded(seeds.tolist()))
    return _sums_and_gradients(targets, some, parameters, indices, draws, samples, with_gradient)


def _sums_and_gradients(
    targets: Targets,
    some: slice,
    parameters: Tensor,
    indices: Tensor,
    draws: tuple[Tensor, ...],
    samples: int,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    parameters = parameters.detach().requires_grad_(with_gradient)
    with torch.set_grad_enabled(with_gradient):
        differences = differences_together(targets.players[some], parameters, indices, draws, samples)
        losses = [
            feature_difference_loss(played, intended[hits], targets.loss_weights)
            for played, intended, hits in zip(differences, targets.intended[some], indices, strict=True)
        ]
        sums = torch.stack(losses) * indices.shape[1]
    if with_gradient:
        sums.sum().backward()
    return sums.detach(), parameters.grad
