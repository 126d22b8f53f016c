"""Detector settings for this player: what to dial in so that the plug-in catches their hits, once each.

No truth is at hand, so a slower listener gives the reference: librosa's onset detection, which may look ahead
and compares whole spectra (SuperFlux, Böck and Widmer 2013). Its candidates are moved to the steepest rise of
level nearby and weighted by how much they rise and stand out of the noise. The settings are those that agree
best with it: hits missed and hits triggered twice cost alike.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import librosa
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter
from scipy.signal import butter, sosfilt

from timbrekit.compiled import use_private_cache
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

use_private_cache()  # before a part of librosa is loaded, which compiles and keeps machine code at once

TOLERANCE_SECONDS = 0.025  # a detection this close to an onset belongs to it
WORTHWHILE_GAIN = 0.02  # of agreement (F-measure); less is not worth turning a knob for

# Reference. Rises and levels were chosen on the recordings named in tests/test_suggest.py, where true onsets
# rise by 7 dB or more and stand 20 dB above the noise, all but a few; false candidates rise by less than 6
# dB, or stand less than 14 dB above the noise.
HOPS = (128, 256)  # samples at 48 kHz; windows of 1024
PEAK_HEIGHTS = (0.015, 0.03)  # above the local mean of the onset strength, as a share of its maximum
SURE_RISE_DB, LEAST_RISE_DB = 9.0, 5.0
SURE_LEVEL_DB, LEAST_LEVEL_DB = 20.0, 12.0
MERGE_SECONDS = 0.012  # candidates closer than this are one onset; a flam is about 30 ms
LEVEL_SECONDS = 0.002  # averaging time of the level
PART_SECONDS = 120.0  # a longer recording is listened to in equal parts of at most this
PART_MARGIN_SECONDS = 1.0  # heard before and after each part

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
    onsets, weights = reference_onsets(samples, sample_rate)
    signal = onset_signal(samples, sample_rate)
    extremes = signal_extremes(signal)
    tolerance = TOLERANCE_SECONDS * sample_rate

    def triggered(settings: DetectorSettings) -> NDArray[np.int64]:
        return detect_in_signal(signal, settings, extremes).triggers - TRIGGER_DELAY

    def agreement(on_threshold: float, off_threshold: float, hold: int) -> float:
        found = triggered(DetectorSettings(on_threshold, off_threshold, hold))
        caught = match_onsets(found, onsets, tolerance)
        return 2 * weights[caught].sum() / max(len(found) + weights.sum(), 1.0)

    settings = DetectorSettings()
    if len(onsets):
        best = _search(agreement)
        if agreement(*best) >= agreement(16.0, 4.66, 1000) + WORTHWHILE_GAIN:
            settings = DetectorSettings(*best)

    sure = onsets[weights >= 0.5]
    by_default, by_suggested = triggered(DetectorSettings()), triggered(settings)
    caught_default = match_onsets(by_default, sure, tolerance)
    caught = match_onsets(by_suggested, sure, tolerance)
    return Suggestion(
        settings=settings,
        reference_onsets=sure,
        caught_default=len(caught_default),
        caught_suggested=len(caught),
        extra_default=len(by_default) - len(caught_default),
        extra_suggested=len(by_suggested) - len(caught),
        missed=np.delete(sure, caught),
    )


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


def reference_onsets(
    samples: NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Onsets as heard by a listener that is slower than the plug-in and may look ahead.

    Returns:
        (r,) ascending sample indices and (r,) how sure each is, in (0, 1].
    """
    peak = np.abs(samples).max(initial=0.0)
    if peak == 0 or len(samples) < 0.1 * sample_rate:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    samples = samples / peak
    parts = list(_parts(len(samples), sample_rate))
    levels, rises = [], []
    for (start, stop), (first, last) in parts:
        part = samples[first:last]
        level, width = _level_db(part, sample_rate)
        levels.append(level if len(parts) == 1 else level[start - first : stop - first : width])
        for candidate in np.unique(np.concatenate(_candidates(part, sample_rate))):
            found = _rise_near(int(candidate), level, width, sample_rate)
            if found is not None and start <= first + found[0] < stop:
                rises.append((first + found[0], *found[1:]))
    noise = np.percentile(np.concatenate(levels), 10)
    best: dict[int, float] = {}
    for position, rise, top in rises:
        weight = _ramp(rise, LEAST_RISE_DB, SURE_RISE_DB) * _ramp(top - noise, LEAST_LEVEL_DB, SURE_LEVEL_DB)
        if weight > 0:
            best[position] = max(weight, best.get(position, 0.0))
    return _merged(best, MERGE_SECONDS * sample_rate)


