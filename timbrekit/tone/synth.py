"""Harmonics, filtered noise and a room: what makes the sound of a tone, hop by hop.

After DDSP (Engel et al., ICLR 2020). Every part takes the state that the hops before left and gives back its own, so
that a stream of single hops sounds like the whole at once. Controls hold at the ends of hops; within a hop, pitch and
amplitudes go in a straight line from one to the next. All of it runs in TorchScript.
"""

import math

import torch
from torch import Tensor

from timbrekit.tone.pitch import HOP, RATE, k_weighting

PARTIALS = 64
FADE_HZ = (20_000.0, 22_000.0)  # a partial between them fades out: nothing is folded back at half the rate
BANDS = 65  # of the noise
NOISE_FRAME = 2 * HOP
LOWEST_BAND_HZ = 60.0
ROOM_SAMPLES = 48 * HOP  # 256 ms


def harmonics(
    pitch: Tensor,
    amplitudes: Tensor,
    phase: Tensor,
    ramps: Tensor,
    fade_from: float = FADE_HZ[0],
    fade_to: float = FADE_HZ[1],
) -> tuple[Tensor, Tensor]:
    """A sum of sines at whole multiples of a pitch that may glide. No gradient reaches the pitch.

    A tone that begins after silence does so at its own pitch: nothing glides up to it.

    Args:
        pitch: ``(batch, 1 + hops)`` Hz at the ends of hops, the first of them that of the hop before. In
            float64, because a phase adds up what rounding leaves.
        amplitudes: ``(batch, 1 + hops, partials)`` likewise.
        phase: ``(batch,)`` of the fundamental where the last hop ended, in cycles, float64.
        ramps: of :func:`glide_ramps`.

    Returns:
        ``(batch, hops * 256)`` sound, and the phase at its end.
    """
    batch, partials = amplitudes.shape[0], amplitudes.shape[2]
    pitch = pitch.detach()
    order = torch.arange(1, partials + 1, dtype=torch.float32, device=pitch.device)
    room_above = (fade_to - pitch.to(torch.float32).unsqueeze(-1) * order) / (fade_to - fade_from)
    amplitudes = amplitudes * room_above.clamp(0.0, 1.0)
    before, after = pitch[:, :-1], pitch[:, 1:]
    silent = amplitudes[:, :-1].abs().amax(-1) == 0.0
    before = torch.where(silent, after, before)
    rise = after - before
    inside = before.unsqueeze(-1) * ramps[0] + rise.unsqueeze(-1) * ramps[1]
    ends = phase.unsqueeze(-1) + inside[:, :, -1].cumsum(-1)
    starts = torch.cat([phase.unsqueeze(-1), ends[:, :-1]], -1)
    cycles = inside + starts.unsqueeze(-1)
    cycles = (cycles - cycles.round()).to(torch.float32)  # (batch, hops, hop), -0.5 to 0.5
    sines = torch.sin_(cycles.unsqueeze(-1) * (order * (2 * math.pi)))  # (batch, hops, hop, partials)
    leaps = torch.nonzero(rise.abs() > 0.05 * before)  # within them a partial may be beyond half the rate
    for n in range(leaps.shape[0]):
        i, j = int(leaps[n, 0]), int(leaps[n, 1])
        hertz = (before[i, j] + rise[i, j] * ramps[2]).to(torch.float32).unsqueeze(-1) * order
        sines[i, j] *= (hertz < fade_to).to(torch.float32)
    lines = torch.stack([amplitudes[:, :-1], amplitudes[:, 1:]], -1)  # (batch, hops, partials, 2)
    sums = torch.matmul(sines, lines)  # (batch, hops, hop, 2)
    sound = torch.lerp(sums[..., 0], sums[..., 1], ramps[2].to(torch.float32))
    return sound.reshape(batch, -1), torch.remainder(ends[:, -1], 1.0)


def glide_ramps() -> Tensor:
    """Cycles since a hop began for each Hz at its beginning and for each that it rises, and its part gone: (3, 256)."""
    step = torch.arange(1, HOP + 1, dtype=torch.float64)
    return torch.stack([step / RATE, step * (step + 1) / (2 * HOP * RATE), step / HOP])


def band_matrix(bands: int = BANDS) -> Tensor:
    """Triangles that spread bands over the bins of a noise frame, as ``(bands, 257)``; each bin's add up to 1.

    Bands are evenly spaced in ERB rate (Glasberg and Moore 1990), so that the ear has the same use of each.
    """
    bins = torch.arange(NOISE_FRAME // 2 + 1, dtype=torch.float64) * (RATE / NOISE_FRAME)
    lowest = math.log10(1 + 0.00437 * LOWEST_BAND_HZ)
    highest = math.log10(1 + 0.00437 * RATE / 2)
    place = (torch.log10(1 + 0.00437 * bins) - lowest) / (highest - lowest) * (bands - 1)
    distance = (place.clamp(0, bands - 1) - torch.arange(bands, dtype=torch.float64).unsqueeze(-1)).abs()
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
        white: ``(batch, hops, 512)`` independent samples of variance 1 for each frame.
        tail: ``(batch, 256)`` the second half of the frame before.
        window: of :func:`noise_window`.

    Returns:
        ``(batch, hops * 256)`` sound, and the tail it leaves.
    """
    batch, hops, frame = white.shape[0], white.shape[1], white.shape[2]
    half = frame // 2
    frames = torch.fft.irfft(torch.fft.rfft(white) * magnitudes, frame) * window
    late = torch.cat([tail.unsqueeze(1), frames[:, :, half:]], 1)
    return (frames[:, :, :half] + late[:, :-1]).reshape(batch, hops * half), late[:, -1]


def noise_window() -> Tensor:
    """Half a sine, (512,): the squares of overlapping halves add up to 1."""
    return torch.sin((torch.arange(NOISE_FRAME) + 0.5) * (math.pi / NOISE_FRAME))


def white_noise(batch: int, hops: int, generator: torch.Generator | None = None) -> Tensor:
    """Uniform noise of variance 1 for :func:`noise`: ``(batch, hops, 512)``."""
    return (torch.rand(batch, hops, NOISE_FRAME, generator=generator) - 0.5) * math.sqrt(12.0)


def room(sound: Tensor, response: Tensor) -> Tensor:
    """A whole sound ``(batch, samples)`` convolved with a room's impulse response ``(taps,)``, as long as before."""
    samples = sound.shape[1]
    size = samples + response.shape[0] - 1
    size += -size % 256  # a length whose transform is quick
    return torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(response, size), size)[:, :samples]


def room_parts(response: Tensor) -> Tensor:
    """Spectra of the hops of an impulse response ``(parts * 256,)``, for :func:`room_hop`: ``(parts, 257)``."""
    return torch.fft.rfft(response.reshape(-1, HOP), 2 * HOP)


def room_hop(hop: Tensor, before: Tensor, parts: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """One hop of a sound in a room, by partitioned convolution (Stockham 1966; overlap-save).

    Args:
        hop: ``(256,)`` of the sound.
        before: ``(256,)`` the hop before it.
        parts: of :func:`room_parts`.
        spectra: ``(parts, 257)`` of the hops so far, the newest first; zeros to begin with.

    Returns:
        ``(256,)`` sound in the room, and the spectra for the next hop.
    """
    newest = torch.fft.rfft(torch.cat([before, hop]))
    spectra = torch.cat([newest.unsqueeze(0), spectra[:-1]])
    return torch.fft.irfft((spectra * parts).sum(0))[hop.shape[0] :], spectra
