"""A training run: several models of one take, epoch by epoch, and all that has to be kept to go on with it."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timbrekit.errors import TrainingError
from timbrekit.features import TimbreFeatures
from timbrekit.loss import spread_weights
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import Preset
from timbrekit.synth.parameters import PARAMETER_KEYS, PUBLISHED_DAMPING
from timbrekit.training.checkpoint import fingerprint_of
from timbrekit.training.fast.learner import Batch, Learner
from timbrekit.training.fast.renderer import Aim, Renderer
from timbrekit.training.fast.stacked import Plateau, StackedMappings, one_cycle
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.settings import Settings
from timbrekit.training.split import Split, split_hits
from timbrekit.training.take import Take, draw_inputs
from timbrekit.training.warm_start import sketch_mapping

STEPS = 220  # of the optimiser that the default number of epochs adds up to
FEWEST_EPOCHS, MOST_EPOCHS = 20, 60
FEWEST_STEPS = 20  # of the learning rate's cosine, whose rise takes a tenth of them


@dataclass(frozen=True)
class Epoch:
    """What the progress callback is told after each epoch. Losses are means over the models trained together."""

    number: int  # 1 …
    of: int
    train_loss: float
    validation_loss: float
    seconds_left: float


@dataclass(frozen=True)
class Variant:
    """What may differ between models that are trained together."""

    preset: Preset
    seed: int = 0  # of everything random, the split into trained and held-out hits among it


@dataclass(frozen=True)
class Trained:
    """The best mapping of a training run, and how it came about."""

    mapping: Mapping
    split: Split
    history: list[Epoch]
    seconds: float  # of the whole run, all models trained together
    interrupted: bool
    settings: Settings = field(repr=False)


class TrainingRun:
    """A training run of several models: what it is about, and how far it has come. Use as a context."""

    def __init__(
        self, take: Take, variants: Sequence[Variant], settings: Settings, second_process: bool = False
    ):
        self.fingerprint = "".join(
            fingerprint_of(take, variant.preset, replace(settings, seed=variant.seed)) for variant in variants
        )
        self.take, self.settings, self.device = take, settings, torch.device(settings.device)
        self.seeds = [variant.seed for variant in variants]
        presets = [_damped(variant.preset, settings) for variant in variants]
        self.names = [preset.name for preset in presets]
        self.splits = [split_hits(take.timbre[:, 0], take.reference, seed) for seed in self.seeds]
        features = TimbreFeatures.for_training(
            take.hits.sample_rate, settings.features == "gated", settings.thinned
        )
        self.players = [
            SynthPlayer(preset, take, features, settings.fresh_noise, seed, self.device)
            for preset, seed in zip(presets, self.seeds, strict=True)
        ]
        self.mappings = [
            Mapping(
                build_network(settings.model, seed, len(preset.parameters)),
                torch.from_numpy(preset.normalized()),
                torch.from_numpy(preset.damping_vector()),
                take.inputs[take.reference] if settings.centred else None,
            )
            for preset, seed in zip(presets, self.seeds, strict=True)
        ]
        hits = len(self.splits[0].train)
        self.epochs = settings.epochs or _epochs_for(hits, settings.batch_size)
        self.total_steps = max(self.epochs * math.ceil(hits / settings.batch_size), FEWEST_STEPS) + 1
        validated = [split.validation if len(split.validation) else split.train for split in self.splits]
        # In order of length: a batch is rendered as far as its longest hit rings.
        self.validated = [hits[take.lengths[hits].argsort(stable=True).numpy()] for hits in validated]
        # The same every time, and drawn as in training.
        self.validation_inputs = [
            self._draw_inputs(torch.Generator().manual_seed(seed)) for seed in self.seeds
        ]
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.history: list[tuple[Epoch, Tensor, Tensor]] = []
        intended = take.intended.to(self.device)
        weights = spread_weights(intended) if settings.balanced else None
        self.renderer = Renderer(Aim(self.players, intended, weights), second_process)
        self._start_from_mappings()

    def __enter__(self) -> "TrainingRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.renderer.worker.close()

    def _start_from_mappings(self) -> None:
        self.learner = Learner(self.mappings, self.renderer, self.settings, self.device)
        self.plateau = Plateau(len(self.mappings))
        self.best_weights = self.learner.weights.clone()
        self.best_losses = torch.full((len(self.mappings),), math.inf)

    def sketch(self) -> None:
        """Start each model from a mapping fitted to a stand-in for the synthesiser."""
        for number, mapping in enumerate(self.mappings):
            render = partial(self.renderer.differences, number)
            hits, seed = self.splits[number].train, self.seeds[number]
            sketch_mapping(mapping, self.take, render, self.renderer.worker, hits, self.settings, seed)
        self._start_from_mappings()

    def _draw_inputs(self, generator: torch.Generator) -> Tensor:
        settings = self.settings
        return draw_inputs(self.take, settings.shifted_share, settings.growing_share, generator)[0]

    def run_epoch(self) -> tuple[Tensor, Tensor]:
        """Take each training hit once. Mean loss of each model ``(models,)`` over training and validation hits."""
        settings = self.settings
        inputs, order = [], []
        for split, generator in zip(self.splits, self.generators, strict=True):
            inputs.append(self._draw_inputs(generator))
            shuffled = split.train[torch.randperm(len(split.train), generator=generator).numpy()]
            if settings.features == "gated":  # the published ones look at every sample, however long a hit is
                shuffled = batched_by_length(shuffled, self.take.lengths, settings.batch_size, generator)
            order.append(shuffled)
        total = torch.zeros(len(self.players), device=self.device)
        for indices in _batches(order, settings.batch_size):
            batch = self.batch(inputs, indices, self.generators)
            total += self.learner.step(batch, self._learning_rates()) * indices.shape[1]
        validation = self._validation_losses()
        if settings.plateau:
            self.plateau.see(validation)
        return total.cpu() / len(order[0]), validation

    def batch(
        self, inputs: Sequence[Tensor], indices: Tensor, generators: Sequence[torch.Generator]
    ) -> Batch:
        """Hits ``indices`` ``(models, hits)``, heard as ``inputs`` ``(n, 3)`` of each model say."""
        heard = torch.stack([each[part] for each, part in zip(inputs, indices, strict=True)])
        return Batch(heard, indices, self.renderer.draw(indices.shape[1], generators))

    def _learning_rates(self) -> Tensor:
        """``(models,)``: on a plateau of the validation loss as published, or on one cosine over all steps."""
        if self.settings.plateau:
            return self.plateau.factors * self.settings.learning_rate
        rate = one_cycle(self.learner.optimizer.steps, self.total_steps, self.settings.learning_rate)
        return torch.full((len(self.players),), rate)

    def _validation_losses(self) -> Tensor:
        total = torch.zeros(len(self.players), device=self.device)
        generators = [
            torch.Generator().manual_seed(seed + 1) for seed in self.seeds
        ]  # the same noises every time
        for indices in _batches(self.validated, self.settings.batch_size):
            batch = self.batch(self.validation_inputs, indices, generators)
            total += self.learner.losses(batch) * indices.shape[1]
        return total.cpu() / len(self.validated[0])

    def keep_best(self, train_losses: Tensor, validation_losses: Tensor) -> None:
        """Remember the weights of each model whose epoch was its best.

        Raises:
            TrainingError: a loss is not a number.
        """
        for name, loss in zip(self.names, train_losses + validation_losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"Training with the preset {name} gave a loss that is not a number. Try another preset."
                )
        judged = validation_losses
        if not self.settings.plateau:
            judged = _judged(validation_losses, train_losses, self.splits[0])
        better = judged < self.best_losses
        self.best_losses = torch.where(better, judged, self.best_losses)
        averaged = self.learner.averaged
        self.best_weights = torch.where(better.to(self.device)[:, None], averaged, self.best_weights)

    def results(self, seconds: float, interrupted: bool) -> list[Trained]:
        trained = []
        for number, mapping in enumerate(self.mappings):
            StackedMappings.unstack(self.best_weights[number].cpu(), mapping)
            if self.settings.forgets_centre:
                mapping.centre.zero_()
            history = [
                replace(told, train_loss=float(trained_on[number]), validation_loss=float(checked[number]))
                for told, trained_on, checked in self.history
            ]
            settings = replace(self.settings, seed=self.seeds[number])
            mapping = mapping.eval().requires_grad_(False)
            trained.append(Trained(mapping, self.splits[number], history, seconds, interrupted, settings))
        return trained

    def state(self) -> dict[str, Any]:
        """All that has changed since the start: tensors, numbers and lists of them."""
        return {
            "learner": self.learner.state(),
            "plateau": self.plateau.state(),
            "generators": [generator.get_state() for generator in self.generators],
            "best_weights": self.best_weights,
            "best_losses": self.best_losses,
            "history": [(astuple(told), trained, checked) for told, trained, checked in self.history],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.learner.load_state(state["learner"])
        self.plateau.load_state(state["plateau"])
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            generator.set_state(saved)
        self.best_weights, self.best_losses = state["best_weights"].to(self.device), state["best_losses"]
        self.history = [(Epoch(*told), trained, checked) for told, trained, checked in state["history"]]


def _damped(preset: Preset, settings: Settings) -> Preset:
    if settings.damping == "preset":
        return preset
    return replace(preset, damping={key: PUBLISHED_DAMPING.get(key, 1.0) for key in PARAMETER_KEYS})


def _epochs_for(hits: int, batch_size: int) -> int:
    return min(max(math.ceil(STEPS / math.ceil(hits / batch_size)), FEWEST_EPOCHS), MOST_EPOCHS)


def _judged(validation_loss: Tensor, train_loss: Tensor, split: Split) -> Tensor:
    """What the best epoch is chosen by: validation counts as much as its number of hits is worth.

    Of some twenty held-out hits the loss scatters by a tenth; alone it would often choose an early epoch by luck.
    """
    share = len(split.validation) / (len(split.validation) + len(split.train))
    share = min(0.5, 3 * share)
    return share * validation_loss + (1 - share) * train_loss


def batched_by_length(
    hits: np.ndarray, lengths: Tensor, batch_size: int, generator: torch.Generator
) -> np.ndarray:
    """Shuffled ``hits`` in another order, in which those of a batch ring about as long.

    A batch is rendered as far as its longest hit rings. Four batches at a time are sorted by length, and then all are
    put in a random order; a last one that is not full stays the last.
    """
    several = 4 * batch_size
    parts = [hits[start : start + several] for start in range(0, len(hits), several)]
    hits = np.concatenate([part[lengths[part].argsort(stable=True).numpy()] for part in parts])
    full = len(hits) // batch_size
    mixed = hits[: full * batch_size].reshape(full, batch_size)[
        torch.randperm(full, generator=generator).numpy()
    ]
    return np.concatenate([mixed.flatten(), hits[full * batch_size :]])


def _batches(indices: Sequence[np.ndarray], size: int) -> list[Tensor]:
    """``(models, size)`` each, the last one shorter."""
    return list(torch.from_numpy(np.stack(indices)).split(size, 1))
