"""The health of the hits of a take: enough of them, unlike each other, and of one drum alone."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from timbrekit.errors import Finding
from timbrekit.features import onset_features
from timbrekit.recording.hits import Hits, pre_roll
from timbrekit.recording.reference import hear_thumps, measure_loudness

FEW_HITS = 40  # fewer leave single hits for validation and test, and little of the space between them
LITTLE_DYNAMICS_DB = 10.0  # between the 10th and the 90th percentile of the levels
LITTLE_BRIGHTNESS_SEMITONES = 3.0  # the same of the onset centroids
BODY_SECONDS = 0.1  # of a hit, over which it is loud or soft to the ear; 256 samples may hold but its click

LEAST_GROUP = 5  # hits that make a sound of their own
# Another instrument: a group of hits well below the others, nothing between them, and another brightness. In ten takes
# of one drum, gaps in the levels are 4.4 dB at most.
GAP_DB, BELOW_DB, BRIGHTNESS_SPREADS = 6.0, 12.0, 2.0
# A metronome or a drum machine: the same sound at the same level on a grid. People are some 10 ms off it.
ALIKE = np.array([0.7, 0.5, 2.0])  # dB, semitones, dB
GRID_SECONDS, GRID_SHARE, LEAST_CLICKS = 0.002, 0.9, 12
# Speech, singing, music: what goes on instead of dying away.
SUSTAIN_SECONDS, SUSTAIN_DB, SUSTAIN_SHARE = 0.25, 6.0, 0.5
THUMP_SECONDS, THUMP_SHARE = 0.05, 0.1
THUMP_RISE_DB, THUMP_DARK_DB = 3.0, 20.0


def hit_findings(hits: Hits, samples: ArrayLike | None = None) -> tuple[Finding, ...]:
    """What the player should know about the hits before training: too few, too much alike, not of one drum.

    Args:
        samples: the recording that they are of, (n,), to look between them as well.
    """
    findings = []
    if len(hits) < FEW_HITS:
        were = "1 hit was found" if len(hits) == 1 else f"{len(hits) or 'No'} hits were found"
        advice = (
            f"{were}; with fewer than {FEW_HITS} a model learns little of what lies between them. Play longer, or turn "
            "down the Trigger Threshold if hits were missed."
        )
        severity = "warning" if len(hits) else "error"
        findings.append(Finding("few_hits", severity, len(hits), FEW_HITS, advice))
    if len(hits) < 2:
        return tuple(findings)
    features = onset_features(torch.from_numpy(hits.windows), hits.sample_rate).numpy()
    levels = body_levels(hits)
    findings += [*_alike(features, levels), *_two_groups(features, levels), *_clicks(features, hits)]
    findings += _sustained(hits)
    if samples is not None:
        findings += _thumps(hits, np.asarray(samples, np.float32))
    return tuple(findings)


def body_levels(hits: Hits) -> NDArray[np.float64]:
    """(n,) mean level of each hit's first 100 ms, dB against full scale, or until the next hit."""
    return _mean_levels(hits, 0.0, BODY_SECONDS)


def _mean_levels(hits: Hits, first_s: float, last_s: float) -> NDArray[np.float64]:
    first, last = (pre_roll(hits.sample_rate) + round(at * hits.sample_rate) for at in (first_s, last_s))
    power = np.square(hits.segments[:, first:last], dtype=np.float64).sum(axis=1)
    return 10 * np.log10(power / np.clip(hits.lengths - first, 1, last - first) + 1e-12)


def _spread(values: NDArray) -> float:
    return float(np.percentile(values, 90) - np.percentile(values, 10))


def _alike(features: NDArray, levels: NDArray) -> Iterable[Finding]:
    loudness = max(_spread(features[:, 0]), _spread(levels))
    if loudness < LITTLE_DYNAMICS_DB:
        yield Finding.warning(
            "little_dynamics", loudness, LITTLE_DYNAMICS_DB,
            f"The hits differ by only {loudness:.1f} dB in loudness; a model needs at least "
            f"{LITTLE_DYNAMICS_DB:g} dB to have something to follow. "
            "Play some much softer and some much harder.",
        )  # fmt: skip
    brightness = _spread(features[:, 1])
    if brightness < LITTLE_BRIGHTNESS_SEMITONES:
        yield Finding.warning(
            "little_timbre", brightness, LITTLE_BRIGHTNESS_SEMITONES,
            f"The hits differ by only {brightness:.1f} semitones in brightness; a model needs at least "
            f"{LITTLE_BRIGHTNESS_SEMITONES:g} to have something to follow. "
            "Play in more places and ways: centre, edge, rim, cross-stick, different sticks or fingers.",
        )  # fmt: skip


