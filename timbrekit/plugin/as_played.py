"""How well a model follows the player in the plug-in itself: measured on what rehearsal plays.

Played: the seven timbre features of each rehearsed hit, minus those of the unmodulated preset played at the same
place with the same noise. Intended: the recording's differences from its reference hit. Every model is measured by
this code; a model that never moves the preset has an error ratio of 1 in every feature.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from timbrekit.features import TIMBRE_FEATURES, TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.features.mel_looks import look_delays
from timbrekit.plugin.rehearse import Network, Rehearsal, rehearse
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.recording.onsets import TRIGGER_DELAY
from timbrekit.synth.base import Synth
from timbrekit.training.names import MEL, TORCHDRUM
from timbrekit.training.take import Take, gain_to_nominal, measure

FIRST_HITS = 8  # those that a plug-in just opened has hardly any ranges for
NEAR = 128  # samples that a trigger may come earlier or later; two are always more than 256 apart
LEAST = 1e-6  # added to errors, so that nothing is divided by 0
MINIMUM_FOR_RANKS = 3  # a rank correlation of fewer hits says nothing


@dataclass(frozen=True)
class Followed:
    """What was played against what was intended. Ratios are to the unmodulated preset's error: 0 follows exactly."""

    played: NDArray[np.float32]  # (n, 7) how each played hit differs from the preset
    intended: NDArray[np.float32]  # (n, 7) how each recorded hit differs from the reference hit

    @property
    def ratio_per_feature(self) -> NDArray[np.float32]:
        """``(7,)`` error ratios over all hits; 1 is no better than the preset left alone."""
        return error_ratio(self.played, self.intended)

    @property
    def error_ratio(self) -> float:
        """Mean of the seven features' ratios."""
        return float(self.ratio_per_feature.mean())

    @property
    def rank_correlation(self) -> NDArray[np.float64]:
        """``(7,)`` Spearman correlation of played with intended differences; 0 where one of them never moves."""
        return rank_correlations(self.played, self.intended)

    def figures(self) -> dict[str, Any]:
        """Plain values: error ratios and rank correlations."""
        return {
            "error_ratio": self.error_ratio,
            "error_ratio_per_feature": by_feature(self.ratio_per_feature),
            "rank_correlation": by_feature(self.rank_correlation),
        }


@dataclass(frozen=True)
class AsPlayed(Followed):
    """Errors of a rehearsed take, against the preset played at the same places."""

    rehearsal: Rehearsal
    static: NDArray[np.float32]  # (samples,) the unmodulated preset played at the same places
    hits: NDArray[np.int64]  # (n,) which of the take's hits were played
    triggers: NDArray[np.int64]  # (n,) where, in the rehearsal
    gain: float  # that brings the unmodulated preset to the nominal level

    def among(self, hits: ArrayLike) -> NDArray[np.int64]:
        """Rows of those of the take's hits ``(m,)`` that were played."""
        return np.flatnonzero(np.isin(self.hits, hits))

    @property
    def first_hits_error_ratio(self) -> float:
        """The first eight hits' errors, over what the unmodulated preset's would be in the take as a whole."""
        if not len(self.played):
            return 1.0
        scale = np.abs(self.intended).mean(0) + LEAST
        first = np.abs(self.played - self.intended)[:FIRST_HITS].mean(0) + LEAST
        return float((first / scale).mean())

    def summary(self) -> dict[str, Any]:
        """Plain values for report.json."""
        return {
            **self.figures(),
            "first_8_error_ratio": self.first_hits_error_ratio,
            "hits": len(self.played),
            "sample_rate": self.rehearsal.sample_rate,
        }


def measure_as_played(
    module: Network,
    samples: ArrayLike,
    take: Take,
    primer: ArrayLike | None = None,
    initial_ranges: ArrayLike | None = None,
    seed: int = 0,
    synth: Synth | None = None,
    static: NDArray[np.float32] | None = None,
    listener: str = TORCHDRUM,
) -> AsPlayed:
    """Rehearse a take and measure every hit.

    Args:
        samples: ``(samples,)`` the recording that ``take`` was made of, at the take's rate.
        take: its hits, found with the detector settings that it is played with.
        module, primer, initial_ranges, seed, synth: see ``timbrekit.plugin.rehearse.rehearse``.
        static: ``(samples,)`` the unmodulated preset, where an earlier measurement played it with the same settings,
            seed and primer.
        listener: that the model has.
    """
    rate = take.hits.sample_rate
    of_host = {"settings": take.hits.settings, "seed": seed, "primer": primer, "synth": synth}
    rehearsal = rehearse_as(listener, module, samples, rate, initial_ranges=initial_ranges, **of_host)
    if static is None:
        static = rehearse_as(listener, module, samples, rate, sensitivity=0.0, **of_host).audio
    return compare(take, rehearsal, static, look_delays(rate)[0] if listener == MEL else TRIGGER_DELAY)


