"""Onsets as heard by two listeners that are slower than the plug-in and may look ahead.

The first compares whole spectra (SuperFlux, Böck and Widmer 2013). The second goes by level alone: what follows must be
about as loud as what was there before, which neither the beating of two decaying tones nor the last bits of a file are.
An onset counts as a hit where both agree. What only one of them hears is kept apart: it may be meant, and nobody can
tell without listening.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from timbrekit.recording.novelty import begin_of_rise, onset_strength, pick_peaks

# Spectral listener. Rises and levels were chosen on the recordings named in tests/test_suggest.py, where true onsets
# rise by 7 dB or more and stand 20 dB above the noise, all but a few; false candidates rise by less than 6
# dB, or stand less than 14 dB above the noise.
HOPS = (128, 256)  # samples at 48 kHz; windows of 1024
LOWEST_BAND_HZ = 200.0
PEAK_HEIGHTS = (0.015, 0.03)  # above the local mean of the onset strength, as a share of its maximum
SURE_RISE_DB, LEAST_RISE_DB = 9.0, 5.0
SURE_LEVEL_DB, LEAST_LEVEL_DB = 20.0, 12.0
MERGE_SECONDS = 0.012  # candidates closer than this are one onset; a flam is about 30 ms
LEVEL_SECONDS = 0.002  # averaging time of the level
TOP_SECONDS = 0.010  # after an onset, in which its level is taken
PART_SECONDS = 120.0  # a longer recording is listened to in equal parts of at most this
PART_MARGIN_SECONDS = 1.0  # heard before and after each part
SILENCE_SECONDS = 0.1  # put before a recording, so that a hit on its first sample rises from something

HIGH_PASS_HZ = 300.0  # of the level: hum and rumble below it are no hits
# Full scale is 0 dB. The plug-in's own floor is at -55; what toggles far below it (the last bit of 16 lies at -90) is
# nothing that can rise.
FLOOR_DB = -80.0
NOISE_PERCENTILE = 10

# Level listener: the most that sounded in this time before an onset is what the onset has to exceed.
BEFORE_SECONDS = (0.025, 0.002)
SURE_EXCESS_DB, LEAST_EXCESS_DB = -3.0, -6.0


# Thumps: a kick under a ringing snare rises only down here, where neither the plug-in nor the listeners above hear.
LOW_PASS_HZ = 120.0
LOW_FRAME_SECONDS = 0.010
LOW_RISE_DB, LOW_BELOW_LOUDEST_DB, LOW_LEAST_DB = 10.0, 20.0, -50.0


@dataclass(frozen=True, eq=False)
class Loudness:
    """Level of a recording above 300 Hz, mean of the 2 ms that begin at each sample."""

    db: NDArray[np.float32]  # (n,) against full scale, not below FLOOR_DB
    sample_rate: int  # Hz

    @property
    def noise(self) -> float:
        """The level that sounds between the hits: a tenth of the recording lies below it."""
        return float(np.percentile(self.db, NOISE_PERCENTILE)) if len(self.db) else FLOOR_DB

    def top(self, positions: ArrayLike, seconds: float = TOP_SECONDS) -> NDArray[np.float64]:
        """(k,) the highest level from 2 ms before each position to ``seconds`` after it."""
        return self._highest(positions, -LEVEL_SECONDS, seconds)

    def before(self, positions: ArrayLike) -> NDArray[np.float64]:
        """(k,) the highest level that ends before each position, within 25 ms."""
        first, last = BEFORE_SECONDS
        return self._highest(positions, -first - LEVEL_SECONDS, -last - LEVEL_SECONDS)

    def just_before(self, positions: ArrayLike) -> NDArray[np.float64]:
        """(k,) the mean level of the 6 ms that end at each position."""
        first, last = round(0.006 * self.sample_rate), round(LEVEL_SECONDS * self.sample_rate)
        found = []
        for position in np.asarray(positions, np.int64).tolist():
            span = self.db[max(position - first, 0) : max(position - last + 1, 0)]
            found.append(span.mean() if len(span) else FLOOR_DB)
        return np.array(found, np.float64)

    def swell(self, positions: ArrayLike, seconds: float) -> NDArray[np.float64]:
        """(k,) dB by which the level within ``seconds`` after each position exceeds that of as long before."""
        return self.top(positions, seconds) - self._highest(positions, -seconds, -0.02)

    def _highest(self, positions, first_s: float, last_s: float) -> NDArray[np.float64]:
        first, last = round(first_s * self.sample_rate), round(last_s * self.sample_rate)
        found = [
            self.db[max(position + first, 0) : max(position + last, 0)].max(initial=FLOOR_DB)
            for position in np.asarray(positions, np.int64).tolist()
        ]
        return np.array(found, np.float64)


@dataclass(frozen=True, eq=False)
class Onsets:
    """Onsets of a recording. Positions are ascending sample indices."""

    positions: NDArray[np.int64]  # (r,)
    weights: NDArray[np.float64]  # (r,) how sure each is, in [0, 1]
    levels: NDArray[np.float64]  # (r,) dB, as ``Loudness.top``


def measure_loudness(samples: NDArray[np.float32], sample_rate: int) -> Loudness:
    """Level of mono audio, (n,) and full scale ±1."""
    high = butter(2, HIGH_PASS_HZ, "highpass", fs=sample_rate, output="sos")
    width = round(LEVEL_SECONDS * sample_rate)
    db = np.empty(len(samples), np.float32)
    for (start, stop), (first, last) in _parts(len(samples), sample_rate):
        part = np.pad(samples[first : min(last, stop + width)].astype(np.float64), (0, width))
        energy = np.cumsum(np.concatenate([[0.0], sosfilt(high, part) ** 2]))[start - first :]
        mean = np.maximum(energy[width:] - energy[:-width], 0)[: stop - start] / width
        db[start:stop] = 10 * np.log10(mean + 10 ** (FLOOR_DB / 10))
    return Loudness(db, sample_rate)


def hear_onsets(samples: NDArray[np.float32], loudness: Loudness) -> Onsets:
    """Every onset that the spectral listener hears, weighted by how much it rises, stands out, and the other agrees.

    Args:
        samples: mono audio, (n,), full scale ±1.
        loudness: of the same samples.
    """
    rate = loudness.sample_rate
    peak = np.abs(samples).max(initial=0.0)
    if peak == 0 or len(samples) < 0.1 * rate:
        return Onsets(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    silence = round(SILENCE_SECONDS * rate)
    positions: set[int] = set()
    for (start, stop), (first, last) in _parts(len(samples), rate):
        part = np.pad(samples[first:last] / peak, (silence, 0))
        for candidate in np.unique(np.concatenate(_candidates(part, rate))).tolist():
            position = _steepest(candidate - silence + first, loudness)
            if position is not None and start <= position < stop:
                positions.add(position)
    found = np.array(sorted(positions), np.int64)
    levels = loudness.top(found)
    weights = (
        _ramp(levels - loudness.just_before(found), LEAST_RISE_DB, SURE_RISE_DB)
        * _ramp(levels - loudness.noise, LEAST_LEVEL_DB, SURE_LEVEL_DB)
        * _ramp(levels - loudness.before(found), LEAST_EXCESS_DB, SURE_EXCESS_DB)
    )
    return _merged(Onsets(found, weights, levels), MERGE_SECONDS * rate)


def hear_thumps(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.int64]:
    """Where the level below 120 Hz jumps by 10 dB, to within 20 dB of its loudest: ascending sample indices.

    Those that no trigger belongs to may be hits that the plug-in, which listens above 600 Hz, cannot hear.
    """
    frame = round(LOW_FRAME_SECONDS * sample_rate)
    if len(samples) < 8 * frame:
        return np.zeros(0, np.int64)
    low = sosfilt(butter(4, LOW_PASS_HZ, fs=sample_rate, output="sos"), samples).astype(np.float32)
    frames = low[: len(low) // frame * frame].reshape(-1, frame)
    level = 10 * np.log10(np.square(frames).mean(axis=1, dtype=np.float64) + 10 ** (FLOOR_DB / 10))
    after = np.maximum(level[4:], np.append(level[5:], level[-1]))  # within 20 ms, of 60 Hz a period
    before = np.max([level[:-4], level[1:-3], level[2:-2]], axis=0)
    loud = max(level.max() - LOW_BELOW_LOUDEST_DB, LOW_LEAST_DB)
    jumps = np.flatnonzero((after - before >= LOW_RISE_DB) & (after >= loud)) + 4
    first = jumps[np.diff(jumps, prepend=-99) > 5]
    return first.astype(np.int64) * frame


def _parts(length: int, sample_rate: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """``(start, stop), (first, last)`` of equal parts of a recording: what each answers for, and what it listens to.

    The spectra of ten minutes at once would need gigabytes.
    """
    count = max(math.ceil(length / (PART_SECONDS * sample_rate)), 1)
    margin = round(PART_MARGIN_SECONDS * sample_rate)
    edges = [length * number // count for number in range(count + 1)]
    for start, stop in pairwise(edges):
        yield (start, stop), (max(start - margin, 0), min(stop + margin, length))


def _candidates(samples: NDArray[np.float32], sample_rate: int) -> list[NDArray[np.int64]]:
    found = []
    for hop_at_48k in HOPS:
        hop = max(round(hop_at_48k * sample_rate / 48_000), 1)
        size = 2 ** round(np.log2(1024 * sample_rate / 48_000))
        bands = min(80, size // 2)  # at 8 kHz there are no 80 bands to tell apart
        strength = onset_strength(samples, sample_rate, hop, size, bands, LOWEST_BAND_HZ)
        frames = sample_rate / hop
        around = max(int(0.02 * frames), 1), int(0.01 * frames) + 1
        mean_over = max(int(0.1 * frames), 1), int(0.07 * frames) + 1
        for height in PEAK_HEIGHTS:
            peaks = pick_peaks(strength, height, around, mean_over, int(0.03 * frames))
            found.append(begin_of_rise(peaks, strength) * hop)
    return found


def _steepest(candidate: int, loudness: Loudness) -> int | None:
    """Where the level rises most within -20..+30 ms of a candidate."""
    rate = loudness.sample_rate
    width = round(LEVEL_SECONDS * rate)
    first = max(0, candidate - round(0.020 * rate))
    last = min(len(loudness.db), candidate + round(0.030 * rate))
    if last <= first:
        return None
    before = np.full(last - first, FLOOR_DB, np.float32)
    begun = loudness.db[max(first - width, 0) : max(last - width, 0)]
    before[len(before) - len(begun) :] = begun
    return first + int(np.argmax(loudness.db[first:last] - before))


def _ramp(values: NDArray, low: float, high: float) -> NDArray:
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _merged(onsets: Onsets, distance: float) -> Onsets:
    """Of onsets closer than ``distance`` keep the surest."""
    kept: list[int] = []
    for index in np.flatnonzero(onsets.weights > 0).tolist():
        if kept and onsets.positions[index] - onsets.positions[kept[-1]] < distance:
            if onsets.weights[index] > onsets.weights[kept[-1]]:
                kept[-1] = index
        else:
            kept.append(index)
    return Onsets(onsets.positions[kept], onsets.weights[kept], onsets.levels[kept])
