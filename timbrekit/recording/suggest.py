"""Detector settings for this player: what to dial in so that the plug-in catches their hits, once each.

No truth is at hand, so two slower listeners give the reference (:mod:`timbrekit.recording.reference`). The plug-in's
defaults are good, so other settings need evidence: several more hits that both listeners hear and that lie within the
take's levels, without triggers where neither hears anything and without losing what the defaults catch. Hits that lie far
below the take, and those of which the listeners are unsure, are named and left to the player.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter

from timbrekit.recording.onsets import (
    HOLD_RANGE,
    OFF_THRESHOLD_RANGE,
    ON_THRESHOLD_RANGE,
    TRIGGER_DELAY,
    DetectorSettings,
    detect_in_signal,
    onset_signal,
    signal_extremes,
)
from timbrekit.recording.reference import Loudness, Onsets, hear_onsets, measure_loudness

TOLERANCE_SECONDS = 0.025  # a detection this close to an onset belongs to it
WORTHWHILE_GAIN = 0.02  # of agreement (F-measure); less is not worth turning a knob for
WORTHWHILE_HITS = 3  # more that are heard, or fewer false triggers; one or two are chance
SURE = 0.5  # weight from which an onset counts as a hit

# Relative to the median of the hits that the defaults catch: ghost notes of real takes lie within 18 dB of it, all but a
# few of the softest body sounds; clicks, echoes and bumps in a tail mostly below 22.
NOT_FAINT_DB, FAINT_DB = -18.0, -22.0

# A trigger on a sound that swells is no false one, though it has no onset: its level exceeds all that was there before.
SWELL_SECONDS = 0.060
SWELL_DB = 6.0

COARSE_STEP_DB, FINE_STEP_DB = 2.0, 0.5
WIDEST_ON_DB, WIDEST_OFF_DB = 24.0, 16.0
HOLDS = (500, 1000, 2000, 3000)  # samples


@dataclass(frozen=True)
class Suggestion:
    """Settings to dial in, and what they change. Positions are sample indices of the recording."""

    settings: DetectorSettings  # the plug-in's defaults where no others are clearly better
    reference_onsets: NDArray[np.int64]  # (r,) the hits as heard by the reference
    caught_default: int  # of these, how many the plug-in's defaults catch
    caught_suggested: int
    extra_default: int  # triggers that belong to no reference onset, or to one already caught
    extra_suggested: int
    missed: NDArray[np.int64]  # (m,) reference onsets that the suggested settings miss
    unsure: NDArray[np.int64]  # (u,) onsets that are no reference and not triggered: faint, covered, or none at all

    @property
    def changed(self) -> bool:
        """Whether turning the knobs is worth it."""
        return self.settings != DetectorSettings()


def suggest_settings(samples: ArrayLike, sample_rate: int) -> Suggestion:
    """Find detector settings that catch this player's hits, from the recording alone.

    Args:
        samples: mono audio, full scale ±1, (n,), at the level and sample rate the plug-in will hear it at.
        sample_rate: Hz.
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    signal = onset_signal(samples, sample_rate)
    extremes = signal_extremes(signal)
    tolerance = TOLERANCE_SECONDS * sample_rate

    def triggered(settings: DetectorSettings) -> NDArray[np.int64]:
        return detect_in_signal(signal, settings, extremes).triggers - TRIGGER_DELAY

    by_default = triggered(DetectorSettings())
    loudness = measure_loudness(samples, sample_rate)
    heard = hear_onsets(samples, loudness)
    onsets = _in_the_take(heard, by_default, loudness)
    hits, weights, known = _with_known(onsets, by_default, loudness, tolerance)

    def agreement(on_threshold: float, off_threshold: float, hold: int) -> float:
        found = triggered(DetectorSettings(on_threshold, off_threshold, hold))
        caught = match_onsets(found, hits, tolerance)
        lost = known.sum() - known[caught].sum()
        return 2 * (weights[caught].sum() - lost) / max(len(found) + weights.sum(), 1.0)

    sure = hits[weights >= SURE]

    def right(found: NDArray[np.int64]) -> int:
        """Hits caught, less false triggers."""
        return 2 * len(match_onsets(found, sure, tolerance)) - len(found)

    settings = DetectorSettings()
    if len(sure) >= WORTHWHILE_HITS:
        best = _search(agreement)
        gain = agreement(*best) - agreement(16.0, 4.66, 1000)
        more = right(triggered(DetectorSettings(*best))) - right(by_default)
        if gain >= WORTHWHILE_GAIN and more >= WORTHWHILE_HITS:
            settings = DetectorSettings(*best)

    by_suggested = triggered(settings)
    caught_default = match_onsets(by_default, sure, tolerance)
    caught = match_onsets(by_suggested, sure, tolerance)
    doubtful = np.setdiff1d(heard.positions, sure)
    return Suggestion(
        settings=settings,
        reference_onsets=sure,
        caught_default=len(caught_default),
        caught_suggested=len(caught),
        extra_default=len(by_default) - len(caught_default),
        extra_suggested=len(by_suggested) - len(caught),
        missed=np.delete(sure, caught),
        unsure=np.delete(doubtful, match_onsets(by_suggested, doubtful, tolerance)),
    )