def rehearse_as(
    listener: str,
    *played: Any,
    primer: ArrayLike | None = None,
    initial_ranges: ArrayLike | None = None,
    **options: Any,
) -> Rehearsal:
    """``rehearse`` or ``rehearse_looks``, by what the model hears with. A mel listener's ranges are those of training:
    no primer and no other ranges change what it plays."""
    if listener == MEL:
        return rehearse_looks(*played, **options)
    return rehearse(*played, primer=primer, initial_ranges=initial_ranges, **options)


def compare(take: Take, rehearsal: Rehearsal, static: NDArray[np.float32], delay: int) -> AsPlayed:
    """Measure every rehearsed hit of a take.

    Args:
        static: ``(samples,)`` the unmodulated preset, played at the same places with the same noise.
        delay: samples from a detection to its trigger.
    """
    rate = take.hits.sample_rate
    of_take, of_rehearsal = _in_both(take.hits.detections, rehearsal.triggers - delay)
    if not len(of_take):
        nothing = np.zeros((0, len(TIMBRE_FEATURES)), np.float32)
        return AsPlayed(nothing, nothing, rehearsal, static, of_take, of_take, 1.0)
    features = TimbreFeatures(rate)
    lengths, triggers = take.lengths[of_take], rehearsal.triggers[of_rehearsal]
    unmodulated = cut_hits(static, triggers, rate)
    gain = gain_to_nominal(float(measure(features, unmodulated, lengths)[:, 0].median()))
    played = measure(features, cut_hits(rehearsal.audio, triggers, rate) * gain, lengths)
    played = played - measure(features, unmodulated * gain, lengths)
    intended = take.intended[of_take].numpy()
    return AsPlayed(played.numpy(), intended, rehearsal, static, of_take, triggers, gain)


def by_feature(values: NDArray) -> dict[str, float]:
    """``(7,)`` values by the feature's name."""
    return dict(zip(TIMBRE_FEATURES, map(float, values), strict=True))


def error_ratio(played: NDArray, intended: NDArray) -> NDArray:
    """``(7,)`` mean absolute error over the mean absolute intended difference; 1 where there are no hits.

    A feature in which the recording never differs has 1 as long as the model leaves it alone, else a huge ratio.
    """
    if not len(played):
        return np.ones(played.shape[1])
    return (np.abs(played - intended).mean(0) + LEAST) / (np.abs(intended).mean(0) + LEAST)


def rank_correlations(played: NDArray, intended: NDArray) -> NDArray[np.float64]:
    """``(7,)`` Spearman correlations; 0 where one side is constant or there are fewer than three hits."""
    correlations = np.zeros(played.shape[1])
    for index, (a, b) in enumerate(zip(played.T, intended.T, strict=True)):
        if len(a) >= MINIMUM_FOR_RANKS and np.ptp(a) > 0 and np.ptp(b) > 0:
            correlations[index] = spearmanr(a, b).statistic
    return correlations


def _in_both(expected: NDArray, found: NDArray) -> tuple[NDArray, NDArray]:
    """Indices of the triggers that both have. With a primer before it, the detector may start out differently."""
    first = np.searchsorted(found, expected - NEAR)
    candidate = first.clip(max=max(len(found) - 1, 0))
    both = (first < len(found)) & (np.abs(found[candidate] - expected) <= NEAR) if len(found) else first < 0
    return np.flatnonzero(both), candidate[both]


def cut_hits(audio: NDArray[np.float32], triggers: NDArray, sample_rate: int) -> torch.Tensor:
    """``(n, samples)`` what follows each trigger, zero-padded at the end of the recording."""
    size = min(TIMBRE_SAMPLES, sample_rate)
    padded = np.pad(audio, (0, size))
    return torch.from_numpy(padded[triggers[:, None] + np.arange(size)])
