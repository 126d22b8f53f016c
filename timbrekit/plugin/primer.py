"""A primer: a few seconds of sound that teach a freshly opened plug-in the range of a player's hits.

The plug-in scales each feature by the lowest and highest value it has met since it was opened. A primer holds the
hits that set these extremes, cut from the player's own recording; sent through once, it puts the plug-in where
training was. What a cut-out hit measures depends on where the detector fires, and that on what came before: each
candidate cut is therefore rehearsed, at every rate a DAW is likely to run at, and taken only if it measures what
the whole take measured.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.errors import RecordingError
from timbrekit.plugin.rehearse import normalize_running, raw_features
from timbrekit.recording import resample
from timbrekit.recording.hits import onset_windows
from timbrekit.recording.onsets import TRIGGER_DELAY, DetectorSettings, detect

# Hz, that a primer has to serve besides the recording's: the DAW resamples it to its own. It does not serve others: one
# made for these two left 0.1 and 0.25 at 96 kHz on two real takes.
DAW_RATES = (44_100, 48_000)
TOLERANCE = 0.005  # of a feature's range: half of what a primer may be off by
GAP_SECONDS = 0.35  # silence around each cut: seven time constants of the detector's slow follower
LEAD_INS = (0.01, 0.03, 0.1, 0.25)  # s of the recording kept before the first hit of a cut
HITS_BEFORE = (0, 1, 2, 3, 5, 8)  # hits of the recording kept before the one that is wanted
LONGEST_CUT_SECONDS = 4.0
RING_SECONDS = 0.15  # kept after a trigger
FADE_SECONDS = 0.008


@dataclass(frozen=True)
class Primer:
    """Sound to send through the plug-in once after opening or resetting it, at unchanged level."""

    samples: NDArray[np.float32]  # (n,) mono
    sample_rate: int  # Hz
    deviations: dict[int, float]  # rate in Hz: largest error of a normalised feature of the take after it

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def make_primer(samples: ArrayLike, sample_rate: int, settings: DetectorSettings | None = None) -> Primer:
    """Cut a primer out of a recording.

    Args:
        samples: mono audio, full scale ±1, (n,).
        sample_rate: Hz, of the recording and of the primer.
        settings: the plug-in's onset controls as they will be played with; its defaults if None.

    Raises:
        RecordingError: the recording has no hit.
    """
    settings = settings or DetectorSettings()
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    rates = tuple(dict.fromkeys((sample_rate, *DAW_RATES)))
    takes = {rate: _measure(resample(samples, sample_rate, rate), rate, settings) for rate in rates}
    if not all(len(raw) for _, raw in takes.values()):
        raise RecordingError(
            "The recording has no hit that the plug-in would detect, so no primer can be cut from it. "
            "Turn down the Trigger Threshold, or record louder."
        )
    cuts = _choose_cuts(samples, sample_rate, settings, takes)
    primer = _joined(samples, cuts, sample_rate, rates)
    return Primer(
        primer,
        sample_rate,
        {rate: primed_deviation(primer, samples, sample_rate, rate, settings) for rate in rates},
    )


def primed_deviation(
    primer: ArrayLike,
    samples: ArrayLike,
    sample_rate: int,
    daw_rate: int,
    settings: DetectorSettings | None = None,
) -> float:
    """What is left between the features of a primed plug-in and those of the whole take.

    Args:
        primer: (m,) what is sent through first, at ``sample_rate``.
        samples: (n,) the take, at ``sample_rate``.
        sample_rate: Hz.
        daw_rate: Hz; both are resampled to it where it differs.
        settings: the plug-in's onset controls; its defaults if None.

    Returns:
        The largest difference over all hits and features, both normalised to [0, 1]. 1 if the take is not
        detected as it is without the primer.
    """
    primer = resample(np.asarray(primer, dtype=np.float32), sample_rate, daw_rate)
    take = resample(np.asarray(samples, dtype=np.float32), sample_rate, daw_rate)
    settings = settings or DetectorSettings()
    triggers, raw = _measure(take, daw_rate, settings)
    primed_triggers, primed_raw = _measure(np.concatenate([primer, take]), daw_rate, settings)
    own = primed_triggers >= len(primer)
    if not np.array_equal(primed_triggers[own] - len(primer), triggers):
        return 1.0
    if not len(raw):
        return 0.0
    whole = normalize_running(raw, _ends(raw))
    return float(np.abs(normalize_running(primed_raw)[own] - whole).max())


def _measure(samples, rate, settings) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Triggers and raw features, (n,) and (n, 3)."""
    triggers = detect(samples, rate, settings).triggers
    return triggers, raw_features(onset_windows(samples, triggers), rate)


