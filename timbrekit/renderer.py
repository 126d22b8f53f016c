"""Batches of hits, rendered and compared in chunks that two processes can share."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from timbrekit.loss import feature_difference_loss
from timbrekit.take import CHUNK
from timbrekit.voice import Voice, differences_together
from timbrekit.worker import Worker

# Models, and hits of a training batch, that are rendered at once. On a CPU one model, since more fall out of its cache,
# and half of a batch's sixteen hits, so that each of two processes has one.
MODELS_TOGETHER = {"cpu": 1, "cuda": 64}
HITS_TOGETHER = {"cpu": 8, "cuda": 1024}


@dataclass(frozen=True)
class Aim:
    """The models' synthesisers and what they are to follow: all that a chunk is computed from."""

    voices: Sequence[Voice]
    intended: Tensor  # (n, 7) of the take's hits
    loss_weights: Tensor | None  # (7,)


class Renderer:
    """What models play for hits, and how far that is from what it should be.

    The same numbers come out with a second process and without. Use as a context: at its end that process is gone.

    Args:
        aim: of all models.
        second_process: let one compute beside this.
    """

    def __init__(self, aim: Aim, second_process: bool):
        self.aim = aim
        self._device = aim.voices[0].device.type
        self.worker = Worker(aim, second_process)

    def differences(
        self, model: int, parameters: Tensor, indices: Tensor, generator: torch.Generator
    ) -> Tensor:
        """``(batch, 7)`` how the model's synthesiser differs from its preset; nothing is recorded for gradients.

        Args:
            model: its number.
            parameters: ``(batch, 14)`` normalised, on the CPU, as is the result.
            indices: ``(batch,)`` hits of the take that they are played for.
            generator: source of noise and phases.
        """
        lengths = self.aim.voices[model].lengths.cpu()[indices]
        parts = lengths.argsort(stable=True).split(CHUNK)  # hits of like length are rendered fastest
        calls = [(model, parameters[part], indices[part], draw_seed(generator)) for part in parts]
        heard = parameters.new_empty(len(parameters), self.aim.intended.shape[1])
        heard[torch.cat(parts)] = torch.cat(self.worker.starmap(_differences, calls))
        return heard

    def losses(
        self, parameters: Tensor, indices: Tensor, generators: Sequence[torch.Generator], with_slope: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Feature difference loss of each model over its batch.

        Args:
            parameters: ``(models, batch, 14)`` normalised, where the voices are.
            indices: ``(models, batch)`` hits of the take.
            generators: each model's own source of noise and phases.
            with_slope: also find out the slopes.

        Returns:
            Losses ``(models,)`` on the CPU, and their slopes by the parameters ``(models, batch, 14)``.
        """
        models, batch = indices.shape
        parts = -(-batch // HITS_TOGETHER[self._device])
        calls, places = [], []
        for start in range(0, models, MODELS_TOGETHER[self._device]):
            some = slice(start, start + MODELS_TOGETHER[self._device])
            for part in range(parts):  # each with short hits and long ones, where they are in order of length
                place = some, slice(part, None, parts)
                seeds = [draw_seed(generator) for generator in generators[some]]
                calls.append((some, parameters[place], indices[place], seeds, with_slope))
                places.append(place)
        losses = torch.zeros(models)
        slopes = torch.empty_like(parameters) if with_slope else None
        for place, (sums, slope) in zip(places, self.worker.starmap(_losses, calls), strict=True):
            losses[place[0]] += sums.cpu() / batch
            if with_slope:
                slopes[place] = slope / batch
        return losses, slopes

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.worker.close()


def draw_seed(generator: torch.Generator) -> int:
    """Of the noise and phases of a chunk, so that they are the same wherever it is rendered."""
    return int(torch.randint(2**62, (), generator=generator))


@torch.no_grad()
def _differences(aim: Aim, model: int, parameters: Tensor, indices: Tensor, seed: int) -> Tensor:
    voice, generator = aim.voices[model], torch.Generator().manual_seed(seed)
    return voice.differences(parameters.to(voice.device), indices.to(voice.device), generator).cpu()


def _losses(
    aim: Aim, some: slice, parameters: Tensor, indices: Tensor, seeds: Sequence[int], with_slope: bool
) -> tuple[Tensor, Tensor | None]:
    """Of some models over a part of their batches: sums over the hits ``(models,)``, and their slopes."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    parameters = parameters.detach().requires_grad_(with_slope)
    with torch.set_grad_enabled(with_slope):
        differences = differences_together(aim.voices[some], parameters, indices, generators)
        losses = [
            feature_difference_loss(played, aim.intended[hits], aim.loss_weights)
            for played, hits in zip(differences, indices, strict=True)
        ]
        sums = torch.stack(losses) * indices.shape[1]
    if with_slope:
        sums.sum().backward()
    return sums.detach(), parameters.grad
