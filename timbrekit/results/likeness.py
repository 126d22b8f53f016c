"""How near a modelled sound comes to the recorded one: three published figures, each a distance, 0 where equal.

All are taken over the first 2 s at 48 kHz; a shorter sound is followed by silence, which counts as heard. A model with
noise in it cannot reach 0: two renders of the same model with other noise already differ, and that difference is the
floor beside which a figure has to be read.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

RATE = 48_000  # Hz
SECONDS = 2
# Of auraloss 0.4's MultiResolutionSTFTLoss, at its defaults: FFT size, hop, window length, all in samples.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
POWER_FLOOR = 1e-8
LSD_FFT, LSD_HOP = 8092, 64  # 8092, not 8192: as published
FLUX_FFT, FLUX_HOP = 512, 64


@dataclass(frozen=True)
class Likeness:
    """The three figures of one sound against another."""

    mss: float
    lsd: float
    onset_error: float


def measure(modelled: ArrayLike, recorded: ArrayLike) -> Likeness:
    """All three figures. Sounds ``(samples,)`` at 48 kHz; more than 2 s are not looked at."""
    pair = two_seconds(modelled), two_seconds(recorded)
    return Likeness(*(float(figure(*pair)) for figure in (mss, lsd, onset_error)))


def beside_floor(render: Callable[[int], ArrayLike], recorded: ArrayLike) -> dict[str, float]:
    """The figures of a model, each beside its floor.

    Args:
        render: the model's sound ``(samples,)`` with the noise of a seed.
        recorded: ``(samples,)`` at 48 kHz.

    Returns:
        ``mss``, ``lsd``, ``onset_error`` of seed 0 against the recording, and the same names with ``_floor``: seed 1
        against seed 0.
    """
    first = render(0)
    floor = measure(render(1), first)
    return asdict(measure(first, recorded)) | {
        f"{name}_floor": value for name, value in asdict(floor).items()
    }


def mss(modelled: Tensor, recorded: Tensor) -> Tensor:
    """Multi-resolution spectral loss of two sounds ``(samples,)``: auraloss at its defaults, which tests compare with.

    Mean over three resolutions of spectral convergence, ``|R - M| / |R|`` in the Frobenius norm of the magnitudes,
    plus the mean absolute difference of their natural logarithms; powers below 1e-8 count as 1e-8 (Yamamoto et al.,
    ICASSP 2020; Steinmetz and Reiss, DMRN+15).
    """
    total = modelled.new_zeros(())
    for size, hop, window in RESOLUTIONS:
        powers = (_power(sound, size, hop, window) for sound in (modelled, recorded))
        m, r = (power.clamp_min(POWER_FLOOR).sqrt() for power in powers)
        total = total + torch.linalg.norm(r - m) / torch.linalg.norm(r) + (m.log() - r.log()).abs().mean()
    return total / len(RESOLUTIONS)


def lsd(modelled: Tensor, recorded: Tensor) -> Tensor:
    """Log spectral distance of two sounds ``(samples,)``, in nepers of power.

    ``ln(|X|^2 + 1e-8)`` of a Hann-windowed STFT (8092 samples, hop 64); root of the mean square over frequency, mean
    over time (as in drumblender: Shier et al., Forum Acusticum 2023).
    """
    powers = (_power(sound, LSD_FFT, LSD_HOP, LSD_FFT) for sound in (modelled, recorded))
    m, r = (torch.log(power + POWER_FLOOR) for power in powers)
    return (m - r).square().mean(-2).sqrt().mean()


def onset_error(modelled: Tensor, recorded: Tensor) -> Tensor:
    """How differently energy arrives: the spectral flux of two sounds ``(samples,)``, compared frame by frame.

    Flux of a frame is the sum over frequency of what each magnitude has risen since the frame before (Hann, 512
    samples, hop 64). The error is the sum over time of the absolute difference of both fluxes over the sum of the
    recording's. Differences are along time; the published code takes them along frequency, which has no onsets, so
    its figures are not comparable.
    """
    m, r = (_flux(sound) for sound in (modelled, recorded))
    return (m - r).abs().sum() / r.sum()


def two_seconds(sound: ArrayLike) -> Tensor:
    """``(96000,)`` float32: the sound's first 2 s, silence after its end."""
    samples = torch.as_tensor(np.asarray(sound), dtype=torch.float32)[: SECONDS * RATE]
    return torch.nn.functional.pad(samples, (0, SECONDS * RATE - len(samples)))


def _flux(sound: Tensor) -> Tensor:
    # Silence before, so that what the first sample brings is a rise too.
    padded = torch.nn.functional.pad(sound, (FLUX_FFT, 0))
    return _power(padded, FLUX_FFT, FLUX_HOP, FLUX_FFT).sqrt().diff(dim=-1).clamp_min(0).sum(-2)


def _power(sound: Tensor, size: int, hop: int, window: int) -> Tensor:
    """``(frequencies, frames)``."""
    shape = torch.hann_window(window, dtype=sound.dtype)
    spectrum = torch.view_as_real(torch.stft(sound, size, hop, window, shape, return_complex=True))
    return spectrum.square().sum(-1)
