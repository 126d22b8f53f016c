"""The three parts of a drum's sound, each a closed form in time and in the knobs: modes, noise, onset.

``t`` holds what a render needs of the drum (``DrumModel``), ``knobs`` the parameters ``(batch, 1)`` in physical units.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor

from timbrekit.synth.drum import ONSET_RATE
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import NODES, PERIOD, STEP

ONSET_FADE = 0.010  # s at the end of the onset part in which the noise takes over
CROSSOVERS = (500.0, 3000.0)  # Hz, between the onset part's three bands
COLOUR_OCTAVES = (-2.0, 0.0, 2.0)  # of those bands, from the middle one
HIGHEST = 0.48  # of the sample rate: modes above are silent
DB = math.log(10) / 20
# Of a noise's nodes: 0 where it is soon after the onset, 1 where it is late, in s from the first time to the second.
EARLY_UNTIL, LATE_FROM = 0.02, 0.2
LATENESS = np.interp(np.log(NODES + 1e-9), np.log([EARLY_UNTIL, LATE_FROM]), [0.0, 1.0])
TINY = -40.0  # exponents below are this: e^-40 is nothing, and smaller numbers are slow


def onset_window(samples: int, rate: float) -> NDArray:
    """``(samples,)``: 1, then a half cosine down to 0 over the last 10 ms."""
    fade = min(samples, int(ONSET_FADE * rate))
    down = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / fade)
    return np.concatenate([np.ones(samples - fade), down])


def at_strike(t: dict[str, Tensor], strike: Tensor, whose: str = "") -> dict[str, Tensor]:
    """Levels and phases of modes, levels of noise ``(batch, …)``: between those of the nearest hits, or beyond them.

    Args:
        t: those of every hit ``(hits, …)``, from soft to hard, and how they go on, under names with ``whose`` before.
        strike: ``(batch, 1)`` dB.
    """
    level, phase, noise, loudness = (
        t[whose + name] for name in ("level", "phase", "noise_level", "loudness")
    )
    shares = nearest(strike, loudness)
    beyond = strike - strike.clamp(float(loudness[0]), float(loudness[-1]))
    early, late = t[whose + "noise_slope"], t[whose + "late_slope"]
    growth = early[..., None] + (late - early)[..., None] * t["lateness"]
    return {
        whose + "level": shares @ level + t[whose + "level_slope"] * beyond,
        whose + "phase": shares @ phase,
        whose + "noise_level": torch.tensordot(shares, noise, 1) + growth * beyond[..., None],
    }


def ringing(
    t: dict[str, Tensor],
    knobs: dict[str, Tensor],
    rate: int,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:
    frequency = t["frequency"] * torch.exp2(knobs["pitch"] / 12)  # (batch, modes)
    octaves = torch.log2(t["frequency"] / t["main_frequency"])
    level = t["level"] + knobs["modes.level"] + knobs["modes.brightness"] * octaves
    amplitude = torch.exp(DB * level) * (frequency < HIGHEST * rate)
    decay = t["decay"] * torch.exp2(knobs["modes.tilt"] * octaves) * (100 / knobs["modes.decay"])
    count = len(t["gliding"])
    sound = _steady(
        *(each[:, count:] for each in (frequency, amplitude, decay, t["phase"])), rate, samples, dtype
    )
    if count:
        times = torch.arange(samples, dtype=torch.float64, device=frequency.device) / rate
        amount, time = torch.exp2(knobs["glide.amount"] / 12) - 1, knobs["glide.time"] / 1000
        warped = times - amount * time * torch.expm1(-times / time)  # (batch, samples)
        turns = frequency[:, :count, None] * warped[:, None]
        turns = (turns - turns.detach().floor()).to(dtype) * (2 * math.pi)
        envelopes = torch.exp((-decay[:, :count, None] * times).clamp_min(TINY).to(dtype))
        waves = torch.cos(turns + t["phase"][:, :count, None].to(dtype)) * envelopes
        sound = sound + torch.einsum("bm,bmt->bt", amplitude[:, :count].to(dtype), waves)
    rise = torch.arange(samples, device=sound.device) / (ATTACK * rate)
    return sound * rise.clamp_max(1).to(sound.dtype)


def _steady(
    frequency: Tensor,
    amplitude: Tensor,
    decay: Tensor,
    phase: Tensor,
    rate: int,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:
    """``(batch, samples)``: sum over modes of ``amplitude cos(2 pi frequency t + phase) exp(-decay t)``."""
    device = frequency.device
    coarse = torch.arange(0, samples, BLOCK, dtype=torch.float64, device=device) / rate
    fine = torch.arange(BLOCK, dtype=torch.float64, device=device) / rate

    def powers(times: Tensor, start: Tensor | float) -> tuple[Tensor, Tensor]:
        turns = frequency[..., None] * times
        angle = ((turns - turns.detach().floor()) * (2 * math.pi) + start).to(dtype)
        size = torch.exp((-decay[..., None] * times).clamp_min(TINY).to(dtype))
        return size * torch.cos(angle), size * torch.sin(angle)

    real, imaginary = powers(coarse, phase[..., None])
    scale = amplitude[..., None].to(dtype)
    left = torch.cat([real * scale, -imaginary * scale], 1)
    right = torch.cat(powers(fine, 0.0), 1)
    return torch.bmm(left.mT, right).flatten(1)[:, :samples]


def noise(
    t: dict[str, Tensor],
    knobs: dict[str, Tensor],
    rate: int,
    samples: int,
    start: Tensor,
    makes_room: bool,
    dtype: torch.dtype,
) -> Tensor:
    """The bands, from sample ``start`` of the table on; with ``makes_room`` they leave the onset to its own part."""
    steps = samples // STEP + 1
    grid = torch.arange(steps + 1, dtype=torch.float64, device=start.device) * (STEP / rate)
    shares = _node_shares(t["nodes"], grid * (100 / knobs["noise.decay"]))  # (batch, nodes, steps + 1)
    coloured = knobs["noise.level"] + knobs["noise.colour"] * t["octaves"]
    nodes = t["noise_level"] + coloured[..., None] + knobs["noise.late"][..., None] * t["lateness"]
    levels = torch.exp((DB * torch.bmm(nodes, shares)).clamp_min(TINY))
    levels = levels.to(dtype).permute(2, 0, 1)  # (steps + 1, batch, bands)
    if "share" in t:  # the table has the bands of both drums
        share = t["share"].to(dtype)
        levels = torch.cat([levels * (1 - share), levels * share], -1)
    part = torch.arange(STEP, device=levels.device, dtype=dtype) / STEP
    sounds = []
    starts = start.expand(1) if start.ndim == 0 else start
    for first in starts.unique() if len(starts) > 1 else starts:
        rows = slice(None) if len(starts) == 1 else torch.nonzero(starts == first)[:, 0]
        index = (first + torch.arange(steps * STEP, device=levels.device)) % PERIOD
        table = t["table"][:, index].to(dtype)
        if makes_room:
            left = min(t["room"].shape[1], steps * STEP)
            table[:, :left] *= t["room"][:, :left].to(dtype)
        table = table.view(-1, steps, STEP).transpose(0, 1)  # (steps, bands, 64)
        lines = torch.bmm(levels[:-1, rows], table * (1 - part)) + torch.bmm(levels[1:, rows], table * part)
        sounds.append((rows, lines.transpose(0, 1).flatten(1)[:, :samples]))
    if len(sounds) == 1:
        sound = sounds[0][1]
    else:
        order = torch.cat([rows for rows, _ in sounds]).argsort()
        sound = torch.cat([each for _, each in sounds])[order]
    return sound


def _node_shares(nodes: Tensor, times: Tensor) -> Tensor:
    """``(batch, nodes, times)``: as ``noise_bands.node_shares``, of times ``(batch, times)``."""
    around = torch.nn.functional.pad(nodes, (1, 1))
    around[0], around[-1] = -1.0, 2 * nodes[-1]
    since = times.clamp_max(float(NODES[-1]))[:, None] - around[:-1, None]  # (batch, nodes + 1, times)
    risen = since / around.diff()[:, None]
    return torch.minimum(risen[:, :-1], 1 - risen[:, 1:]).clamp_min(0)


def onset(t: dict[str, Tensor], knobs: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """``(batch, onset samples)``: recorded waveforms of the two nearest strokes, mixed, in three bands."""
    octaves = torch.tensor(COLOUR_OCTAVES, dtype=torch.float64, device=knobs["strike"].device)
    gains = torch.exp(
        DB * (knobs["onset.level"] + knobs["strike"] + knobs["onset.colour"] * octaves)
    )  # (batch, 3)
    shares = nearest(knobs["strike"], t["loudness"])
    if "share" in t:
        others = nearest(knobs["strike"], t["other_loudness"])
        shares = torch.cat([shares * (1 - t["share"]), others * t["share"]], 1)
    return torch.einsum("bh,bk,hkt->bt", shares.to(dtype), gains.to(dtype), t["onset"].to(dtype))


def nearest(strike: Tensor, loudness: Tensor) -> Tensor:
    """``(batch, hits)`` shares of the hits on both sides of each strike; of the outermost beyond them."""
    if len(loudness) == 1:
        return torch.ones_like(strike)
    within = strike.clamp(float(loudness[0]), float(loudness[-1]))
    gaps = loudness.diff()
    rising = ((within - loudness[:-1]) / gaps).clamp(0, 1)  # (batch, hits - 1)
    one = torch.ones_like(strike)
    return torch.cat([one, rising], 1) - torch.cat([rising, 0 * one], 1)


def at_rate(waves: NDArray, rate: int) -> NDArray:
    """Waveforms at 48 kHz, at another rate."""
    if rate == ONSET_RATE:
        return waves
    common = math.gcd(rate, ONSET_RATE)
    return resample_poly(waves, rate // common, ONSET_RATE // common, axis=-1)


def three_bands(waves: NDArray, rate: int) -> NDArray:
    """``(hits, 3, samples)`` that add up to the waves ``(hits, samples)``."""
    samples = waves.shape[-1]
    size = 1 << (4 * samples - 1).bit_length()  # a power of two, as hosts transform
    spectrum = np.fft.rfft(waves, size)
    frequency = np.fft.rfftfreq(size, 1 / rate)
    edges = [1 / (1 + (frequency / crossover) ** 4) for crossover in CROSSOVERS]
    low = np.fft.irfft(spectrum * edges[0], size)[:, :samples]
    middle = np.fft.irfft(spectrum * (edges[1] - edges[0]), size)[:, :samples]
    return np.stack([low, middle, waves - low - middle], 1)
