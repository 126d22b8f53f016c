"""What is heard of a hit while it goes on: log-mel bands and levels of windows that end later and later, the *looks*.

docs/listener.md has the definition for those who write a host.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from timbrekit.synth.updates import rate_factor

LEAST_POWER = 1e-8  # added to powers: nothing is softer than -80 dB
LEAST_FFT = 1024  # samples at 48 kHz: shorter windows are padded with zeros
HIGHEST_HZ = 16_000.0  # end of the mel bands
FIRST_SAMPLE = 2  # after the detection, of a window without samples before it: as the plug-in has it


@dataclass(frozen=True)
class Look:
    """One window. Numbers of samples are those at 44.1 and 48 kHz (``timbrekit.synth.updates.rate_factor``)."""

    before: int  # samples of the window before sample ``detection + 2``
    after: int  # samples from there on
    bands: int  # mel bands
    parts: int  # of equal length, whose levels are measured

    @property
    def features(self) -> int:
        return self.bands + self.parts

    def window(self, sample_rate: int) -> tuple[int, int]:
        """First sample and the one past the last, both after the detection."""
        factor = rate_factor(sample_rate)
        return FIRST_SAMPLE - round(self.before * factor), FIRST_SAMPLE + round(self.after * factor)

    def fft_size(self, sample_rate: int) -> int:
        """The power of two that holds the window, ``LEAST_FFT`` at least."""
        size = max(LEAST_FFT, 2 ** math.ceil(math.log2(self.before + self.after)))
        return round(size * rate_factor(sample_rate))


LOOKS = (Look(64, 64, 8, 4), Look(0, 256, 16, 4), *(Look(0, after, 16, 8) for after in (768, 1536, 4096)))
FEATURES = tuple(sum(look.features for look in LOOKS[: i + 1]) for i in range(len(LOOKS)))  # heard so far


def look_delays(sample_rate: int) -> tuple[int, ...]:
    """Samples from the detection to the answer to each look: the last one of its window."""
    return tuple(look.window(sample_rate)[1] - 1 for look in LOOKS)


def look_starts(sample_rate: int) -> tuple[int, ...]:
    """Samples from the trigger to the answer to each look; the first look's answer is the trigger."""
    delays = look_delays(sample_rate)
    return tuple(delay - delays[0] for delay in delays)


def looks_heard(detections: NDArray[np.int64], sample_rate: int) -> NDArray[np.int64]:
    """``(n,)`` how many looks at each hit are answered before the next one is detected; the first one always is."""
    following = np.append(detections[1:], np.iinfo(np.int64).max)
    answers = detections[:, None] + np.array(look_delays(sample_rate))
    return (answers < following[:, None]).sum(1).clip(1)


def hear_looks(samples: Tensor, detections: Tensor, sample_rate: int, shift: int = 0) -> Tensor:
    """Features of all looks at the hits of a recording, with silence before and after it.

    Args:
        samples: ``(samples,)``; or ``(n, samples)``, a recording for each hit.
        detections: ``(n,)`` where the detector fires.
        sample_rate: Hz.
        shift: hear everything so many samples later.

    Returns:
        ``(n, 104)`` in dB, float32.
    """
    reach = look_delays(sample_rate)[-1] + 1 + abs(shift)
    padded = torch.nn.functional.pad(samples, (reach, reach)).expand(len(detections), -1)
    heard = []
    for look in LOOKS:
        first, end = look.window(sample_rate)
        index = (detections + reach + shift)[:, None] + torch.arange(first, end)
        heard.append(look_features(padded.gather(1, index), look, sample_rate))
    return torch.cat(heard, -1).float()


def look_features(windows: Tensor, look: Look, sample_rate: int) -> Tensor:
    """The features of one look.

    Args:
        windows: ``(…, before + after)`` samples, full scale 1.
        look: which one.
        sample_rate: Hz.

    Returns:
        ``(…, bands + parts)`` in dB, -80 at least: for each band the mean power density over its triangle, 0 dB where
        white noise has a mean square of 1; then the mean square of each part of the window.
    """
    windows = windows.double()
    count, size = windows.shape[-1], look.fft_size(sample_rate)
    phase = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    hann = torch.sin(math.pi * phase).square()
    power = torch.fft.rfft(windows * hann, size).abs().square() / hann.square().sum()
    bands = power @ mel_filters(look.bands, size, sample_rate)
    levels = windows.square().unflatten(-1, (look.parts, -1)).mean(-1)
    return 10 * torch.log10(torch.cat([bands, levels], -1) + LEAST_POWER)


@cache
def mel_filters(bands: int, fft_size: int, sample_rate: int) -> Tensor:
    """``(fft_size // 2 + 1, bands)``: triangles, equally wide and half overlapping in mel from 0 to 16 kHz, sum 1 each.

    Mel as HTK has it: ``2595 log10(1 + f / 700)``.
    """
    top = 2595 * math.log10(1 + HIGHEST_HZ / 700)
    mel = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hz = torch.arange(fft_size // 2 + 1, dtype=torch.float64)[:, None] * (sample_rate / fft_size)
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return triangles / triangles.sum(0).clamp_min(1e-12)
