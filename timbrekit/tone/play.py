"""Play an instrument with a recording of something else: its pitch and loudness, brought to the instrument's."""

from dataclasses import dataclass

import numpy as np
import torch

from timbrekit.errors import Finding
from timbrekit.tone.instrument import Instrument, Ranges
from timbrekit.tone.pitch import CENTRE, FLOOR, HOP, PITCHED, Heard, hear

PLAYABLE = (12.0, 120.0)  # semitones: 16 Hz to 8.4 kHz
WIDEST_SHIFT = 4  # octaves
LEAST_SPREAD = 3.0  # dB between soft and loud, below which loudness is moved and not stretched
ROOM_BESIDE = 1.0  # semitones beyond the instrument's range that still count as within it


@dataclass(frozen=True, eq=False)
class Played:
    """What was played and how."""

    samples: np.ndarray  # (samples,) at 48 kHz, as long as the input and in time with it
    asked: Heard  # the controls that the instrument got
    octaves: int  # by which the input was moved
    findings: tuple[Finding, ...]


def play(
    instrument: Instrument, samples: np.ndarray, transpose: float = 0.0, loudness: str = "fit", seed: int = 0
) -> Played:
    """Play an instrument with a recording of one voice or of another instrument.

    Args:
        instrument: a trained one.
        samples: ``(samples,)`` at 48 kHz.
        transpose: semitones, after the input was brought to the instrument's range by octaves.
        loudness: "fit" brings the input's loudness to the instrument's, "as-is" keeps it.
        seed: of the noise.
    """
    # so much longer that nothing is cut off when the sound is brought back in time
    lead = -len(samples) % HOP + CENTRE
    heard = hear(np.concatenate([samples, np.zeros(lead, np.float32)]))
    asked, octaves = fit(heard, instrument.ranges, transpose, loudness)
    sound = instrument.play(asked, seed).numpy()[CENTRE : CENTRE + len(samples)]
    peak = float(np.abs(sound).max(initial=0.0))
    findings = list(_input_findings(asked, instrument.ranges))
    if peak > 1.0:
        sound = sound / peak
        findings.append(
            Finding.warning("too_loud", peak, 1.0,
                f"The sound would exceed full scale by {20 * np.log10(peak):.1f} dB and was turned down by that much. "
                "Use --loudness fit, or a softer input.")
        )  # fmt: skip
    return Played(sound, asked, octaves, tuple(findings))


def fit(heard: Heard, ranges: Ranges, transpose: float = 0.0, loudness: str = "fit") -> tuple[Heard, int]:
    """Bring what was heard to an instrument's ranges.

    Pitch is moved by the whole octaves that bring most of it within the instrument's range, then by ``transpose``.
    Loudness between the input's soft and loud is stretched to the instrument's; silence stays silence.

    Returns:
        The controls to play, and the octaves.
    """
    pitched = heard.voiced > PITCHED
    if not bool(pitched.any()):
        return heard, 0
    pitch = heard.pitch[pitched]
    low, high = ranges.pitch[0] - ROOM_BESIDE, ranges.pitch[1] + ROOM_BESIDE
    middle = (ranges.pitch[0] + ranges.pitch[1]) / 2

    def missed(octaves: int) -> tuple[float, float]:
        moved = pitch + 12 * octaves
        outside = ((moved < low) | (moved > high)).float().mean()
        return round(float(outside), 2), float((moved.median() - middle).abs())

    octaves = min(range(-WIDEST_SHIFT, WIDEST_SHIFT + 1), key=missed)
    moved = (heard.pitch + 12 * octaves + transpose).clamp(*PLAYABLE)
    if loudness == "as-is":
        return Heard(moved, heard.voiced, heard.loudness), octaves
    soft, loud = np.percentile(heard.loudness[pitched].numpy(), (5, 95))
    if loud - soft < LEAST_SPREAD:
        soft, loud = (soft + loud - LEAST_SPREAD) / 2, (soft + loud + LEAST_SPREAD) / 2
    ratio = (ranges.loudness[1] - ranges.loudness[0]) / (loud - soft)
    below = (ranges.loudness[0] - FLOOR) / max(soft - FLOOR, 1.0)
    level = heard.loudness
    fitted = torch.where(
        level > soft, ranges.loudness[0] + (level - soft) * ratio, FLOOR + (level - FLOOR) * below
    )
    fitted = fitted.clamp(FLOOR, ranges.loudness[1] + 6.0)
    return Heard(moved, heard.voiced, fitted), octaves


def _input_findings(asked: Heard, ranges: Ranges) -> list[Finding]:
    pitched = asked.voiced > PITCHED
    if not bool(pitched.any()):
        return [
            Finding.warning("no_pitch", 0.0, 0.0,
                "No pitch was heard in the input, so little will sound. Sing or play one note at a time, close to the "
                "microphone.")
        ]  # fmt: skip
    pitch = asked.pitch[pitched]
    low, high = ranges.pitch[0] - ROOM_BESIDE, ranges.pitch[1] + ROOM_BESIDE
    outside = float(((pitch < low) | (pitch > high)).float().mean())
    if outside > 0.1:
        return [
            Finding("out_of_range", "info", outside, 0.1,
                f"{outside:.0%} of the notes lie beyond what the instrument played in its recording; there it guesses. "
                "Try --transpose.")
        ]  # fmt: skip
    return []
