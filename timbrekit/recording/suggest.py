"""Detector settings for this player: what to dial in so that the plug-in catches their hits, once each.

No truth is at hand, so two slower listeners give the reference (:mod:`timbrekit.recording.reference`). The plug-in's
defaults are good, so other settings need evidence: several more hits that both listeners hear and that lie within the
take's levels, without triggers where neither hears anything and without losing what the defaults catch. Hits that lie
far below the take, and those of which the listeners are unsure, are named and left to the player.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter

from timbrekit.recording.onsets import (
    OFF_THRESHOLD_RANGE,
    ON_THRESHOLD_RANGE,
    TRIGGER_DELAY,
    DetectorSettings,
    detect_in_signal,
    onset_signal,
    signal_extremes,
)
from timbrekit.recording.reference import (
    LEAST_LEVEL_DB,
    Loudness,
    Onsets,
    hear_onsets,
    hear_thumps,
    measure_loudness,
)

TOLERANCE_SECONDS = 0.025  # a detection this close to an onset belongs to it
WORTHWHILE_GAIN = 0.015  # of agreement (F-measure); less is not worth turning a knob for
WORTHWHILE_HITS = 3  # more that are heard, or fewer false triggers; one or two are chance
ENOUGH_HITS = 10  # fewer say little about what this player plays
SURE = 0.5  # weight from which an onset counts as a hit

# Relative to the median of the hits that the defaults catch. In ten takes with known hits, nine lie within 20 dB of it
# all but a few; clicks between beatboxed sounds were found 22 dB and more below.
NOT_FAINT_DB, FAINT_DB = -20.0, -24.0

# An echo: so much below the onset before it, at most so late, and alike in lag and level after so many of the others.
ECHO_DROP_DB, ECHO_SECONDS = 6.0, 0.4
ECHO_LAG_SECONDS, ECHO_LEVEL_DB = 0.004, 2.0
ECHO_SHARE, ECHO_LEAST = 0.5, 5

# A trigger on a sound that swells is no false one, though it has no onset: its level exceeds all that was there before.
SWELL_SECONDS = 0.060
SWELL_DB = 6.0

COARSE_STEP_DB, FINE_STEP_DB = 2.0, 0.5
LEAST_ON_DB, WIDEST_ON_DB, WIDEST_OFF_DB = 6.0, 24.0, 16.0  # below 6 dB, noise triggers
HOLDS = (500, 1000, 2000, 3000)  # samples
WORTHWHILE_HOLD = 0.02  # of agreement, for another hold time than the default

_DEFAULT = astuple(DetectorSettings())


@dataclass(frozen=True)
class Suggestion:
    """Settings to dial in, and what they change. Positions are sample indices of the recording."""

    settings: DetectorSettings  # the plug-in's defaults where no others are clearly better
    reference_onsets: NDArray[np.int64]  # (r,) the hits as heard by the reference
    caught_default: int  # of these, how many the plug-in's defaults catch
    caught_suggested: int
    extra_suggested: int  # triggers that belong to no reference onset, or to one already caught
    missed: NDArray[np.int64]  # (m,) reference onsets that the suggested settings miss
    # (u,) onsets that are no reference and not triggered: faint, covered, or none at all
    unsure: NDArray[np.int64]

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
    centred = samples - np.float32(samples.mean(dtype=np.float64)) if len(samples) else samples
    loudness = measure_loudness(centred, sample_rate)
    heard = hear_onsets(centred, loudness)
    swells = _swells(heard, by_default, loudness, tolerance)
    known = match_onsets(by_default, heard.positions, tolerance)
    onsets = _in_the_take(heard, known, by_default, loudness)
    weights = onsets.weights

    def agreement(on_threshold: float, off_threshold: float, hold: int) -> float:
        found = triggered(DetectorSettings(on_threshold, off_threshold, hold))
        caught = match_onsets(found, onsets.positions, tolerance)
        # neither false, nor more than the defaults catch
        swelling = len(match_onsets(found, swells, tolerance))
        lost = len(np.setdiff1d(known, caught)) + len(swells) - swelling
        return 2 * (weights[caught].sum() - lost) / max(len(found) - swelling + weights.sum(), 1.0)

    sure = np.union1d(onsets.positions[weights >= SURE], swells)

    def right(found: NDArray[np.int64]) -> int:
        """Hits caught, less false triggers."""
        return 2 * len(match_onsets(found, sure, tolerance)) - len(found)

    settings = DetectorSettings()
    if len(sure) >= ENOUGH_HITS:
        best = _search(agreement)
        gain = agreement(*best) - agreement(*_DEFAULT)
        more = right(triggered(DetectorSettings(*best))) - right(by_default)
        if gain >= WORTHWHILE_GAIN and more >= WORTHWHILE_HITS:
            settings = DetectorSettings(*best)

    by_suggested = triggered(settings)
    caught_default = match_onsets(by_default, sure, tolerance)
    caught = match_onsets(by_suggested, sure, tolerance)
    doubtful = np.union1d(heard.positions, hear_thumps(centred, sample_rate))
    doubtful = not_near(doubtful, np.concatenate([sure, by_default, by_suggested]), 2 * tolerance)
    return Suggestion(
        settings=settings,
        reference_onsets=sure,
        caught_default=len(caught_default),
        caught_suggested=len(caught),
        extra_suggested=len(by_suggested) - len(caught),
        missed=np.delete(sure, caught),
        unsure=doubtful,
    )


def not_near(positions: NDArray[np.int64], others: NDArray[np.int64], distance: float) -> NDArray[np.int64]:
    """The positions, all sample indices, with none of ``others`` within ``distance``."""
    others = np.sort(np.concatenate([others, [-(2**40), 2**40]]))
    after = np.searchsorted(others, positions)
    nearest = np.minimum(others[after] - positions, positions - others[after - 1])
    return positions[nearest > distance]


def _swells(
    heard: Onsets, by_default: NDArray[np.int64], loudness: Loudness, tolerance: float
) -> NDArray[np.int64]:
    """Default triggers at which nobody hears an onset, but the level swells."""
    sure = heard.positions[heard.weights >= SURE]
    alone = np.delete(by_default, match_onsets(sure, by_default, tolerance))
    audible = loudness.top(alone, SWELL_SECONDS) - loudness.noise >= LEAST_LEVEL_DB
    return alone[audible & (loudness.swell(alone, SWELL_SECONDS) >= SWELL_DB)]


def _in_the_take(
    heard: Onsets, known: NDArray[np.int64], by_default: NDArray[np.int64], loudness: Loudness
) -> Onsets:
    """The onsets, with less weight the farther they lie below the take, and none where they echo another.

    What the defaults catch (``known``) keeps its weight: whoever plays it hears it triggered.
    """
    levels = loudness.top(by_default) if len(by_default) else heard.levels
    if not len(levels):
        return heard
    share = np.clip((heard.levels - np.median(levels) - FAINT_DB) / (NOT_FAINT_DB - FAINT_DB), 0.0, 1.0)
    share[_echoes(heard, loudness.sample_rate)] = 0.0
    share[known] = 1.0
    return Onsets(heard.positions, heard.weights * share, heard.levels)


def _echoes(heard: Onsets, sample_rate: int) -> NDArray[np.bool_]:
    """(r,) where an onset follows a louder one as most others are followed: a delay, or a bump in a sampled sound."""
    times = heard.positions / sample_rate
    lags, drops = np.full(len(times), np.inf), np.full(len(times), np.inf)
    for index, (time, level) in enumerate(zip(times, heard.levels, strict=True)):
        louder = np.flatnonzero((heard.levels >= level + ECHO_DROP_DB) & (times < time))
        if len(louder) and time - times[louder[-1]] <= ECHO_SECONDS:
            lags[index], drops[index] = time - times[louder[-1]], heard.levels[louder[-1]] - level
    echo = np.zeros(len(times), bool)
    following = np.flatnonzero(np.isfinite(lags))
    originals = len(times) - len(following)
    for index in following:
        alike = (np.abs(lags[following] - lags[index]) <= ECHO_LAG_SECONDS) & (
            np.abs(drops[following] - drops[index]) <= ECHO_LEVEL_DB
        )
        echo[index] = alike.sum() >= max(ECHO_SHARE * originals, ECHO_LEAST)
    return echo


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
        np.arange(LEAST_ON_DB, WIDEST_ON_DB + 1, COARSE_STEP_DB),
        np.arange(0.0, WIDEST_OFF_DB + 1, COARSE_STEP_DB),
        default.hold,
    )
    around = np.arange(-COARSE_STEP_DB, COARSE_STEP_DB + 0.1, FINE_STEP_DB)
    on, off = _best_of_grid(
        agreement,
        np.unique(np.clip(on + around, LEAST_ON_DB, ON_THRESHOLD_RANGE[1])),
        np.unique(np.clip(off + around, *OFF_THRESHOLD_RANGE)),
        default.hold,
    )
    by_hold = {hold: agreement(on, off, hold) for hold in HOLDS}
    hold = max(by_hold, key=by_hold.get)
    if by_hold[hold] < by_hold[default.hold] + WORTHWHILE_HOLD:
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
