"""Harmonics, filtered noise and a room: what makes the sound of a tone, hop by hop.

After DDSP (Engel et al., ICLR 2020). Every part takes the state that the hops before left and gives back its own, so
that a stream of single hops sounds like the whole at once. Controls hold at the ends of hops; within a hop, pitch and
amplitudes go in a straight line from one to the next. All of it runs in TorchScript.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from timbrekit.tone.pitch import HOP, RATE, k_weighting

PARTIALS = 64
FADE_HZ = (20_000.0, 22_000.0)  # a partial between them fades out: nothing is folded back at half the rate
BANDS = 65  # of the noise
NOISE_FRAME = 2 * HOP
LOWEST_BAND_HZ = 60.0
ROOM_SAMPLES = 48 * HOP  # 256 ms


class Glide(NamedTuple):
    """What harmonics multiply by."""

    ramps: Tensor  # (2, 256) float64: cycles since a hop began for each Hz at its beginning and for each that it rises
    gone: Tensor  # (256,) part of the hop that is gone
    turns: Tensor  # (partials,) 2 pi, 4 pi, ...


def glide(partials: int = PARTIALS) -> Glide:
    """For :func:`harmonics`."""
    step = torch.arange(1, HOP + 1, dtype=torch.float64)
    ramps = torch.stack([step / RATE, step * (step + 1) / (2 * HOP * RATE)])
    return Glide(ramps, (step / HOP).to(torch.float32), 2 * math.pi * torch.arange(1.0, partials + 1))


def audible(hertz: Tensor, fade_from: float = FADE_HZ[0], fade_to: float = FADE_HZ[1]) -> Tensor:
    """How much of a partial sounds at a frequency: 1 to 0. Nothing is folded back at half the rate."""
    return (hertz * (1.0 / (fade_from - fade_to)) + fade_to / (fade_to - fade_from)).clamp(0.0, 1.0)


def harmonics(
    hertz: Tensor, amplitudes: Tensor, phase: Tensor, tables: Glide, limit: float = FADE_HZ[1]
) -> tuple[Tensor, Tensor]:
    """A sum of sines at whole multiples of a pitch that may glide. No gradient reaches the pitch.

    A tone that begins after silence does so at its own pitch: nothing glides up to it.

    Args:
        hertz: ``(batch, 1 + hops)`` at the ends of hops, the first of them that of the hop before. In float64, because
            a phase adds up what rounding leaves.
        amplitudes: ``(batch, 1 + hops, partials)`` likewise, 0 or more; 0 where a partial is not :func:`audible`.
        phase: ``(batch,)`` of the fundamental where the last hop ended, in cycles, float64.
        tables: of :func:`glide`.
        limit: Hz, from which on a partial is silent within a leap.

    Returns:
        ``(batch, hops * 256)`` sound, and the phase at its end.
    """
    before, after = hertz.unfold(1, 2, 1).unbind(-1)
    lines = amplitudes.unfold(1, 2, 1)  # (batch, hops, partials, 2)
    before = torch.where(lines[..., 0].amax(-1) == 0.0, after, before)
    rise = after - before
    inside = torch.matmul(torch.stack([before, rise], -1), tables.ramps)
    whole = inside[..., -1]
    starts = whole.cumsum(-1) - whole + phase.unsqueeze(-1)
    cycles = inside + starts.unsqueeze(-1)
    cycles = (cycles - cycles.round()).to(torch.float32)  # (batch, hops, hop), -0.5 to 0.5
    sines = torch.sin_(cycles.unsqueeze(-1) * tables.turns)  # (batch, hops, hop, partials)
    leaps = torch.nonzero(rise.abs() > 0.05 * before)  # within them a partial may be beyond half the rate
    if leaps.shape[0] > 0:
        i, j = leaps.unbind(1)
        within = torch.addcmul(before[i, j].unsqueeze(-1), rise[i, j].unsqueeze(-1), tables.gone)
        heard = within.to(torch.float32).unsqueeze(-1) * tables.turns < limit * tables.turns[0]
        sines[i, j] = sines[i, j] * heard
    fading, rising = torch.matmul(sines, lines).unbind(-1)
    end = starts[..., -1] + whole[..., -1]
    return torch.lerp(fading, rising, tables.gone).flatten(1), torch.remainder(end, 1.0)


def band_matrix() -> Tensor:
    """Triangles that spread bands over the bins of a noise frame, as ``(65, 257)``; each bin's add up to 1.

    Bands are evenly spaced in ERB rate (Glasberg and Moore 1990), so that the ear has the same use of each.
    """
    bins = torch.arange(NOISE_FRAME // 2 + 1, dtype=torch.float64) * (RATE / NOISE_FRAME)
    lowest = math.log10(1 + 0.00437 * LOWEST_BAND_HZ)
    highest = math.log10(1 + 0.00437 * RATE / 2)
    place = (torch.log10(1 + 0.00437 * bins) - lowest) / (highest - lowest) * (BANDS - 1)
    distance = (place.clamp(0, BANDS - 1) - torch.arange(BANDS, dtype=torch.float64).unsqueeze(-1)).abs()
    return (1 - distance).clamp_min(0).to(torch.float32)


def bin_power() -> Tensor:
    """K-weighted mean square that each bin of a noise frame contributes at magnitude 1: ``(257,)``."""
    bins = torch.arange(NOISE_FRAME // 2 + 1, dtype=torch.float64) * (RATE / NOISE_FRAME)
    both_sides = torch.full_like(bins, 2.0)
    both_sides[[0, -1]] = 1.0
    return (k_weighting(bins) * both_sides / NOISE_FRAME).to(torch.float32)


def noise(magnitudes: Tensor, white: Tensor, tail: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """White noise shaped in frequency, one frame a hop, overlapping by half.

    Args:
        magnitudes: ``(batch, hops, 257)`` gain of each bin at the ends of hops.
        white: ``(batch, hops, 514)`` of :func:`white_noise`.
        tail: ``(batch, 256)`` the second half of the frame before.
        window: of :func:`noise_window`.

    Returns:
        ``(batch, hops * 256)`` sound, and the tail it leaves.
    """
    spectra = torch.view_as_complex(white.unflatten(-1, [-1, 2]) * magnitudes.unsqueeze(-1))
    frames = torch.fft.irfft(spectra) * window
    fading, rising = frames.unflatten(-1, [2, -1]).unbind(-2)
    late = torch.cat([tail.unsqueeze(1), rising], 1)
    return (fading + late[:, :-1]).flatten(1), late[:, -1]


def noise_window() -> Tensor:
    """Half a sine, (512,), for noise of variance 1: the squares of overlapping halves add up to as much.

    The real and the imaginary part of each bin have a variance of 1/3, and the inverse transform divides by 512.
    """
    shape = torch.sin((torch.arange(NOISE_FRAME) + 0.5) * (math.pi / NOISE_FRAME))
    return shape * math.sqrt(1.5 * NOISE_FRAME)


def white_noise(batch: int, hops: int, generator: torch.Generator | None = None) -> Tensor:
    """Spectra of white noise, real and imaginary parts by turns, uniform in -1..1: ``(batch, hops, 514)``."""
    return torch.empty(batch, hops, NOISE_FRAME + 2).uniform_(-1, 1, generator=generator)


def room(sound: Tensor, response: Tensor) -> Tensor:
    """A whole sound ``(batch, samples)`` convolved with a room's impulse response ``(taps,)``, as long as before."""
    samples = sound.shape[1]
    size = samples + response.shape[0] - 1
    size += -size % 256  # a length whose transform is quick
    return torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(response, size), size)[:, :samples]


