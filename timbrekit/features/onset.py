"""What the plug-in hears at an onset: three features of 256 samples, the input of the mapping."""

import math

import torch
from torch import Tensor

ONSET_WINDOW = 256  # samples, at any sample rate
# Samples by which training also hears a hit earlier and later than the plug-in does: half of all strokes are detected
# from 4 samples before to 72 after their start (see ``recording.hits``), so a like stroke may well be heard this much
# off. In samples at any rate, as the detector's own constants are.
MOST_SHIFT = 32
ONSET_FEATURES = ("loudness", "centroid", "flatness")
ONSET_FEATURE_UNITS = ("dB RMS", "semitones (MIDI)", "dB")
POWER_FLOOR = 1e-10  # of a bin of the spectrum whose flatness is taken


def onset_features(windows: Tensor, sample_rate: int) -> Tensor:
    """The plug-in's three onset features, in its order.

    Args:
        windows: ``(…, 256)`` samples, full scale 1; other lengths for comparisons.
        sample_rate: in Hz.

    Returns:
        ``(…, 3)``: RMS in dB (at least -80), spectral centroid in MIDI semitones (0 where the spectrum is
        empty or its centroid is at 0 Hz), spectral flatness in dB.
    """
    dtype = windows.dtype
    # In double precision whatever comes in: a pure tone's flatness stands at the rounding floor of the FFT.
    windows = windows.double()
    rms_db = 20 * torch.log10(windows.square().mean(-1).sqrt() + 1e-8)
    # The plug-in's Hann window is symmetric; the paper's features below use periodic ones.
    hann = torch.hann_window(windows.shape[-1], periodic=False, dtype=windows.dtype, device=windows.device)
    magnitude = torch.fft.rfft(windows * hann).abs()
    frequency = torch.linspace(
        0, sample_rate / 2, magnitude.shape[-1], dtype=windows.dtype, device=windows.device
    )
    total = magnitude.sum(-1)
    centroid_hz = (magnitude * frequency).sum(-1) / total.clamp_min(torch.finfo(windows.dtype).tiny)
    heard = centroid_hz > 0
    semitones = 12 * torch.log2(torch.where(heard, centroid_hz, 1.0) / 440) + 69
    power = magnitude.square().clamp_min(POWER_FLOOR)
    flatness_db = 20 / math.log(10) * (power.log().mean(-1) - power.mean(-1).log())
    return torch.stack([rms_db.clamp_min(-80), torch.where(heard, semitones, 0.0), flatness_db], -1).to(dtype)
