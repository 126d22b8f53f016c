"""What a player should know about a recording before an instrument is trained on it, in words."""

from collections.abc import Iterator

import numpy as np
import torch

from timbrekit.errors import Finding
from timbrekit.recording import Recording
from timbrekit.tone.pitch import HOP, PITCHED, RATE, SILENT, WINDOW, Heard, ranges_of

SHORT_SECONDS = 120.0  # DDSP's authors ask for 10 minutes; below two, most notes are heard once or not at all
SILENT_SHARE = 0.4
UNPITCHED_SHARE = 0.25  # of what sounds
NARROW_SEMITONES = 7.0
NARROW_DB = 6.0
POLYPHONIC_SHARE = 0.1  # of what sounds and is checked
POLYPHONIC_DB = -20.0  # what lies between the partials of the pitch, relative to all
HOLLOW_DB = -25.0  # partials 1 to 3, relative to all: with less, the pitch is the undertone of a chord
CHECKED = 400  # windows looked at for polyphony
FOREIGN = {"noise_floor", "very_quiet", "too_short"}  # of a recording of drums, with words for drummers


def tone_findings(recording: Recording, heard: Heard) -> tuple[Finding, ...]:
    """All findings, warnings first.

    Args:
        recording: as read, at 48 kHz.
        heard: of its samples.
    """
    found = [finding for finding in recording.findings if finding.kind not in FOREIGN]
    found += [*_length_and_silence(recording, heard), *_pitch(heard), *_polyphony(recording.samples, heard)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "warning"))


def _length_and_silence(recording: Recording, heard: Heard) -> Iterator[Finding]:
    seconds = recording.duration_s
    if seconds < SHORT_SECONDS:
        yield Finding.warning(
            "too_short", seconds, SHORT_SECONDS,
            f"The recording is {seconds:.0f} s long; two minutes are the least for an instrument that knows its notes, "
            "and five are good. Record more: all its notes, soft and loud, long and short.",
        )  # fmt: skip
    silent = float((heard.loudness <= SILENT).float().mean())
    if silent > SILENT_SHARE:
        yield Finding.warning(
            "silence", silent, SILENT_SHARE,
            f"{silent:.0%} of the recording is silence, from which nothing can be learnt. Cut the pauses out, or play "
            "more in the same time.",
        )  # fmt: skip


def _pitch(heard: Heard) -> Iterator[Finding]:
    sounding, pitched = heard.loudness > SILENT, heard.voiced > PITCHED
    unpitched = float((heard.voiced[sounding] < 0.5).float().mean()) if bool(sounding.any()) else 0.0
    if unpitched > UNPITCHED_SHARE:
        yield Finding.warning(
            "unpitched", unpitched, UNPITCHED_SHARE,
            f"No clear pitch is heard in {unpitched:.0%} of what sounds. Noise, reverberation and drums confuse "
            "training: record the instrument alone, dry and close. If it has no pitch, this is not its journey.",
        )  # fmt: skip
    if not bool(pitched.any()):
        return
    ranges = ranges_of(heard)
    width, spread = (float(high - low) for low, high in (ranges.pitch, ranges.loudness))
    if width < NARROW_SEMITONES:
        yield Finding.warning(
            "narrow_range", width, NARROW_SEMITONES,
            f"All notes lie within {width:.1f} semitones; beyond them the instrument has to guess. Record the whole "
            "range that you want to play.",
        )  # fmt: skip
    if spread < NARROW_DB:
        yield Finding(
            "even_loudness", "info", spread, NARROW_DB,
            f"Soft and loud playing are only {spread:.1f} dB apart, so the instrument will hardly change its sound "
            "with loudness. Record soft and loud notes, and switch off compressors.",
        )  # fmt: skip


def _polyphony(samples: np.ndarray, heard: Heard) -> Iterator[Finding]:
    """Whether much of the sound lies between the partials of the pitch that is heard."""
    steady = heard.voiced > 0.5
    steady[: WINDOW // HOP] = False
    change = torch.zeros(len(heard))
    change[1:] = heard.pitch.diff().abs()
    calm = torch.nn.functional.max_pool1d(change[None], 2 * WINDOW // HOP + 1, 1, WINDOW // HOP)[0] < 0.5
    hops = torch.nonzero(steady & calm).flatten()
    if len(hops) < 20:
        return
    hops = hops[torch.linspace(0, len(hops) - 1, min(CHECKED, len(hops))).long()]
    shares = np.array([_shares(samples, int(hop), float(heard.pitch[hop])) for hop in hops])
    between, lowest = 10 * np.log10(shares + 1e-12).T
    share = float(np.mean((between > POLYPHONIC_DB) | (lowest < HOLLOW_DB)))
    if share > POLYPHONIC_SHARE:
        yield Finding.warning(
            "polyphony", share, POLYPHONIC_SHARE,
            f"In {share:.0%} of the notes more than one is heard, or much noise with it. One note at a time can be "
            "learnt: no chords, no accompaniment, no sustain pedal, little reverberation.",
        )  # fmt: skip


def _shares(samples: np.ndarray, hop: int, pitch: float) -> tuple[float, float]:
    """Shares of the power below 3 kHz: farther than a third of the pitch from its multiples; near the first three.

    The window is twice the listener's where the past allows it, so that low notes have partials to lie between.
    """
    end = (hop + 1) * HOP
    window = samples[max(end - 2 * WINDOW, 0) : end].astype(np.float64)
    power = np.abs(np.fft.rfft(window * np.hanning(len(window)))) ** 2
    step = 440 * 2 ** ((pitch - 69) / 12)
    order = np.arange(len(power)) * RATE / len(window) / step
    inside = (order > 0.5) & (order < 3000 / step)
    width = min(max(2.5 * RATE / len(window) / step, 0.2), 0.34)
    between = inside & (np.abs(order - np.round(order)) > width)
    total = max(power[inside].sum(), 1e-20)
    return float(power[between].sum() / total), float(power[inside & (order < 3.5)].sum() / total)
