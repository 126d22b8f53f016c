"""Cut a recording into hits: what the plug-in hears of each, and how each sounded as a whole."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.features import MOST_SHIFT, ONSET_WINDOW
from timbrekit.recording.near_copies import near_copies
from timbrekit.recording.onsets import TRIGGER_DELAY, DetectorSettings, detect

SEGMENT_SECONDS = 1.0

# A segment starts this long before the detection. Measured against placed onsets (first crossing of 2 % of
# the peak) in a minute of snare at 48 kHz, the detector fires 16 samples late in the median: 5th percentile
# -37, 25th -4, 75th +72, 90th +102 (171 hits, default settings). 2.5 ms, 120 samples at 48 kHz, keep the
# attack of 90 % whole; most others are brushes that swell for up to 16 ms and have no one onset. A hit caught
# in time gets 2.5 ms of what came before in front: 6 % of the first 2048-sample frame, alike for nearly all
# hits, so that it falls out of feature differences.
PRE_ROLL_SECONDS = 0.0025
FADE_SECONDS = 0.005  # where the next hit cuts a segment short: a click would count as brightness


@dataclass(frozen=True)
class DroppedHit:
    """A detection that is not among the hits, and why in words."""

    position: int  # sample
    reason: str


@dataclass(frozen=True)
class Hits:
    """The n hits of a recording, in order. Positions are sample indices at ``sample_rate``."""

    sample_rate: int  # Hz
    detections: NDArray[np.int64]  # (n,) where the plug-in's detector fires
    triggers: NDArray[np.int64]  # (n,) where its synth starts: 257 samples later
    surroundings: NDArray[np.float32]  # (n, 320) windows and ``MOST_SHIFT`` samples around, zero-padded
    # (n, sample_rate) the whole hit from 2.5 ms before its detection, zero-padded
    segments: NDArray[np.float32]
    lengths: NDArray[np.int64]  # (n,) samples of each segment that are the hit's own, the fade included
    dropped: tuple[DroppedHit, ...]
    settings: DetectorSettings  # the detector settings they were found with

    def __len__(self) -> int:
        return len(self.detections)

    @property
    def windows(self) -> NDArray[np.float32]:
        """(n, 256) the samples that the plug-in takes features from, trigger - 255 to trigger."""
        return self.windows_at(0)

    def windows_at(self, shift: int) -> NDArray[np.float32]:
        """(n, 256) the same ``shift`` samples later; earlier where it is negative. At most ``MOST_SHIFT``."""
        if abs(shift) > MOST_SHIFT:
            raise ValueError(f"shift must be from {-MOST_SHIFT} to {MOST_SHIFT}, not {shift}")
        return self.surroundings[:, MOST_SHIFT + shift : MOST_SHIFT + shift + ONSET_WINDOW]

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n,) where each segment starts in the recording; negative for a hit within its first 2.5 ms."""
        return self.detections - pre_roll(self.sample_rate)

    @cached_property
    def near_copies(self) -> NDArray[np.int64]:
        """(n,) numbers, equal for hits that are one recording played again, at whatever level."""
        return near_copies(self.segments, self.lengths, self.sample_rate)


def pre_roll(sample_rate: int) -> int:
    """Samples of a segment that come before the detection."""
    return round(PRE_ROLL_SECONDS * sample_rate)


def find_hits(samples: ArrayLike, sample_rate: int, settings: DetectorSettings | None = None) -> Hits:
    """Find the hits that the plug-in would find, and cut them out.

    A segment lasts one second or until the segment of the next kept hit starts. In the second case it fades
    out over its last 5 ms and is filled up with zeros.

    Args:
        samples: mono audio, full scale ±1, (n,).
        sample_rate: Hz.
        settings: the plug-in's onset controls; its defaults if None.

    Returns:
        All hits; every detection is either among them or in ``dropped`` with a reason.
    """
    settings = settings or DetectorSettings()
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    found = detect(samples, sample_rate, settings)
    triggers = found.triggers
    detections = triggers - TRIGGER_DELAY
    starts = detections - pre_roll(sample_rate)
    size = round(SEGMENT_SECONDS * sample_rate)
    ends = np.minimum(starts + size, len(samples))
    cut = np.zeros(len(starts), dtype=bool)
    cut[:-1] = starts[1:] < ends[:-1]
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return Hits(
        sample_rate=sample_rate,
        detections=detections,
        triggers=triggers,
        surroundings=cut_windows(samples, triggers, ONSET_WINDOW + 2 * MOST_SHIFT, lead=MOST_SHIFT),
        segments=_segments(samples, starts, ends, cut, size, round(FADE_SECONDS * sample_rate)),
        lengths=ends - starts,
        dropped=_dropped(found.positions, found.dropped, detections),
        settings=settings,
    )


def onset_windows(samples: NDArray[np.float32], triggers: NDArray[np.int64]) -> NDArray[np.float32]:
    """The 256 samples up to and including each trigger, (n, 256): what the plug-in takes features from."""
    offsets = np.arange(1 - ONSET_WINDOW, 1)
    return np.asarray(samples, dtype=np.float32)[triggers[:, None] + offsets]


def cut_windows(
    samples: NDArray[np.float32], triggers: NDArray[np.int64], size: int, lead: int = 0
) -> NDArray[np.float32]:
    """(n, size) samples from ``lead`` before the plug-in's windows begin; zeros outside the recording."""
    padded = np.pad(np.asarray(samples, dtype=np.float32), (lead, size))
    return padded[triggers[:, None] + np.arange(1 - ONSET_WINDOW, 1 - ONSET_WINDOW + size)]


def _segments(samples, starts, ends, cut, size, fade_length) -> NDArray[np.float32]:
    segments = np.zeros((len(starts), size), dtype=np.float32)
    for segment, start, end, is_cut in zip(segments, starts, ends, cut, strict=True):
        length = end - start
        segment[max(-start, 0) : length] = samples[max(start, 0) : end]
        if is_cut:
            fade = min(fade_length, length)
            segment[length - fade : length] *= np.linspace(1, 0, fade, dtype=np.float32)
    return segments


def _dropped(positions, during_window, detections) -> tuple[DroppedHit, ...]:
    reasons = dict.fromkeys(
        during_window.tolist(),
        "it came while the plug-in was still listening to the hit before (257 samples)",
    )
    for position in np.setdiff1d(positions, np.concatenate([during_window, detections])).tolist():
        reasons[position] = "the recording ends before the plug-in has heard enough of it (257 samples)"
    return tuple(DroppedHit(position, reasons[position]) for position in sorted(reasons))