def room_parts(response: Tensor) -> Tensor:
    """Spectra of the hops of an impulse response ``(parts * 256,)``, the last first, twice: ``(2 * parts, 257)``."""
    return torch.fft.rfft(response.reshape(-1, HOP).flip(0), 2 * HOP).repeat(2, 1)


def room_hops(sound: Tensor, before: Tensor, parts: Tensor, ring: Tensor, place: int) -> tuple[Tensor, int]:
    """Hops of a sound in a room, by partitioned convolution (Stockham 1966; overlap-save).

    Args:
        sound: ``(hops * 256,)``.
        before: ``(256,)`` the hop before it.
        parts: of :func:`room_parts`.
        ring: ``(parts, 257)`` spectra of the latest hops, zeros to begin with. The new ones are written into it.
        place: in the ring, of the next hop; 0 to begin with.

    Returns:
        ``(hops * 256,)`` sound in the room, and the next place.
    """
    hop, count = before.shape[0], ring.shape[0]
    heard: list[Tensor] = []
    for spectrum in torch.fft.rfft(torch.cat([before, sound]).unfold(0, 2 * hop, hop)).unbind():
        ring[place] = spectrum
        heard.append((ring * parts[count - 1 - place : 2 * count - 1 - place]).sum(0))
        place = (place + 1) % count
    return torch.fft.irfft(torch.stack(heard))[:, hop:].flatten(), place