def _two_groups(features: NDArray, levels: NDArray) -> Iterable[Finding]:
    order = np.sort(levels)
    gaps = np.diff(order)[LEAST_GROUP - 1 : len(order) - LEAST_GROUP]
    if not len(gaps) or gaps.max() < GAP_DB:
        return
    soft = levels <= order[LEAST_GROUP - 1 + int(np.argmax(gaps))]
    below = float(np.median(levels[~soft]) - np.median(levels[soft]))
    brightness = features[:, 1]
    apart = float(brightness[soft].mean() - brightness[~soft].mean())
    within = np.sqrt((brightness[soft].var() + brightness[~soft].var()) / 2)
    if below >= BELOW_DB and abs(apart) >= BRIGHTNESS_SPREADS * within:
        yield Finding.warning(
            "not_one_drum", below, BELOW_DB,
            f"This is not one drum: {int(soft.sum())} of the {len(levels)} hits lie {below:.0f} dB below the others "
            f"and sound {'brighter' if apart > 0 else 'darker'}, as another instrument does that bleeds into the "
            "microphone. Record the drum alone or closer, or cut the others out; as it is, a model learns both.",
        )  # fmt: skip


def _clicks(features: NDArray, hits: Hits) -> Iterable[Finding]:
    times = hits.detections / hits.sample_rate
    most = np.zeros(0, np.int64)
    for centre in features:
        alike = np.flatnonzero((np.abs(features - centre) <= ALIKE).all(axis=1))
        if len(alike) > max(len(most), LEAST_CLICKS - 1):
            gaps = np.diff(times[alike])
            beat = np.median(gaps)
            off = np.abs(gaps - np.maximum(np.round(gaps / beat), 1) * beat)
            if (off <= GRID_SECONDS).mean() >= GRID_SHARE:
                most = alike
    if len(most):
        yield Finding.warning(
            "metronome", len(most), LEAST_CLICKS,
            f"{len(most)} of the {len(hits)} hits are one and the same sound on a strict beat, as of a metronome or a "
            "drum machine. Put the click on headphones and record again, or cut it out.",
        )  # fmt: skip


def _sustained(hits: Hits) -> Iterable[Finding]:
    whole = hits.lengths >= pre_roll(hits.sample_rate) + SUSTAIN_SECONDS * hits.sample_rate
    fall = _mean_levels(hits, 0.0, 0.05) - _mean_levels(hits, SUSTAIN_SECONDS - 0.05, SUSTAIN_SECONDS)
    going_on = int((whole & (fall < SUSTAIN_DB)).sum())
    if going_on >= max(SUSTAIN_SHARE * whole.sum(), LEAST_GROUP):
        yield Finding.warning(
            "not_struck", going_on / whole.sum(), SUSTAIN_SHARE,
            f"{going_on} of {int(whole.sum())} hits go on sounding for a quarter of a second instead of dying away, as "
            "speech, singing and music do. Record the drum alone, without anything playing or anybody talking.",
        )  # fmt: skip


def _thumps(hits: Hits, samples: NDArray[np.float32]) -> Iterable[Finding]:
    thumps = hear_thumps(samples, hits.sample_rate)
    nearest = np.abs(thumps[:, None] - hits.detections).min(axis=1, initial=len(samples))
    thumps = thumps[nearest > THUMP_SECONDS * hits.sample_rate]
    if len(thumps) < LEAST_GROUP:
        return
    # above 300 Hz: where that rises too, a hit was missed
    loudness = measure_loudness(samples, hits.sample_rate)
    top = loudness.top(thumps, THUMP_SECONDS)
    dark = top < np.median(loudness.top(hits.detections)) - THUMP_DARK_DB
    alone = int((dark | (top - loudness.before(thumps) < THUMP_RISE_DB)).sum())
    if alone >= max(THUMP_SHARE * len(hits), LEAST_GROUP):
        yield Finding.warning(
            "thumps", alone, max(THUMP_SHARE * len(hits), LEAST_GROUP),
            f"{alone} times something thumps below 120 Hz where no hit is heard: a hand on the microphone, a stand, "
            "steps, or a bass drum too dark for the plug-in, which listens above 600 Hz. Put the microphone on "
            "something soft and leave it alone.",
        )  # fmt: skip
