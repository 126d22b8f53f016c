"""How well an instrument does what it is told: pitch, octaves, loudness, spectrum."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from timbrekit.tone.instrument import Instrument
from timbrekit.tone.pitch import CENTRE, HOP, PITCHED, Heard, hear
from timbrekit.tone.train import Dataset, part_loss

LAG = CENTRE // HOP  # hops after which what was asked for is heard in the middle of the listener's window


@dataclass(frozen=True)
class Measured:
    """Errors over the parts of a recording that were held out by time."""

    spectral_loss: float
    pitch_cents_median: float  # of the distance between the pitch asked for and the one heard
    octave_error_share: float  # of hops whose pitch is off by an octave or more octaves, within a semitone
    loudness_rank: float  # Spearman's correlation of loudness asked for and heard


def measure_held_out(instrument: Instrument, data: Dataset, part: str = "test") -> Measured:
    """Play a part of the recording and listen to what comes out, with the instrument's own listener."""
    distances, asked, got = [], [], []
    for start, end in data.parts[part]:
        wanted = data.heard.part(start, end)
        distance, loudness = compare(wanted, hear(instrument.play(wanted)))
        distances.append(distance)
        asked.append(loudness[0])
        got.append(loudness[1])
    distance = np.concatenate(distances)
    return Measured(
        part_loss(instrument, data, part),
        float(100 * np.median(np.abs(distance))) if len(distance) else float("nan"),
        float(octave_errors(distance).mean()) if len(distance) else float("nan"),
        float(spearmanr(np.concatenate(asked), np.concatenate(got)).statistic),
    )


def compare(asked: Heard, heard: Heard) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Hold what was heard of an instrument's output against what was asked of it.

    Returns:
        Distances in semitones where both are pitched, and the loudness asked for and heard, hop by hop.
    """
    hops = len(asked) - LAG
    both = (asked.voiced[:hops] > PITCHED) & (heard.voiced[LAG : LAG + hops] > PITCHED)
    distance = (heard.pitch[LAG : LAG + hops] - asked.pitch[:hops])[both]
    loudness = asked.loudness[:hops].numpy(), heard.loudness[LAG : LAG + hops].numpy()
    return distance.numpy(), loudness


def octave_errors(distance: np.ndarray) -> np.ndarray:
    """Which distances in semitones are within one of a whole number of octaves, not of none."""
    octaves = np.round(distance / 12)
    return (octaves != 0) & (np.abs(distance - 12 * octaves) < 1)
