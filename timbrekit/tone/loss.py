"""How far two sounds are apart, by their spectra at several resolutions."""

import torch
from torch import Tensor

from timbrekit.tone.pitch import WINDOW, Tables

SCALES = (4096, 2048, 1024, 512, 256, 128)  # samples of a window
OVERLAP = 4  # windows over each sample
LEAST = 1e-7  # added before the logarithm


def spectral_loss(sound: Tensor, target: Tensor, scales: tuple[int, ...] = SCALES) -> Tensor:
    """Multi-scale spectral loss of DDSP (Engel et al., ICLR 2020, eq. 4), with means as in ddsp_pytorch.

    For each scale the mean absolute difference of magnitudes and that of their natural logarithms, added up. Spectra
    are of Hann windows, three quarters overlapping, divided by the root of the window's length. Windows lie within the
    sounds.

    Args:
        sound, target: ``(batch, samples)``, at least as long as the longest window.
        scales: window lengths in samples.

    Returns:
        A number; 0 for equal sounds.
    """
    total = torch.zeros((), device=sound.device)
    for scale in scales:
        made, meant = _magnitudes(sound, scale), _magnitudes(target, scale)
        total = total + (made - meant).abs().mean()
        total = total + (torch.log(made + LEAST) - torch.log(meant + LEAST)).abs().mean()
    return total


def _magnitudes(sound: Tensor, scale: int) -> Tensor:
    window = torch.hann_window(scale, device=sound.device)
    spectrum = torch.stft(
        sound, scale, scale // OVERLAP, window=window, center=False, normalized=True, return_complex=True
    )
    # Not abs(): its gradient is not a number where a spectrum is 0, as in digital silence.
    return (spectrum.real.square() + spectrum.imag.square() + 1e-14).sqrt()


def loudness_loss(sound: Tensor, target: Tensor, tables: Tables) -> Tensor:
    """Mean distance of loudness in dB, over windows as the listener's, a quarter of a window apart.

    Args:
        sound, target: ``(batch, samples)``, at least 2048.
        tables: of :func:`timbrekit.tone.pitch.listening_tables`.
    """
    hann, weights = (table.to(sound) for table in (tables.tapers[2], tables.weights))
    spectra = (torch.fft.rfft(each.unfold(-1, WINDOW, WINDOW // OVERLAP) * hann) for each in (sound, target))
    powers = ((torch.view_as_real(spectrum).square() * weights).sum((-2, -1)) for spectrum in spectra)
    made, meant = (10.0 * torch.log10(power + 1e-8) for power in powers)  # from the listener's floor on
    return (made - meant).abs().mean()
