"""Train a mapping on one take: the loop as one reads it (Shier et al., NIME 2024, sections 3 and 4).

``timbrekit.training.fast`` trains the same in a fraction of the time, and several models at once.
"""

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
    """The best mapping of a training run, and how it came about."""

    mapping: Mapping
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
        progress: called after each epoch. If it raises KeyboardInterrupt, training ends and the best epoch is kept.

    Raises:
        TrainingError: the loss is not a number (a preset or recording that the features cannot measure).
    """
    settings = settings or Settings()
    began, generator = time.perf_counter(), torch.Generator().manual_seed(settings.seed)
    split = split_hits(take, settings.split, settings.seed)
    features = TimbreFeatures.for_training(
        take.hits.sample_rate, settings.features == "gated", settings.thinned
    )
    weights = spread_weights(take.intended) if settings.balanced else None
    take, trained_on = with_expected(take, split.train) if settings.expected else (take, split.train)
    player = SynthPlayer(preset, take, features, settings.fresh_noise, settings.seed)
    mapping = make_mapping(take, preset, settings)
    if settings.warm_start:
        from timbrekit.training.warm_start import WarmStart

        WarmStart(mapping, take, player.differences, trained_on, settings, settings.seed, weights).run()

    def loss_of(
        model: torch.nn.Module, inputs: Tensor, hits: Tensor, source: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Of hits ``(batch,)`` heard as ``inputs`` ``(batch, 3)``: the feature difference loss and the penalty."""
        parameters, penalty = model(inputs)
        parameters = parameters.clone()  # so that the gradient of the penalty is not clipped
        if parameters.requires_grad:
            parameters.register_hook(lambda gradient: clipping.clip(gradient[None])[0])
        played = player.differences(parameters, hits, torch.Generator().manual_seed(draw_seed(source)))
        return feature_difference_loss(played, take.intended[hits], weights), settings.l2_penalty * penalty

    model = _Played(mapping)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    clipping = GradientClipping(settings.gradient_clip)
    epochs = settings.epochs or epochs_for(len(trained_on), settings.batch_size)
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = _schedule(optimiser, epochs * math.ceil(len(trained_on) / settings.batch_size), settings)
    checked = torch.from_numpy(split.validation)[take.lengths[split.validation].argsort(stable=True)]
    checked_inputs = _draw(take, settings, torch.Generator().manual_seed(settings.seed))

    history, least, best, interrupted = [], math.inf, None, False
    try:
        for number in range(1, epochs + 1):
            inputs, train_loss = _draw(take, settings, generator), 0.0
            for hits in shuffled_batches(trained_on, take, settings, generator):
                loss, penalty = loss_of(model, inputs[hits], hits, generator)
                optimiser.zero_grad()
                (loss + penalty).backward()
                optimiser.step()
                if not settings.plateau:
                    schedule.step()
                average.update_parameters(model)
                train_loss += float(loss.detach()) * len(hits) / len(trained_on)
            source, validation_loss = torch.Generator().manual_seed(settings.seed + 1), 0.0
            with torch.no_grad():
                for hits in checked.split(settings.batch_size) if len(checked) else ():
                    loss, _ = loss_of(average, checked_inputs[hits], hits, source)
                    validation_loss += float(loss) * len(hits) / len(checked)
            if not len(checked):
                validation_loss = train_loss
            if settings.plateau:
                schedule.step(validation_loss)
            check_finite(preset.name, train_loss + validation_loss)
            judged = judged_loss(validation_loss, train_loss, split, settings)
            if judged < least:
                least, best = judged, [values.detach().clone() for values in average.parameters()]
            left = (time.perf_counter() - began) / number * (epochs - number)
            history.append(Epoch(number, epochs, train_loss, validation_loss, left))
            if progress:
                progress(history[-1])
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    with torch.no_grad():
        for values, kept in zip(mapping.parameters(), best, strict=True):
            values.copy_(kept)
    mapping = mapping.eval().requires_grad_(False)
    return Trained(mapping, split, history, time.perf_counter() - began, interrupted, settings)


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


class _Played(torch.nn.Module):
    """A mapping called for what it plays and the penalty on it."""

    def __init__(self, mapping: Mapping):
        super().__init__()
        self.mapping = mapping

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.mapping.parameters_and_penalty(inputs)


def _draw(take: Take, settings: Settings, generator: torch.Generator) -> Tensor:
    """``(n, 3)`` inputs of an epoch, augmented."""
    probabilities = settings.shift_probability, settings.growing_probability
    return draw_inputs(take, *probabilities, generator, jitter=settings.jitter)[0]


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
