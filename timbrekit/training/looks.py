"""Train a mapping over looks: what is heard of a hit so far, to what its sound is corrected to while it rings.

1. An estimator is fitted to the hits in closed form (``timbrekit.estimate``): from a look to how the hit will sound.
   Each hit is also estimated by regressions that do not know it, which is how good estimates of other playing are.
2. A network learns to make the synthesiser sound as it is asked to (its inverse). It is asked for what the take's
   hits sound like, for less, and for mixtures, so that it has far more to learn from than the take has hits.
3. Both are trained together through the updates, on what is really played of each hit, from the estimates of 1. by
   regressions that do not know it. Only here are the aims learned (``timbrekit.mapping_looks.Aims``), and the network
   is given their context: how to correct a sound is another question than how to make it.

Every frame of the sustain counts. Of thinned features updates would learn to play to the frames that are looked at.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from timbrekit.errors import TrainingError
from timbrekit.estimate import Estimator, fit_estimator
from timbrekit.features import TIMBRE_FEATURES, TimbreFeatures
from timbrekit.features.mel_looks import FEATURES, LOOKS, hear_looks, look_starts, looks_heard
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import Mapping
from timbrekit.mapping_looks import Aims, LooksMapping, build_looks_network, with_context
from timbrekit.recording.hits import pre_roll
from timbrekit.training.checkpoint import fingerprint_of, goes_on, load_checkpoint, save_checkpoint
from timbrekit.training.inverse import NOISE, InverseWarmStart, draw_asked
from timbrekit.training.objective import SynthPlayer, draw_together
from timbrekit.training.settings import Settings
from timbrekit.training.split import split_hits
from timbrekit.training.take import Take
from timbrekit.training.train import (
    FEWEST_STEPS,
    Epoch,
    GradientClipping,
    Trained,
    check_finite,
    clipped,
    epochs_for,
    shuffled_batches,
)

if TYPE_CHECKING:
    from timbrekit.presets import Preset

SHIFTS = tuple(range(-32, 33, 8))  # samples by which hits are also heard earlier and later
LEAST_HITS = 8  # to train on: the folds of the estimator
MOST_HITS = 400  # that the estimator remembers, evenly over the take
AIMS_RATE, NETWORK_RATE = 3e-2, 1e-3  # highest learning rates, through the updates
AIMS_PENALTY = 0.02


@dataclass(frozen=True)
class Heard:
    """What is heard of the hits of a take."""

    features: Tensor  # (shifts, n, D) dB, those in the middle as they are detected
    looks: Tensor  # (n,) how many looks there are before the next hit, from 1

    @property
    def as_detected(self) -> Tensor:
        """``(n, D)``."""
        return self.features[len(self.features) // 2]


def hear_take(take: Take) -> Heard:
    """All looks at all hits."""
    hits, rate = take.hits, take.hits.sample_rate
    segments, at = torch.from_numpy(hits.segments), torch.full((len(take),), pre_roll(rate))
    features = torch.stack([hear_looks(segments, at, rate, shift) for shift in SHIFTS])
    return Heard(features, torch.from_numpy(looks_heard(hits.detections, rate)))


class UpdatesPlayer(SynthPlayer):
    """A preset of the synthesiser that is updated while it rings, measured hit by hit against a take."""

    def differences(self, parameters: Tensor, indices: Tensor, generator: torch.Generator) -> Tensor:
        """As ``SynthPlayer.differences``, by the voice that can be updated and is not."""
        return self.differences_updated(parameters[:, None], indices, generator)

    def differences_updated(self, parameters: Tensor, indices: Tensor, generator: torch.Generator) -> Tensor:
        """How the synthesiser, updated while it rings, differs from its preset.

        Args:
            parameters: ``(batch, sets, parameters)`` normalised, for the first looks or all.
            indices: ``(batch,)`` hits of the take that they are played for.
            generator: source of noise and phases.

        Returns:
            ``(batch, 7)``, differentiable.
        """
        samples = self.samples_for(indices)
        draws = tuple(each[0] for each in draw_together([self], len(indices), samples, [generator]))
        starts = look_starts(self.sample_rate)[: parameters.shape[1]]
        sounds = self.synth.render_updates(self.sample_rate, samples, parameters, starts, draws) * self.gain
        heard = self.features.summarize(self.features.analyze(sounds, samples), self.lengths[indices])
        return heard - self.unmodulated[indices]


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
        progress: called after each epoch. If it raises KeyboardInterrupt, training ends and what there is is kept.
        checkpoint, say: as in ``timbrekit.training.fast.train.train``.

    Returns:
        As ``timbrekit.training.train.train``; its history is that of the second round, through the updates.

    Raises:
        TrainingError: too few hits, a synthesiser that cannot be updated, or the loss is not a number.
    """
    settings, began = settings or Settings(), time.perf_counter()
    split = split_hits(take, settings.split, settings.seed)
    hits = torch.from_numpy(split.train)
    if len(hits) < LEAST_HITS:
        raise TrainingError(
            f"{len(hits)} hits to learn from are too few for an instrument that follows closer (page, Max and Pd "
            f"only): it needs {LEAST_HITS}, and 60 or more make a good one. Play more hits, or train an instrument "
            "that hears each hit once."
        )
    if not hasattr(preset.instrument(), "render_updates"):
        raise TrainingError(
            f"The synthesiser {preset.synth} cannot change its sound while it rings, as an instrument that follows "
            "closer must. Choose a preset of the 808 or of a drum, or train an instrument that hears each hit once."
        )
    heard, weights = hear_take(take), spread_weights(take.intended)
    estimator, estimates = estimate_apart(take, heard, weights, hits)
    player = UpdatesPlayer(preset, take, TimbreFeatures(take.hits.sample_rate), True, settings.seed)
    wanted = len(TIMBRE_FEATURES)
    mapping = Mapping(
        build_looks_network(wanted, len(preset.parameters), settings.seed),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        torch.zeros(wanted),
    )
    model = LooksMapping(estimator, Aims(len(LOOKS), wanted), mapping)
    generator = torch.Generator().manual_seed(settings.seed)
    fingerprint = fingerprint_of(take, preset, settings)
    resumed = load_checkpoint(checkpoint, fingerprint)
    if settings.warm_start and not resumed:
        InverseWarmStart(mapping, take, player.differences, split.train, settings, settings.seed).run()

    epochs = settings.epochs or epochs_for(len(hits), settings.batch_size)
    history: list[Epoch] = []
    clipping = GradientClipping(settings.gradient_clip)
    if resumed:
        history = [Epoch(*told) for told in resumed["history"]]
        clipping.medians = resumed["medians"]
        generator.set_state(resumed["generator"])
        goes_on(say, len(history), 2 * epochs)

    def inverse_loss(some: Tensor) -> Tensor:
        asked = draw_asked(take.intended * weights, hits, some, generator)
        parameters, penalty = mapping.parameters_and_penalty(asked)
        played = player.differences(clipped(parameters, clipping), some, generator)
        return feature_difference_loss(played * weights, asked), settings.l2_penalty * penalty

    def updates_loss(some: Tensor) -> Tensor:
        shifts = torch.randint(len(SHIFTS), (len(some),), generator=generator)
        known = estimates[shifts, some]
        known = known + NOISE * torch.randn(known.shape, generator=generator)
        parameters, penalty = model.parameters_and_penalty(known)
        parameters = hold_last(parameters, heard.looks[some])
        played = player.differences_updated(clipped(parameters, clipping), some, generator)
        loss = feature_difference_loss(played, take.intended[some], weights)
        return loss, settings.l2_penalty * penalty + AIMS_PENALTY * model.aims.penalty()

    def inverse_groups() -> list[dict]:
        return [{"params": mapping.parameters(), "lr": settings.learning_rate}]

    def updates_groups() -> list[dict]:
        model.mapping = with_context(mapping, settings.seed)
        return [
            {"params": model.mapping.parameters(), "lr": NETWORK_RATE},
            {"params": model.aims.parameters(), "lr": AIMS_RATE},
        ]

    interrupted, first = False, len(history)
    rounds = (inverse_loss, inverse_groups), (updates_loss, updates_groups)
    try:
        for loss_of, groups in rounds[int(first > epochs) :]:
            for loss, state in _train_round(
                model, loss_of, groups(), epochs, split.train, take, settings, generator, resumed
            ):
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


