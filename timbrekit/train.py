"""Train a mapping on one take, so that the synthesiser follows the player's changes."""

import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from timbrekit.checkpoint import fingerprint_of, load_checkpoint, save_checkpoint
from timbrekit.errors import TrainingError
from timbrekit.features import HOP, THIN_HOP, TimbreFeatures
from timbrekit.hits import Hits, onset_windows
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import Mapping, build_network
from timbrekit.parameters import PARAMETER_KEYS, PUBLISHED_DAMPING
from timbrekit.presets import Preset
from timbrekit.settings import Settings
from timbrekit.sketch import sketch_mapping
from timbrekit.split import Split, split_hits
from timbrekit.take import Take, draw_inputs, make_take
from timbrekit.voice import Voice

STEPS = 300  # of the optimiser that the default number of epochs adds up to
FEWEST_EPOCHS, MOST_EPOCHS = 20, 60
FEWEST_STEPS = 20  # of the learning rate's cosine, whose rise takes a tenth of them
PLATEAU_EPOCHS = 20  # without improvement, after which the published recipe halves the learning rate
PUBLISHED_LEAD = 20  # samples by which the published code's window starts before the plug-in's


@dataclass(frozen=True)
class Epoch:
    """What the progress callback is told after each epoch."""

    number: int  # 1 …
    of: int
    train_loss: float
    validation_loss: float
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """The best mapping of a training run, and how it came about."""

    mapping: Mapping
    split: Split
    history: list[Epoch]
    seconds: float
    interrupted: bool
    settings: Settings = field(repr=False)


def published_windows(hits: Hits, samples: np.ndarray) -> Take:
    """The take as the published code trains on it: earlier onset windows, features that count silence."""
    starts = np.maximum(hits.triggers - PUBLISHED_LEAD, hits.windows.shape[1] - 1)
    features = TimbreFeatures(hits.sample_rate, gated=False)
    return make_take(hits, features, onset_windows(samples, starts))


