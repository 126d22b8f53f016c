"""What training of a mapping over looks works on: what is heard of a take, what is played for it, and both losses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from timbrekit.estimate import Estimator, fit_estimator
from timbrekit.features import MOST_SHIFT, TimbreFeatures
from timbrekit.features.mel_looks import FEATURES, hear_looks, look_starts, looks_heard
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping_looks import LooksMapping
from timbrekit.recording.hits import pre_roll
from timbrekit.training.inverse import NOISE, draw_asked
from timbrekit.training.objective import SynthPlayer, draw_together
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.train import GradientClipping, clipped

if TYPE_CHECKING:
    from timbrekit.presets import Preset

# Samples by which hits are also heard earlier and later.
SHIFTS = tuple(range(-MOST_SHIFT, MOST_SHIFT + 1, 8))
MOST_HITS = 400  # that the estimator remembers, evenly over the take
AIMS_PENALTY = 0.02  # weight of the aims' squared weights


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


class LooksObjective:
    """How far a preset, played by a mapping over looks, is from what it is asked for.

    Every frame of the sustain counts. Of thinned features updates would learn to play to the frames that are looked at.

    Attributes:
        estimator: fitted to the hits.
        hits: ``(m,)`` indices of those that are trained on.
    """

    def __init__(self, take: Take, preset: "Preset", hits: np.ndarray, settings: Settings):
        self.take, self.hits, self.settings = take, hits, settings
        self.weights = spread_weights(take.intended)
        heard = hear_take(take)
        self.looks = heard.looks
        self.estimator, self.estimates = estimate_apart(take, heard, self.weights, torch.from_numpy(hits))
        features = TimbreFeatures(take.hits.sample_rate)
        self.player = UpdatesPlayer(preset, take, features, True, settings.seed)
        self.clipping = GradientClipping(settings.gradient_clip)

    def inverse(self, model: LooksMapping, some: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Loss and penalty of the network alone: the synthesiser, not updated, is to sound as it is asked to."""
        asked = draw_asked(self.take.intended * self.weights, torch.from_numpy(self.hits), some, generator)
        parameters, penalty = model.mapping.parameters_and_penalty(asked)
        played = self.player.differences(clipped(parameters, self.clipping), some, generator)
        return feature_difference_loss(played * self.weights, asked), self.settings.l2_penalty * penalty

    def through_updates(
        self, model: LooksMapping, some: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Loss and penalties of what is really played, by estimates that do not know the hit."""
        shifts = torch.randint(len(SHIFTS), (len(some),), generator=generator)
        known = self.estimates[shifts, some]
        known = known + NOISE * torch.randn(known.shape, generator=generator)
        parameters, penalty = model.parameters_and_penalty(known)
        parameters = clipped(hold_last(parameters, self.looks[some]), self.clipping)
        played = self.player.differences_updated(parameters, some, generator)
        loss = feature_difference_loss(played, self.take.intended[some], self.weights)
        return loss, self.settings.l2_penalty * penalty + AIMS_PENALTY * model.aims.penalty()


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