def _in_the_take(heard: Onsets, by_default: NDArray[np.int64], loudness: Loudness) -> Onsets:
    """The onsets with less weight the farther they lie below the hits that the defaults catch."""
    levels = loudness.top(by_default) if len(by_default) else heard.levels
    if not len(levels):
        return heard
    share = (heard.levels - np.median(levels) - FAINT_DB) / (NOT_FAINT_DB - FAINT_DB)
    return Onsets(heard.positions, heard.weights * np.clip(share, 0.0, 1.0), heard.levels)


def _with_known(onsets: Onsets, by_default: NDArray[np.int64], loudness: Loudness, tolerance: float):
    """Onsets, weights and which of them the defaults catch: no setting should lose those.

    A default trigger without an onset is taken as one where the level swells.
    """
    sure = onsets.weights >= SURE
    hits, weights = onsets.positions[sure], onsets.weights[sure]
    matched = match_onsets(hits, by_default, tolerance)
    alone = np.delete(by_default, matched)
    swelling = alone[loudness.swell(alone) >= SWELL_DB]
    positions = np.concatenate([onsets.positions, swelling])
    weights = np.concatenate([onsets.weights, np.ones(len(swelling))])
    order = np.argsort(positions, kind="stable")
    positions, weights = positions[order], weights[order]
    known = np.zeros(len(positions), bool)
    known[match_onsets(by_default, positions, tolerance)] = True
    return positions, weights, known & (weights > 0)


def match_onsets(found: ArrayLike, reference: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """Pair two ascending lists of positions in time, each position at most once.

    Returns:
        Indices into ``reference`` that have a partner no more than ``tolerance`` away.
    """
    found, reference = np.asarray(found).tolist(), np.asarray(reference).tolist()  # quicker one by one
    matched = []
    i = j = 0
    while i < len(found) and j < len(reference):
        if abs(found[i] - reference[j]) <= tolerance:
            matched.append(j)
            i += 1
            j += 1
        elif found[i] < reference[j]:
            i += 1
        else:
            j += 1
    return np.array(matched, dtype=np.int64)


def _search(agreement: Callable[[float, float, int], float]) -> tuple[float, float, int]:
    """The settings that agree best: a coarse grid, a fine one around its best, then the hold time."""
    default = DetectorSettings()
    on, off = _best_of_grid(
        agreement,
        np.arange(2.0, WIDEST_ON_DB + 1, COARSE_STEP_DB),
        np.arange(0.0, WIDEST_OFF_DB + 1, COARSE_STEP_DB),
        default.hold,
    )
    around = np.arange(-COARSE_STEP_DB, COARSE_STEP_DB + 0.1, FINE_STEP_DB)
    on, off = _best_of_grid(
        agreement,
        np.unique(np.clip(on + around, *ON_THRESHOLD_RANGE)),
        np.unique(np.clip(off + around, *OFF_THRESHOLD_RANGE)),
        default.hold,
    )
    by_hold = {hold: agreement(on, off, hold) for hold in HOLDS if HOLD_RANGE[0] <= hold <= HOLD_RANGE[1]}
    hold = max(by_hold, key=by_hold.get)
    if by_hold[hold] < by_hold[default.hold] + WORTHWHILE_GAIN:
        hold = default.hold
    return float(on), float(off), hold


def _best_of_grid(agreement, on_thresholds, off_thresholds, hold) -> tuple[float, float]:
    """The best cell, its neighbours counted half: a lone peak is luck. Of equals, nearest default."""
    default = DetectorSettings()
    scores = np.array([[agreement(on, off, hold) for off in off_thresholds] for on in on_thresholds])
    scores = (scores + uniform_filter(scores, 3, mode="nearest")) / 2
    distance = np.abs(on_thresholds[:, None] - default.on_threshold) + np.abs(
        off_thresholds[None] - default.off_threshold
    )
    i, j = np.unravel_index(np.argmax(scores - 1e-6 * distance), scores.shape)
    return on_thresholds[i], off_thresholds[j]
