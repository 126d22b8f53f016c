"""Train a mapping on one take: the loop as one reads it (Shier et al., NIME 2024, sections 3 and 4).

``timbrekit.training.fast`` trains the same in a fraction of the time, and several models at once.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from timbrekit.errors import TrainingError
from timbrekit.features import TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import Mapping, build_network
from timbrekit.training.expected import with_expected
from timbrekit.training.objective import SynthPlayer, draw_seed
from timbrekit.training.settings import Settings
from timbrekit.training.split import Split, split_hits
from timbrekit.training.take import Take, draw_inputs

if TYPE_CHECKING:
    from timbrekit.presets import Preset

STEPS = 220  # of the optimiser that the default number of epochs adds up to
FEWEST_EPOCHS, MOST_EPOCHS = 16, 60
FEWEST_STEPS = 20  # of the learning rate's cosine, whose warm-up takes a tenth of them
PLATEAU_EPOCHS = 20  # without improvement, after which the published schedule halves the learning rate


@dataclass(frozen=True)
class Epoch:
    """What the progress callback is told after each epoch. Losses are means over the models trained together."""

    number: int  # 1 …
    of: int
    train_loss: float
    validation_loss: float  # the training loss where no hit is held out for validation
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """A trained mapping, and how it came about."""

    mapping: Mapping  # of the best epoch; the mel listener's, a ``LooksMapping``, of the last one
    split: Split
    history: list[Epoch]
    seconds: float  # of the whole run, all models trained together
    interrupted: bool
    settings: Settings = field(repr=False)


def train(
    take: Take,
    preset: "Preset",
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a mapping from what the plug-in hears of each hit to modulations of ``preset``.

    Args:
        take: the recording's hits, measured.
        preset: the sound to modulate.
        settings: hyperparameters.
        progress: called after each epoch. Ctrl-C (KeyboardInterrupt), or a callback that raises it, ends training and
            keeps the best epoch so far; before the first epoch has ended it is passed on.

    Raises:
        TrainingError: the loss is not a number (a preset or recording that the features cannot measure).
    """
    settings, began = settings or Settings(), time.perf_counter()
    split = split_hits(take, settings.split, settings.seed)
    objective = Objective(take, preset, split, settings)
    mapping = make_mapping(take, preset, settings)
    if settings.warm_start:
        from timbrekit.training.warm_start import WarmStart

        render = objective.player.differences
        WarmStart(mapping, objective.take, render, objective.hits, settings, objective.weights).run()
    average = AveragedModel(mapping, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    epochs = settings.epochs or epochs_for(len(objective.hits), settings.batch_size)
    optimiser = torch.optim.Adam(mapping.parameters(), settings.learning_rate)
    schedule = _schedule(optimiser, epochs * math.ceil(len(objective.hits) / settings.batch_size), settings)
    generator = torch.Generator().manual_seed(settings.seed)

    history, least, best, interrupted = [], math.inf, None, False
    try:
        for number in range(1, epochs + 1):
            inputs, train_loss = objective.draw_inputs(generator), 0.0
            for hits in shuffled_batches(objective.hits, objective.take, settings, generator):
                loss, penalty = objective(mapping, inputs, hits, generator)
                optimiser.zero_grad()
                (loss + penalty).backward()
                optimiser.step()
                if not settings.plateau:
                    schedule.step()
                average.update_parameters(mapping)
                train_loss += float(loss.detach()) * len(hits) / len(objective.hits)
            validation_loss = objective.validate(average.module) if len(split.validation) else train_loss
            if settings.plateau:
                schedule.step(validation_loss)
            check_finite(preset.name, train_loss + validation_loss)
            judged = judged_loss(validation_loss, train_loss, split, settings)
            if judged < least:
                least, best = judged, copy.deepcopy(average.module)
            left = (time.perf_counter() - began) / number * (epochs - number)
            history.append(Epoch(number, epochs, train_loss, validation_loss, left))
            if progress:
                progress(history[-1])
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    mapping = best.eval().requires_grad_(False)
    return Trained(mapping, split, history, time.perf_counter() - began, interrupted, settings)


class Objective:
    """How far a preset, modulated by a mapping, is from following a take (section 3.3, with a penalty beside)."""

    def __init__(self, take: Take, preset: "Preset", split: Split, settings: Settings):
        self.settings = settings
        self.weights = spread_weights(take.intended) if settings.balanced else None
        self.take, self.hits = with_expected(take, split.train) if settings.expected else (take, split.train)
        gated = settings.features == "gated"
        features = TimbreFeatures.for_training(take.hits.sample_rate, gated, settings.thinned)
        self.player = SynthPlayer(preset, self.take, features, settings.fresh_noise, settings.seed)
        self.clipping = GradientClipping(settings.gradient_clip)
        validation = torch.from_numpy(split.validation)
        self.validation = validation[take.lengths[validation].argsort(stable=True)]

    def __call__(
        self, mapping: Mapping, inputs: Tensor, hits: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Of hits ``(batch,)``, heard as ``inputs`` ``(n, 3)`` say: the feature difference loss and the L2 penalty."""
        parameters, penalty = mapping.parameters_and_penalty(inputs[hits])
        noise = torch.Generator().manual_seed(draw_seed(generator))
        played = self.player.differences(clipped(parameters, self.clipping), hits, noise)
        loss = feature_difference_loss(played, self.take.intended[hits], self.weights)
        return loss, self.settings.l2_penalty * penalty

    @torch.no_grad()
    def validate(self, mapping: Mapping) -> float:
        """Mean loss of the validation hits, augmented and rendered with the same draws every time."""
        seed, batches = self.settings.seed, self.validation.split(self.settings.batch_size)
        inputs = self.draw_inputs(torch.Generator().manual_seed(seed))
        generator = torch.Generator().manual_seed(seed + 1)
        total = sum(float(self(mapping, inputs, hits, generator)[0]) * len(hits) for hits in batches)
        return total / len(self.validation)

    def draw_inputs(self, generator: torch.Generator) -> Tensor:
        """``(n, 3)`` inputs of an epoch, augmented."""
        return draw_inputs(self.take, self.settings, generator)[0]


class GradientClipping:
    """Clips the gradients of hits whose features leap, to at most ``limit`` times the typical length.

    Typical is the median over the latest batches of their medians, for each model; the first batch is measured by
    itself. Near the end of a parameter's range gradients were seen forty times as long, one hit's or a whole batch's,
    and a few steps along them threw over what the mapping had learned.
    """

    BATCHES = 22  # two epochs of a minute with two hundred hits

    def __init__(self, limit: float, models: int = 1, device: torch.device | None = None):
        """``limit``: in typical lengths; 0: none."""
        self.limit = limit
        # The latest last; NaN where there is none yet.
        self.medians = torch.full((self.BATCHES, models), math.nan, device=device)

    def clip(self, gradients: Tensor) -> Tensor:
        """Gradients by what is played, ``(models, batch, parameters)``, of the mean loss over the batch."""
        if not self.limit:
            return gradients
        # As of each hit's own loss: batches differ in size.
        lengths = gradients.norm(dim=-1) * gradients.shape[1]
        medians = lengths.median(1).values
        typical = self.medians.nanmedian(0).values
        typical = torch.where(typical.isnan(), medians, typical)
        self.medians.copy_(torch.cat([self.medians[1:], medians[None]]))
        longest = (self.limit * typical).masked_fill(~(typical > 0), math.inf)[:, None]
        shares = (longest / lengths.clamp_min(torch.finfo(gradients.dtype).tiny)).clamp_max(1)
        return gradients * shares[..., None]


def clipped(parameters: Tensor, clipping: GradientClipping) -> Tensor:
    """``(batch, …)`` parameters whose gradient is clipped hit by hit; not that of the penalty on them."""
    parameters = parameters.clone()
    if parameters.requires_grad:
        parameters.register_hook(lambda each: clipping.clip(each.flatten(1)[None])[0].view_as(each))
    return parameters


def make_mapping(take: Take, preset: "Preset", settings: Settings) -> Mapping:
    """A fresh mapping of the settings' size for the preset's synthesiser."""
    return Mapping(
        build_network(settings.model, settings.seed, len(preset.parameters)),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        take.inputs[take.reference] if settings.centred else None,
    )


def epochs_for(hits: int, batch_size: int) -> int:
    """As many as make ``STEPS``, within limits."""
    return min(max(math.ceil(STEPS / math.ceil(hits / batch_size)), FEWEST_EPOCHS), MOST_EPOCHS)


def _schedule(
    optimiser: torch.optim.Optimizer, steps: int, settings: Settings
) -> torch.optim.lr_scheduler.LRScheduler:
    """The published plateau, or one cycle over all steps (Smith and Topin, 2018)."""
    if settings.plateau:
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=PLATEAU_EPOCHS)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        settings.learning_rate,
        total_steps=max(steps, FEWEST_STEPS) + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )


def shuffled_batches(
    hits: np.ndarray, take: Take, settings: Settings, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Each hit once, ``(batch,)`` indices each, the last one shorter.

    A batch is rendered as far as its longest hit rings, so with features that look no further the hits of a batch ring
    about as long: four batches at a time are sorted by length, and then all are put in a random order.
    """
    hits = torch.from_numpy(hits)[torch.randperm(len(hits), generator=generator)]
    size = settings.batch_size
    if settings.features == "gated":
        hits = torch.cat([part[take.lengths[part].argsort(stable=True)] for part in hits.split(4 * size)])
        full = len(hits) // size
        order = torch.randperm(full, generator=generator)
        hits = torch.cat([hits[: full * size].view(full, size)[order].flatten(), hits[full * size :]])
    return hits.split(size)


def judged_loss(
    validation: Tensor | float, train: Tensor | float, split: Split, settings: Settings
) -> Tensor | float:
    """What the best epoch is chosen by: validation counts as much as its number of hits is worth.

    Of some twenty held-out hits the loss scatters by a tenth; alone it would often choose an early epoch by luck.
    The published recipe goes by it alone.
    """
    if settings.plateau:
        return validation
    share = min(0.5, 3 * len(split.validation) / (len(split.validation) + len(split.train)))
    return share * validation + (1 - share) * train


def check_finite(preset: str, loss: float) -> None:
    """Raises TrainingError where a loss is not a number."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"Training with the preset {preset} gave a loss that is not a number. Try another preset."
        )
