"""Listening to a model beside what it was made from: the same take in several versions, equally loud.

What is louder sounds better, so versions are matched before they are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyloudnorm
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from timbrekit.features import GATE_LKFS, k_weighting
from timbrekit.plugin.as_played import rehearse_as
from timbrekit.plugin.rehearse import Network, Rehearsal
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth import find_synth
from timbrekit.synth.base import Synth
from timbrekit.training.names import TORCHDRUM

BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.1  # of BS.1770's gating
TARGET_LKFS = -20.0
HIGHEST_PEAK = 0.95
ORIGINAL, REMAPPED, PRESET, MIX = "you", "remapped", "preset alone", "both together"


@dataclass(frozen=True)
class Audition:
    """A take in four versions. All are ``(samples,)`` at ``sample_rate`` and equally loud (LKFS)."""

    versions: dict[str, NDArray[np.float32]]  # you, remapped, preset alone, both together
    rehearsal: Rehearsal
    sample_rate: int  # Hz
    both_level: float  # "both together" is the sum of the first two at this level

    def __len__(self) -> int:
        return len(self.versions[ORIGINAL])


def make_audition(
    module: Network,
    samples: ArrayLike,
    sample_rate: int,
    settings: DetectorSettings | None = None,
    sensitivity: float = 1.0,
    primer: ArrayLike | None = None,
    synth: Synth | None = None,
    initial_ranges: ArrayLike | None = None,
    listener: str = TORCHDRUM,
) -> Audition:
    """Rehearse a recording and put the versions side by side.

    Args:
        samples: ``(samples,)`` mono, full scale ±1; the recording trained on, or any other.
        sample_rate: Hz.
        module, settings, sensitivity, primer, synth, initial_ranges: see ``timbrekit.plugin.rehearse.rehearse``.
        listener: that the model has.

    Raises:
        ModelFileError: the model does not answer as it should.
        TimbrekitError: the sensitivity is out of range.
    """
    samples = np.asarray(samples, np.float32)
    synth = synth or find_synth()
    known = {"primer": primer, "synth": synth, "initial_ranges": initial_ranges}
    rehearsal = rehearse_as(listener, module, samples, sample_rate, settings, sensitivity, **known)
    static = synth.stream(rehearsal.preset, rehearsal.triggers, len(samples), sample_rate)
    versions = match_loudness(
        {ORIGINAL: samples, REMAPPED: rehearsal.audio, PRESET: static}, sample_rate, TARGET_LKFS
    )
    both = versions[ORIGINAL] + versions[REMAPPED]
    level = loudness_gain(both, sample_rate)
    versions[MIX] = level * both
    return Audition(_within_peak(versions), rehearsal, sample_rate, float(level))


def integrated_loudness(samples: ArrayLike, sample_rate: int) -> float:
    """Loudness of a whole take in LKFS: ITU-R BS.1770-4 with both gates, for mono, as pyloudnorm measures it.

    Blocks of 400 ms every 100 ms; those below -70 LKFS do not count, nor do those more than 10 LU below the mean
    of the others. What is left at the end, shorter than a step, is not heard. -70 for silence, and sounds shorter
    than a block are measured as one.

    Args:
        samples: ``(samples,)``, full scale ±1.
        sample_rate: Hz.
    """
    samples = np.asarray(samples, float)
    size, hop = round(BLOCK_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    if len(samples) > size:
        # pyloudnorm rounds: its last block could pass the end
        whole = size + (len(samples) - size) // hop * hop
        meter = pyloudnorm.Meter(sample_rate, block_size=BLOCK_SECONDS)
        loudness = meter.integrated_loudness(samples[:whole])
    else:
        for b, a in k_weighting(sample_rate):
            samples = lfilter(b, a, samples)
        loudness = -0.691 + 10 * np.log10(np.mean(samples**2) + 1e-20) if len(samples) else GATE_LKFS
    return float(max(GATE_LKFS, loudness))  # pyloudnorm has minus infinity where no block is loud enough


def match_loudness(
    versions: Mapping[str, ArrayLike], sample_rate: int, target_lkfs: float = TARGET_LKFS
) -> dict[str, NDArray[np.float32]]:
    """Bring every version to the same loudness. Silence stays silence. Peaks may exceed full scale."""
    return {
        name: np.asarray(samples, np.float32) * loudness_gain(samples, sample_rate, target_lkfs)
        for name, samples in versions.items()
    }


def loudness_gain(samples: ArrayLike, sample_rate: int, target_lkfs: float = TARGET_LKFS) -> np.float32:
    """Factor that brings a sound to a loudness; 1 for silence."""
    loudness = integrated_loudness(samples, sample_rate)
    return np.float32(10 ** ((target_lkfs - loudness) / 20) if loudness > GATE_LKFS else 1.0)


def _within_peak(versions: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """All turned down alike, as far as the loudest peak among them needs it."""
    peak = max(float(np.abs(samples).max(initial=0)) for samples in versions.values())
    gain = np.float32(min(1.0, HIGHEST_PEAK / peak) if peak > 0 else 1.0)
    return {name: samples * gain for name, samples in versions.items()}
