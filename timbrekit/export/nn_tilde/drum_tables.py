"""What a drum's voice in nn~ computes once for a sample rate, in what TorchScript can compile.

The formulas are those of ``timbrekit.synth.noise_bands`` and ``drum_parts``, which hold their sources.
"""

import math

import torch
from torch import Tensor


def noise_table(rate: int, shape: Tensor, erb: Tensor) -> Tensor:
    """``(20, 65536)`` float32, as ``timbrekit.synth.noise_bands.noise_table``.

    Args:
        rate: Hz.
        shape: ``(513,)`` dB from 0 to 24 kHz.
        erb: ``(20,)`` number of ERBs below each band's centre.
    """
    period = 65536
    hertz = torch.arange(period // 2 + 1).to(torch.float64) * (rate / period)
    at = hertz / 24000.0 * 512.0
    whole = at.floor().clamp(0, 511)
    left = shape.index_select(0, whole.to(torch.int64))
    right = shape.index_select(0, whole.to(torch.int64) + 1)
    level = torch.where(at <= 512.0, left + (right - left) * (at - whole), torch.full_like(at, -200.0))
    angle = scattered(period // 2 + 1) * (2.0 * math.pi)
    spectrum = torch.polar(torch.exp(level * (math.log(10.0) / 20.0)), angle)
    bands = erb.shape[0]
    place = (21.4 * torch.log10(1.0 + 0.00437 * hertz) - erb[0]) / (erb[bands - 1] - erb[0]) * (bands - 1)
    place = place.clamp(0.0, bands - 1.0)
    rows: list[Tensor] = []
    for band in range(bands):
        response = torch.cos((place - float(band)).abs().clamp(0.0, 1.0) * (math.pi / 2))
        row = torch.fft.irfft(spectrum * response * (hertz > 0), period)
        rows.append((row / (row.square().mean().sqrt() + 1e-30)).to(torch.float32))
    return torch.stack(rows)


def scattered(count: int) -> Tensor:
    """``(count,)`` float64, as ``timbrekit.synth.noise_bands.scattered``."""
    x = torch.arange(1, count + 1)
    x = torch.bitwise_and(torch.bitwise_xor(x, torch.bitwise_right_shift(x, 16)) * 0x7FEB352D, 0xFFFFFFFF)
    x = torch.bitwise_and(torch.bitwise_xor(x, torch.bitwise_right_shift(x, 15)) * 0x846CA68B, 0xFFFFFFFF)
    return torch.bitwise_xor(x, torch.bitwise_right_shift(x, 16)).to(torch.float64) / 4294967296.0


def at_rate(waves: Tensor, rate: int) -> Tensor:
    """Waveforms ``(hits, n)`` at 48 kHz, at another rate, as ``scipy.signal.resample_poly``: a sinc under a Kaiser
    window, beta 5."""
    if rate == 48000:
        return waves
    a, b = rate, 48000
    while b != 0:
        a, b = b, a % b
    up, down = rate // a, 48000 // a
    slower = max(up, down)
    half = 10 * slower
    at = torch.arange(-half, half + 1).to(torch.float64)
    sinc = torch.sin(at * (math.pi / slower)) / torch.where(
        at == 0, torch.ones_like(at), at * (math.pi / slower)
    )
    sinc = torch.where(at == 0, torch.ones_like(at), sinc)
    taps = sinc * torch.i0(5.0 * torch.sqrt(1.0 - (at / half).square()))
    taps = taps * (up / taps.sum())
    length = waves.shape[1]
    # in samples of the common multiple of both rates
    places = torch.arange((length * up + down - 1) // down) * down
    first = torch.div(places - half + up - 1, up, rounding_mode="floor")
    samples = first.unsqueeze(1) + torch.arange(2 * half // up + 1)
    which = places.unsqueeze(1) - samples * up + half
    heard = (which >= 0) & (which <= 2 * half) & (samples >= 0) & (samples < length)
    weights = taps.index_select(0, which.clamp(0, 2 * half).flatten()).view(which.shape) * heard
    gathered = waves.index_select(1, samples.clamp(0, length - 1).flatten())
    return (gathered.view([waves.shape[0], which.shape[0], which.shape[1]]) * weights).sum(2)


def three_bands(waves: Tensor, rate: int) -> Tensor:
    """``(hits, 3, n)``, as ``timbrekit.synth.drum_parts.three_bands``."""
    length = waves.shape[1]
    size = 1
    while size < 4 * length:
        size *= 2
    spectrum = torch.fft.rfft(waves, size)
    hertz = torch.arange(size // 2 + 1).to(torch.float64) * (rate / size)
    below: list[Tensor] = []
    for crossover in [500.0, 3000.0]:
        edge = 1.0 / (1.0 + (hertz / crossover).square().square())
        below.append(torch.fft.irfft(spectrum * edge, size)[:, :length])
    return torch.stack([below[0], below[1] - below[0], waves - below[1]], 1)


def onset_room(at_48_khz: Tensor, rate: int) -> Tensor:
    """``(drums, n)`` float32: the noise's share while onset parts of so many samples sound."""
    lengths = ((at_48_khz.unsqueeze(1) * rate) / 48000.0).ceil()
    ages = torch.arange(int(lengths.max())).to(torch.float64)
    fades = lengths.clamp_max(float(int(0.010 * rate)))
    down = torch.minimum((ages - (lengths - fades) + 1.0).clamp_min(0.0), fades) / fades
    return (1.0 - (0.5 + 0.5 * torch.cos(down * math.pi)).square()).clamp_min(0).sqrt().to(torch.float32)