def train(
    take: Take,
    preset: Preset,
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
    checkpoint: str | Path | None = None,
) -> Trained:
    """Train a mapping from what the plug-in hears of each hit to modulations of ``preset``.

    Ctrl-C (KeyboardInterrupt), or a callback that raises it, ends training early and keeps the best epoch so far;
    before the first epoch has ended it is passed on.

    Args:
        take: the recording's hits, measured.
        preset: the sound to modulate.
        settings: how.
        progress: called after each epoch.
        checkpoint: file that the run's state is kept in after each epoch. Where it holds the state of this very run,
            training goes on from there, to the same result as if it had never stopped. Removed when training ends.

    Raises:
        TrainingError: the loss is not a number (a preset or recording that the features cannot measure).
        OutputError: the checkpoint cannot be written.
    """
    settings = settings or Settings()
    device = torch.device(settings.device)
    split = split_hits(take.timbre[:, 0], take.reference, settings.seed)
    epochs = settings.epochs or _epochs_for(len(split.train), settings.batch_size)
    published = settings.recipe == "published"
    features = TimbreFeatures(take.hits.sample_rate, gated=not published, hop=HOP if published else THIN_HOP)
    if published:
        preset = replace(preset, damping={key: PUBLISHED_DAMPING.get(key, 1.0) for key in PARAMETER_KEYS})
    voice = Voice(preset, take, features, settings.fresh_noise, settings.seed, device)
    intended = take.intended.to(device)
    weights = spread_weights(intended) if settings.balanced else None
    mapping = Mapping(
        build_network(settings.model, settings.seed),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        take.inputs[take.reference] if settings.centred else None,
    ).to(device)
    generator = torch.Generator().manual_seed(settings.seed)
    began = time.perf_counter()
    fingerprint = fingerprint_of(take, preset, settings)
    resumed = load_checkpoint(checkpoint, fingerprint) if checkpoint else None
    if settings.sketch and not resumed:
        sketch_mapping(
            mapping, take, voice, split.train, settings.growing_share, settings.restraint, settings.seed
        )
    optimizer = torch.optim.Adam(mapping.parameters(), settings.learning_rate)
    schedule = _schedule(optimizer, settings, epochs, len(split.train))
    averaged = AveragedModel(mapping, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
    judged_mapping = averaged.module if settings.averaging else mapping
    stateful = {"mapping": mapping, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}

    def loss_of(judged: Mapping, indices: np.ndarray, inputs: Tensor, source: torch.Generator) -> Tensor:
        index = torch.from_numpy(indices).to(device)
        played = voice.differences(judged.parameters_for(inputs.to(device)), index, source)
        return feature_difference_loss(played, intended[index], weights)

    def restraint_of(inputs: Tensor) -> Tensor:
        return settings.restraint * mapping.restraint(inputs.to(device))

    validation_inputs = [take.inputs]
    if settings.growing_share:
        validation_inputs.append(draw_inputs(take, 1.0, torch.Generator().manual_seed(settings.seed)))

    def validation_loss(judged: Mapping) -> float:
        chosen = split.validation if len(split.validation) else split.train
        source = torch.Generator().manual_seed(settings.seed + 1)  # the same noises every time
        with torch.no_grad():
            losses = [
                float(loss_of(judged, part, inputs[part], source)) * len(part)
                for inputs in validation_inputs
                for part in _batches(chosen, settings.batch_size)
            ]
        return sum(losses) / (len(chosen) * len(validation_inputs))

    history: list[Epoch] = []
    best_loss, best_state, interrupted = math.inf, None, False
    if resumed:
        for name, part in stateful.items():
            part.load_state_dict(resumed[name])
        generator.set_state(resumed["generator"])
        best_loss, best_state = resumed["best_loss"], resumed["best_state"]
        history = [Epoch(*epoch) for epoch in resumed["history"]]
    try:
        for number in range(len(history) + 1, epochs + 1):
            inputs = draw_inputs(take, settings.growing_share, generator)
            shuffled = split.train[torch.randperm(len(split.train), generator=generator).numpy()]
            total = 0.0
            for part in _batches(shuffled, settings.batch_size):
                loss = loss_of(mapping, part, inputs[part], generator)
                optimizer.zero_grad()
                (loss + restraint_of(inputs[part])).backward()
                optimizer.step()
                if not published:
                    schedule.step()
                averaged.update_parameters(mapping)
                total += float(loss.detach()) * len(part)
            train_loss, checked = total / len(split.train), validation_loss(judged_mapping)
            if not math.isfinite(checked + train_loss):
                raise TrainingError(
                    f"Training with the preset {preset.name} gave a loss that is not a number. Try another preset."
                )
            if published:
                schedule.step(checked)
            judged = checked if published else _judged(checked, train_loss, split)
            if judged < best_loss:
                best_loss = judged
                best_state = {key: value.clone() for key, value in judged_mapping.state_dict().items()}
            spent = (time.perf_counter() - began) / (number - len(resumed["history"]) if resumed else number)
            history.append(Epoch(number, epochs, train_loss, checked, spent * (epochs - number)))
            if checkpoint:
                state = {name: part.state_dict() for name, part in stateful.items()}
                state |= {
                    "generator": generator.get_state(),
                    "best_loss": best_loss,
                    "best_state": best_state,
                }
                save_checkpoint(
                    checkpoint, fingerprint, state | {"history": [astuple(epoch) for epoch in history]}
                )
            if progress:
                progress(history[-1])
    except KeyboardInterrupt:
        if best_state is None:
            raise
        interrupted = True
    if checkpoint:
        Path(checkpoint).unlink(missing_ok=True)
    mapping.load_state_dict(best_state)
    if published:
        mapping.centre.zero_()  # the published export forgets the centring that it trained with
    mapping = mapping.cpu().eval().requires_grad_(False)
    return Trained(mapping, split, history, time.perf_counter() - began, interrupted, settings)


def _epochs_for(hits: int, batch_size: int) -> int:
    return min(max(math.ceil(STEPS / math.ceil(hits / batch_size)), FEWEST_EPOCHS), MOST_EPOCHS)


def _judged(validation_loss: float, train_loss: float, split: Split) -> float:
    """What the best epoch is chosen by: validation counts as much as its number of hits is worth.

    Of some twenty held-out hits the loss scatters by a tenth; alone it would often choose an early epoch by luck.
    """
    share = len(split.validation) / (len(split.validation) + len(split.train))
    share = min(0.5, 3 * share)
    return share * validation_loss + (1 - share) * train_loss


def _schedule(
    optimizer: torch.optim.Optimizer, settings: Settings, epochs: int, hits: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate: on a plateau of the validation loss as published, or on one cosine over all steps."""
    if settings.recipe == "published":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=PLATEAU_EPOCHS)
    steps = epochs * math.ceil(hits / settings.batch_size)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=max(steps, FEWEST_STEPS) + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )


def _batches(indices: np.ndarray, size: int) -> list[np.ndarray]:
    return [indices[i : i + size] for i in range(0, len(indices), size)]