def _choose_cuts(samples, sample_rate, settings, takes) -> list[tuple[int, int]]:
    """Few short cuts that together reach both ends of each feature at each rate, and go beyond none."""
    ranges = {rate: _ends(raw) for rate, (_, raw) in takes.items()}
    reached = {rate: ends[::-1].copy() for rate, ends in ranges.items()}  # nothing yet: inside out
    cuts = []
    for rate, (triggers, raw) in takes.items():  # each rate has extremes of its own
        detections = (triggers - TRIGGER_DELAY) * sample_rate // rate
        for end, hits in enumerate((raw.argmin(axis=0), raw.argmax(axis=0))):
            for feature, hit in enumerate(hits):
                best, missing = None, _shortfall(reached[rate], ranges[rate], end, feature)
                for cut in _candidates(hit, detections, sample_rate, len(samples)):
                    if missing <= TOLERANCE:
                        break
                    after = _rehearsed(samples, cut, sample_rate, settings, reached)
                    if _excess(after, ranges) > TOLERANCE:
                        continue
                    still_missing = _shortfall(after[rate], ranges[rate], end, feature)
                    if still_missing < missing:
                        best, missing, best_after = cut, still_missing, after
                if best is not None:
                    cuts.append(best)
                    reached = best_after
    return cuts


def _candidates(hit, detections, sample_rate, num_samples) -> Iterator[tuple[int, int]]:
    """Start and end of cuts that hold a hit, short ones first."""
    end = detections[hit] + TRIGGER_DELAY + round(RING_SECONDS * sample_rate)
    if hit + 1 < len(detections):  # the next hit would be measured cut off
        end = min(end, detections[hit + 1] - round(0.005 * sample_rate))
    end = min(max(end, detections[hit] + 2 * TRIGGER_DELAY), num_samples)
    for before in HITS_BEFORE:
        for lead_in in LEAD_INS:
            start = max(detections[max(hit - before, 0)] - round(lead_in * sample_rate), 0)
            if end - start <= LONGEST_CUT_SECONDS * sample_rate:
                yield int(start), int(end)


def _rehearsed(samples, cut, sample_rate, settings, reached) -> dict[int, NDArray[np.float32]]:
    """Ranges at each rate after one more cut."""
    sound = _joined(samples, [cut], sample_rate, tuple(reached))
    after = {}
    for rate, (low, high) in reached.items():
        raw = _measure(resample(sound, sample_rate, rate), rate, settings)[1]
        after[rate] = np.stack([np.min([low, *raw], axis=0), np.max([high, *raw], axis=0)])
    return after


def _joined(samples, cuts, sample_rate, rates) -> NDArray[np.float32]:
    """The cuts, faded in and out, with silence around each.

    Each keeps its place relative to the sample grid of every rate, so that a hit resampled within the primer has
    the same samples as the hit resampled within the take: 160 samples at 48 kHz are 147 at 44.1 kHz.
    """
    grid = math.lcm(*(sample_rate // math.gcd(sample_rate, rate) for rate in rates))
    gap = round(GAP_SECONDS * sample_rate)
    pieces, length = [], 0
    for start, end in cuts:
        silence = gap + (start - length - gap) % grid
        fade = min(round(FADE_SECONDS * sample_rate), (end - start) // 2)
        cut = samples[start:end].copy()
        rise = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        cut[:fade] *= rise
        cut[len(cut) - fade :] *= rise[::-1]
        pieces += [np.zeros(silence, dtype=np.float32), cut]
        length += silence + len(cut)
    return np.concatenate([*pieces, np.zeros(gap, dtype=np.float32)])


def _ends(raw) -> NDArray[np.float32]:
    """(2, 3) lowest and highest of each feature."""
    return np.stack([raw.min(axis=0), raw.max(axis=0)])


def _shortfall(reached, ends, end, feature) -> float:
    """How far the range reached stays short of one end of a feature, as a share of its range."""
    return float(abs(reached[end, feature] - ends[end, feature]) / _span(ends)[feature])


def _excess(reached, ranges) -> float:
    """How far the ranges reached go beyond those of the take, as a share of them."""
    return max(
        float(np.max(np.maximum(ends[0] - reached[rate][0], reached[rate][1] - ends[1]) / _span(ends)))
        for rate, ends in ranges.items()
    )


def _span(ends) -> NDArray[np.float32]:
    return np.maximum(ends[1] - ends[0], 1e-6)