def _train_round(
    model: LooksMapping,
    loss_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    groups: list[dict],
    epochs: int,
    hits: np.ndarray,
    take: Take,
    settings: Settings,
    generator: torch.Generator,
    resumed: dict[str, Any] | None,
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each epoch's mean loss, and the state from which the round can be resumed after it.

    At the end, also where it is interrupted, the model has the average of its weights.
    """
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
            for some in shuffled_batches(hits, take, settings, generator):
                loss, penalty = loss_of(some)
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


def estimate_apart(take: Take, heard: Heard, weights: Tensor, hits: Tensor) -> tuple[Estimator, Tensor]:
    """An estimator fitted to some hits, and ``(shifts, n, looks, 7)`` estimates of all by what does not know them."""
    groups = torch.from_numpy(take.hits.near_copies)
    known = hits
    if len(hits) > MOST_HITS:
        known = hits[torch.linspace(0, len(hits) - 1, MOST_HITS).round().long()]
    estimator, apart, _ = fit_estimator(
        heard.features[:, known], take.intended[known] * weights, groups[known], FEATURES
    )
    with torch.no_grad():
        estimates = torch.stack([estimator(features) for features in heard.features])
    estimates[:, known] = apart
    return estimator, estimates


def hold_last(parameters: Tensor, looks: Tensor) -> Tensor:
    """``(batch, looks, parameters)``: after the last of each hit's looks ``(batch,)``, that one's parameters stay."""
    index = torch.minimum(torch.arange(parameters.shape[1]), looks[:, None] - 1)
    return parameters.gather(1, index[..., None].expand_as(parameters))