def _parts(length: int, sample_rate: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """``(start, stop), (first, last)`` of equal parts of a recording: what each answers for, and what it listens to.

    The spectra of ten minutes at once would need gigabytes.
    """
    count = max(math.ceil(length / (PART_SECONDS * sample_rate)), 1)
    margin = round(PART_MARGIN_SECONDS * sample_rate)
    edges = [length * number // count for number in range(count + 1)]
    for start, stop in pairwise(edges):
        yield (start, stop), (max(start - margin, 0), min(stop + margin, length))


def _candidates(samples, sample_rate) -> list[NDArray[np.int64]]:
    found = []
    for hop_at_48k in HOPS:
        hop = max(round(hop_at_48k * sample_rate / 48_000), 1)
        n_fft = 2 ** round(np.log2(1024 * sample_rate / 48_000))
        strength = librosa.onset.onset_strength(
            y=samples,
            sr=sample_rate,
            hop_length=hop,
            n_fft=n_fft,
            lag=2,
            max_size=3,
            n_mels=min(80, n_fft // 2),  # at 8 kHz there are no 80 bands to tell apart
            fmin=200,
        )
        frames = sample_rate / hop
        for height in PEAK_HEIGHTS:
            picked = librosa.onset.onset_detect(
                onset_envelope=strength,
                sr=sample_rate,
                hop_length=hop,
                backtrack=True,
                units="samples",
                delta=height,
                wait=int(0.03 * frames),
                pre_max=max(int(0.02 * frames), 1),
                post_max=int(0.01 * frames) + 1,
                pre_avg=max(int(0.1 * frames), 1),
                post_avg=int(0.07 * frames) + 1,
            )
            found.append(np.asarray(picked, dtype=np.int64))
    return found


def _level_db(samples, sample_rate) -> tuple[NDArray[np.float64], int]:
    """Mean level above 300 Hz over the 2 ms that begin at each sample, and those 2 ms in samples."""
    high = sosfilt(butter(2, 300, "highpass", fs=sample_rate, output="sos"), samples.astype(np.float64))
    width = round(LEVEL_SECONDS * sample_rate)
    energy = np.cumsum(np.concatenate([[0.0], high**2]))
    mean = np.maximum(energy[width:] - energy[:-width], 0) / width
    return 10 * np.log10(mean + 1e-10), width


def _rise_near(candidate, level, width, sample_rate) -> tuple[int, float, float] | None:
    """The steepest rise within -20..+30 ms of a candidate: position, rise in dB, level reached in dB."""
    first = max(width, candidate - round(0.020 * sample_rate))
    last = min(len(level), candidate + round(0.030 * sample_rate))
    if last <= first:
        return None
    position = first + int(np.argmax(level[first:last] - level[first - width : last - width]))
    top = level[position : position + round(0.010 * sample_rate)].max()
    before = level[max(position - round(0.006 * sample_rate), 0) : position - width + 1]
    return position, float(top - before.mean()), float(top)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _merged(weights: dict[int, float], distance: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of positions closer than ``distance`` keep the surest."""
    kept: list[int] = []
    for position in sorted(weights):
        if kept and position - kept[-1] < distance:
            if weights[position] > weights[kept[-1]]:
                kept[-1] = position
        else:
            kept.append(position)
    return np.array(kept, dtype=np.int64), np.array([weights[position] for position in kept])


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
