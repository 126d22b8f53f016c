"""A training run: several models of one take, epoch by epoch, and all that has to be kept to go on with it."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from timbrekit.features import TimbreFeatures
from timbrekit.loss import spread_weights
from timbrekit.presets import Preset
from timbrekit.training.checkpoint import fingerprint_of
from timbrekit.training.expected import with_expected
from timbrekit.training.fast.learner import Batch, Learner
from timbrekit.training.fast.renderer import Renderer, Targets
from timbrekit.training.fast.stacked import Plateau, StackedMappings, one_cycle
from timbrekit.training.fast.warm_start import FastWarmStart
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.settings import Settings
from timbrekit.training.split import split_hits
from timbrekit.training.take import Take, draw_inputs
from timbrekit.training.train import (
    FEWEST_STEPS,
    Epoch,
    Trained,
    check_finite,
    epochs_for,
    judged_loss,
    make_mapping,
    shuffled_batches,
)


@dataclass(frozen=True)
class Variant:
    """What may differ between models that are trained together."""

    preset: Preset
    seed: int = 0  # of everything random, the split into trained and held-out hits among it


class TrainingRun:
    """A training run of several models: what it is about, and how far it has come. Use as a context."""

    def __init__(
        self, take: Take, variants: Sequence[Variant], settings: Settings, second_process: bool = False
    ):
        self.settings, self.device = settings, torch.device(settings.device)
        self.presets = [variant.preset for variant in variants]
        self.seeds = [variant.seed for variant in variants]
        self.settings_of = [replace(settings, seed=seed) for seed in self.seeds]
        models = list(zip(self.presets, self.settings_of, strict=True))
        self.fingerprint = "".join(fingerprint_of(take, *model) for model in models)
        self.splits = [split_hits(take, settings.split, seed) for seed in self.seeds]
        self.weights = spread_weights(take.intended.to(self.device)) if settings.balanced else None
        followed = [(take, split.train) for split in self.splits]
        if settings.expected:
            followed = [with_expected(take, split.train) for split in self.splits]
        self.takes, self.trained_on = zip(*followed, strict=True)
        # What the models hear and how long it rings is the same; what they are to make of it differs with the split.
        self.take = take = self.takes[0]
        features = TimbreFeatures.for_training(
            take.hits.sample_rate, settings.features == "gated", settings.thinned
        )
        self.players = [
            SynthPlayer(preset, take, features, settings.fresh_noise, its.seed, self.device)
            for preset, its in models
        ]
        self.mappings = [make_mapping(take, *model) for model in models]
        hits = len(self.trained_on[0])
        self.epochs = settings.epochs or epochs_for(hits, settings.batch_size)
        self.total_steps = max(self.epochs * math.ceil(hits / settings.batch_size), FEWEST_STEPS) + 1
        validated = [torch.from_numpy(split.validation) for split in self.splits]
        # In order of length: a batch is rendered as far as its longest hit rings.
        self.validated = [hits[take.lengths[hits].argsort(stable=True)] for hits in validated]
        # The same every time, and drawn as in training.
        self.validation_inputs = [
            draw_inputs(take, settings, torch.Generator().manual_seed(seed))[0] for seed in self.seeds
        ]
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.history: list[tuple[Epoch, Tensor, Tensor]] = []
        intended = torch.stack([each.intended for each in self.takes]).to(self.device)
        self.renderer = Renderer(Targets(self.players, intended, self.weights), second_process)
        self._start_from_mappings()

    def __enter__(self) -> "TrainingRun":
        return self

    def __exit__(self, *_: object) -> None:
        self.renderer.worker.close()

    def _start_from_mappings(self) -> None:
        self.learner = Learner(self.mappings, self.renderer, self.settings, self.device)
        self.plateau = Plateau(len(self.mappings))
        self.best_weights = self.learner.weights.clone()
        self.best_losses = torch.full((len(self.mappings),), math.inf)

    def warm_start(self) -> None:
        """Start each model from a mapping fitted to a surrogate of the synthesiser."""
        for number, mapping in enumerate(self.mappings):
            render = partial(self.renderer.differences, number)
            about = self.takes[number], render, self.trained_on[number], self.settings_of[number]
            FastWarmStart(mapping, *about, self.renderer.worker, self.weights).run()
        self._start_from_mappings()

    def run_epoch(self) -> tuple[Tensor, Tensor]:
        """Take each training hit once. Mean loss of each model ``(models,)`` over training and validation hits.

        The second is the first where no hit is held out for validation.
        """
        settings = self.settings
        inputs, order = [], []
        for hits, generator in zip(self.trained_on, self.generators, strict=True):
            inputs.append(draw_inputs(self.take, settings, generator)[0])
            order.append(torch.cat(shuffled_batches(hits, self.take, settings, generator)))
        total = torch.zeros(len(self.players), device=self.device)
        for indices in _batches(order, settings.batch_size):
            batch = self.batch(inputs, indices, self.generators)
            total += self.learner.step(batch, self._learning_rates()) * indices.shape[1]
        training = total.cpu() / len(order[0])
        validation = self._validation_losses() if len(self.validated[0]) else training
        if settings.plateau:
            self.plateau.see(validation)
        return training, validation

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
        # the same noises every time
        generators = [torch.Generator().manual_seed(seed + 1) for seed in self.seeds]
        for indices in _batches(self.validated, self.settings.batch_size):
            batch = self.batch(self.validation_inputs, indices, generators)
            total += self.learner.losses(batch) * indices.shape[1]
        return total.cpu() / len(self.validated[0])

    def keep_best(self, train_losses: Tensor, validation_losses: Tensor) -> None:
        """Remember the weights of each model whose epoch was its best.

        Raises:
            TrainingError: a loss is not a number.
        """
        for preset, loss in zip(self.presets, train_losses + validation_losses, strict=True):
            check_finite(preset.name, float(loss))
        judged = judged_loss(validation_losses, train_losses, self.splits[0], self.settings)
        better = judged < self.best_losses
        self.best_losses = torch.where(better, judged, self.best_losses)
        averaged = self.learner.averaged
        self.best_weights = torch.where(better.to(self.device)[:, None], averaged, self.best_weights)

    def results(self, seconds: float, interrupted: bool) -> list[Trained]:
        trained = []
        for number, mapping in enumerate(self.mappings):
            StackedMappings.unstack(self.best_weights[number].cpu(), mapping)
            history = [
                replace(told, train_loss=float(trained_on[number]), validation_loss=float(checked[number]))
                for told, trained_on, checked in self.history
            ]
            mapping = mapping.eval().requires_grad_(False)
            about = history, seconds, interrupted, self.settings_of[number]
            trained.append(Trained(mapping, self.splits[number], *about))
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


def _batches(indices: Sequence[Tensor], size: int) -> list[Tensor]:
    """``(models, size)`` each, the last one shorter."""
    return list(torch.stack(list(indices)).split(size, 1))
