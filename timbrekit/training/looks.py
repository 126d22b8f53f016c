"""Train a mapping over looks: what is heard of a hit so far, to what its sound is corrected to while it rings.

1. An estimator is fitted to the hits in closed form (``timbrekit.estimate``): from a look to how the hit will sound.
   Each hit is also estimated by regressions that do not know it, which is how good estimates of other playing are.
2. A network learns to make the synthesiser sound as it is asked to (its inverse). It is asked for what the take's
   hits sound like, for less, and for mixtures, so that it has far more to learn from than the take has hits.
3. Both are trained together through the updates, on what is really played of each hit, from the estimates of 1. by
   regressions that do not know it. Only here are the aims learned (``timbrekit.mapping_looks.Aims``), and the network
   is given their context: how to correct a sound is another question than how to make it.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from timbrekit.errors import TrainingError
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.features.mel_looks import LOOKS
from timbrekit.mapping import Mapping
from timbrekit.mapping_looks import Aims, LooksMapping, build_looks_network, with_context
from timbrekit.training.checkpoint import fingerprint_of, goes_on, load_checkpoint, save_checkpoint
from timbrekit.training.inverse import InverseWarmStart
from timbrekit.training.looks_objective import LooksObjective
from timbrekit.training.settings import Settings
from timbrekit.training.split import split_hits
from timbrekit.training.take import Take
from timbrekit.training.train import (
    FEWEST_STEPS,
    Epoch,
    Trained,
    check_finite,
    epochs_for,
    shuffled_batches,
)

if TYPE_CHECKING:
    from timbrekit.presets import Preset

LEAST_HITS = 8  # to train on: the folds of the estimator
AIMS_RATE, NETWORK_RATE = 3e-2, 1e-3  # highest learning rates, through the updates


def train_looks(
    take: Take,
    preset: "Preset",
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
    checkpoint: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Trained:
    """Train a mapping over looks. On the CPU, in one process.

    Args:
        take: the recording's hits, measured.
        preset: the sound to modulate.
        settings: of which seed, split, batch size, penalty, clipping, averaging and epochs (of each of the two rounds
            of training) count.
        progress: called after each epoch. If it raises KeyboardInterrupt, training ends and keeps the EMA of the
            weights, which no epoch is chosen by; before the second round it is passed on.
        checkpoint, say: as in ``timbrekit.training.fast.train.train``.

    Returns:
        As ``timbrekit.training.train.train``; its history is that of the second round, through the updates.

    Raises:
        TrainingError: too few hits, a synthesiser that cannot be updated, or the loss is not a number.
    """
    settings, began = settings or Settings(), time.perf_counter()
    split = split_hits(take, settings.split, settings.seed)
    hits = len(split.train)
    if hits < LEAST_HITS:
        raise TrainingError(
            f"{hits} hits to learn from are too few for an instrument that follows closer (page, Max and Pd "
            f"only): it needs {LEAST_HITS}, and 60 or more make a good one. Play more hits, or train an instrument "
            "that hears each hit once."
        )
    if not hasattr(preset.instrument(), "render_updates"):
        raise TrainingError(
            f"The synthesiser {preset.synth} cannot change its sound while it rings, as an instrument that follows "
            "closer must. Choose a preset of the 808 or of a drum, or train an instrument that hears each hit once."
        )
    objective = LooksObjective(take, preset, split.train, settings)
    wanted = len(TIMBRE_FEATURES)
    mapping = Mapping(
        build_looks_network(wanted, len(preset.parameters), settings.seed),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        torch.zeros(wanted),
    )
    model = LooksMapping(objective.estimator, Aims(len(LOOKS), wanted), mapping)
    generator = torch.Generator().manual_seed(settings.seed)
    fingerprint = fingerprint_of(take, preset, settings)
    resumed = load_checkpoint(checkpoint, fingerprint)
    if settings.warm_start and not resumed:
        InverseWarmStart(mapping, take, objective.player.differences, split.train, settings).run()

    epochs, clipping = settings.epochs or epochs_for(hits, settings.batch_size), objective.clipping
    history: list[Epoch] = []
    if resumed:
        history = [Epoch(*told) for told in resumed["history"]]
        clipping.medians = resumed["medians"]
        generator.set_state(resumed["generator"])
        goes_on(say, len(history), 2 * epochs)
    interrupted, first = False, len(history)
    rounds = (objective.inverse, _inverse_groups), (objective.through_updates, _updates_groups)
    try:
        for loss_of, groups_of in rounds[int(first > epochs) :]:
            groups = groups_of(model, settings)
            for loss, state in _train_round(model, objective, loss_of, groups, epochs, generator, resumed):
                check_finite(preset.name, loss)
                number, of = len(history) + 1, 2 * epochs
                left = (time.perf_counter() - began) / (number - first) * (of - number)
                history.append(Epoch(number, of, loss, loss, left))
                if checkpoint:
                    state |= {"history": [astuple(told) for told in history], "medians": clipping.medians}
                    state |= {"generator": generator.get_state()}
                    save_checkpoint(checkpoint, fingerprint, state)
                if progress:
                    progress(history[-1])
            resumed = None  # it was of that round
    except KeyboardInterrupt:
        if len(history) <= epochs:  # it has not learned to correct anything yet
            raise
        interrupted = True
    model = model.eval().requires_grad_(False)
    return Trained(model, split, history[epochs:], time.perf_counter() - began, interrupted, settings)


def _inverse_groups(model: LooksMapping, settings: Settings) -> list[dict]:
    """What the optimiser of the first round moves, and how fast."""
    return [{"params": model.mapping.parameters(), "lr": settings.learning_rate}]


def _updates_groups(model: LooksMapping, settings: Settings) -> list[dict]:
    """The same of the second round, for which the network is given its context."""
    model.mapping = with_context(model.mapping, settings.seed)
    return [
        {"params": model.mapping.parameters(), "lr": NETWORK_RATE},
        {"params": model.aims.parameters(), "lr": AIMS_RATE},
    ]


def _train_round(
    model: LooksMapping,
    objective: LooksObjective,
    loss_of: Callable[[LooksMapping, Tensor, torch.Generator], tuple[Tensor, Tensor]],
    groups: list[dict],
    epochs: int,
    generator: torch.Generator,
    resumed: dict[str, Any] | None,
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each epoch's mean loss, and the state from which the round can be resumed after it.

    At the end, also where it is interrupted, the model has the average of its weights.
    """
    settings, hits = objective.settings, objective.hits
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    optimiser = torch.optim.Adam(groups)
    batches = math.ceil(len(hits) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [group["lr"] for group in groups],
        total_steps=max(epochs * batches, FEWEST_STEPS) + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    for name, part in parts.items() if resumed else ():
        part.load_state_dict(resumed[name])
    try:
        for _ in range(schedule.last_epoch // batches, epochs):
            total = 0.0
            for some in shuffled_batches(hits, objective.take, settings, generator):
                loss, penalty = loss_of(model, some, generator)
                optimiser.zero_grad()
                (loss + penalty).backward()
                optimiser.step()
                schedule.step()
                average.update_parameters(model)
                total += float(loss.detach()) * len(some) / len(hits)
            yield total, {name: part.state_dict() for name, part in parts.items()}
    finally:
        with torch.no_grad():
            for values, kept in zip(model.parameters(), average.module.parameters(), strict=True):
                values.copy_(kept)
