"""From one to eight hits of a drum to the drum as numbers: modes that the hits share, noise, and an onset part."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from timbrekit.synth.drum import ONSET_RATE, SILENT_DB, Drum
from timbrekit.synth.drum_parts import onset_window
from timbrekit.synth.modes import Modes, find_modes, scaled
from timbrekit.synth.noise_bands import band_centres, fit_bands, mean_levels

LONGEST = 2.0  # s of a hit that are looked at
ONSET = 0.022  # s of the onset part
ONSET_OF_KICKS = 0.040  # s; they take longer to ring, as their periods are long
MODES_FROM = 0.015  # s before which the modes' fit counts little
NOISE_FROM = 0.010
LOUDNESS_SECONDS = 0.1
# dB^2. How strongly a level's growth is drawn to 1: as much as two hits 4 dB apart.
GROWTH_RIDGE = 16.0
EARLY, LATE = (0.01, 0.08), (0.25, 0.6)  # s in which the noise of several hits is compared


def analyse(hits: Sequence[NDArray], progress: Callable[[str], None] | None = None) -> Drum:
    """Model a drum.

    Args:
        hits: each ``(samples,)`` at 48 kHz, of the same drum, from its onset on; levels as they were recorded.
        progress: called with a few words at each step.
    """
    say = progress or (lambda words: None)
    rate = ONSET_RATE
    hits = [np.asarray(hit, float)[: int(LONGEST * rate)] for hit in hits]
    loudness = np.array([loudness_of(hit, rate) for hit in hits])
    reference = int(np.argsort(loudness, kind="stable")[(len(hits) - 1) // 2])
    order = [reference, *(index for index in range(len(hits)) if index != reference)]
    kind = kind_of(hits[reference], rate)
    say("Looking for modes")
    modes = _found(hits, order, rate, kind in ("kick", "tom"))
    say("Fitting the noise")
    left = [hit - modes.render(index, len(hit), rate) for index, hit in enumerate(hits)]
    noise = [fit_bands(sound, rate, NOISE_FROM) for sound in left]
    count = int((ONSET_OF_KICKS if kind == "kick" else ONSET) * rate)
    window = onset_window(count, rate)
    onset = np.stack([_padded(sound, count) * window for sound in left])
    harder = loudness - loudness[reference]
    louder = np.argsort(loudness, kind="stable")
    phase = np.angle(modes.gain)
    phase[louder] = np.unwrap(phase[louder], axis=0)
    early, late = (np.stack([mean_levels(sound, rate, *span) for sound in left]) for span in (EARLY, LATE))
    # How modes grow is asked of bands, not of each mode: modes that lie close partly cancel, and have to go on so.
    struck = np.stack([mean_levels(hit, rate, *EARLY) for hit in hits])
    growth = _growth(struck, harder, reference)
    return Drum(
        kind=kind,
        seconds=len(hits[reference]) / rate,
        reference=reference,
        glide_amount=float(modes.glide.amount),
        glide_time=float(modes.glide.time),
        loudness=loudness,
        frequency=modes.frequency,
        level=20 * np.log10(np.abs(modes.gain) + 1e-9),
        phase=phase,
        decay=modes.decay[reference],
        gliding=modes.gliding.astype(float),
        level_slope=np.interp(np.log(modes.frequency), np.log(band_centres()), growth),
        noise_level=np.stack([each.level for each in noise]).clip(SILENT_DB),
        noise_slope=_growth(early, harder, reference),
        late_slope=_growth(late, harder, reference),
        noise_shape=noise[reference].shape,
        onset=onset,
    )


def kind_of(hit: NDArray, rate: float) -> str:
    """What sort of drum it is, by where its energy lies: a rough guess, for the choice of model and for people."""
    power = np.square(np.abs(np.fft.rfft(hit)))
    frequency = np.fft.rfftfreq(len(hit), 1 / rate)
    total = power.sum() + 1e-30
    low, high = power[frequency < 110].sum() / total, power[frequency > 2500].sum() / total
    if high > 0.6:
        return "cymbal" if power[frequency < 500].sum() / total < 0.05 else "snare"
    if low > 0.5:
        return "kick"
    if high > 0.04:
        return "snare"
    return "tom" if power[frequency < 500].sum() / total > 0.6 else "other"


def _found(hits: list[NDArray], order: list[int], rate: float, with_glide: bool) -> Modes:
    """Modes with a row for each hit, at the level it was recorded with."""
    loudest = [np.sqrt(np.mean(np.square(hits[index]))) for index in order]
    modes = scaled(
        find_modes([hits[index] for index in order], rate, with_glide, MODES_FROM), np.array(loudest)
    )
    back = np.argsort(order)
    return Modes(modes.frequency, modes.gliding, modes.decay[back], modes.gain[back], modes.glide)


def _growth(values: NDArray, harder: NDArray, reference: int) -> NDArray:
    """By how many dB levels ``(hits, …)`` grow for every dB of loudness ``(hits,)``."""
    risen = (values - values[reference]).clip(-60, 60)
    return ((harder @ risen + GROWTH_RIDGE) / (harder @ harder + GROWTH_RIDGE)).clip(-1, 3)


def loudness_of(hit: NDArray, rate: float) -> float:
    """dB of full scale, RMS over the first 100 ms: what ``strike`` is measured in."""
    return _level(hit, rate, 0.0, LOUDNESS_SECONDS)


def _level(sound: NDArray, rate: float, start: float, end: float) -> float:
    piece = sound[int(start * rate) : int(end * rate)]
    return float(10 * np.log10(np.sum(np.square(piece)) / max(1, len(piece)) + 1e-12))


def _padded(sound: NDArray, count: int) -> NDArray:
    return np.pad(sound[:count], (0, max(0, count - len(sound))))
