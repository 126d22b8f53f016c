"""Signal processing of the nn~ module, in what TorchScript can compile.

TorchScript calls tensor operators, which cost microseconds each, and loops over plain numbers at some ten
nanoseconds a step. So what feeds back into itself (filters, followers, envelopes) is a loop over floats, and all
the rest operates on whole blocks.

The plug-in feeds back 32-bit floats where TorchScript's numbers have 64 bits: :func:`rounded` stands where the
plug-in rounds. That makes detections identical and keeps long sweeps in tune. Formulas and constants are those of
``recording.onsets``, ``features.onset`` and ``synth.snare808_stream``, which hold their sources.
"""

import math

import torch
from torch import Tensor


def rounded(x: float) -> float:
    """``x`` rounded to the nearest 32-bit float (Veltkamp's splitting: 24 of the 53 bits are kept)."""
    c = x * 536870913.0  # 2^29 + 1
    return c - (c - x)


def limited(value: float, low: float, high: float) -> float:
    """``value`` brought into [low, high]; NaN becomes ``low``."""
    if value >= high:
        return high
    if value >= low:
        return value
    return low


def rate_factor(rate: float) -> float:
    """As ``timbrekit.synth.updates.rate_factor``."""
    return math.pow(2.0, float(math.floor(math.log(rate / 48000.0) / math.log(2.0) + 0.5)))


def high_pass(frequency: float, q: float, rate: float) -> list[float]:
    """Second-order high-pass, bilinear; Hz. Returns [b0, a1, a2]; b1 is -2 b0 and b2 is b0."""
    k = math.tan(math.pi * frequency / rate)
    b0 = 1.0 / (1.0 + k / q + k * k)
    return [b0, 2.0 * (k * k - 1.0) * b0, (1.0 - k / q + k * k) * b0]


def filtered(x: list[float], tuning: list[float], state: list[float]) -> Tensor:
    """``x`` through a :func:`high_pass`, transposed direct form II, in 64 bits.

    ``state``: two numbers, renewed in place. Returns (len(x),) float32.
    """
    b0, a1, a2 = tuning[0], tuning[1], tuning[2]
    z1, z2 = state[0], state[1]
    high: list[float] = []
    for v in x:
        u = v * b0
        y = u + z1
        z1 = z2 - 2.0 * u - a1 * y
        z2 = u - a2 * y
        high.append(y)
    state[0] = z1
    state[1] = z2
    return torch.tensor(high, dtype=torch.float64).to(torch.float32)


def level_db(high: Tensor) -> Tensor:
    """Level of each sample in dB, at least -55: (n,) float32 of (n,) float32."""
    size = high.abs()
    # The logarithm in 64 bits, then rounded: operators on 32 bits are off in the last bit.
    decibels = torch.log10(size.to(torch.float64)).to(torch.float32) * 20.0
    return torch.where(size > 0, decibels, torch.full_like(decibels, -55.0)).clamp_min(-55.0)


def onset_signal(levels: list[float], followers: list[float]) -> list[float]:
    """How far the fast follower of the level stands above the slow one, dB.

    ``followers``: both, renewed in place.
    """
    rise, fall, slow_step = rounded(1.0 / 3.0), rounded(1.0 / 383.0), rounded(1.0 / 2205.0)
    fast, slow = followers[0], followers[1]
    signal: list[float] = []
    for level in levels:
        d = rounded(level - fast)
        if d > 0.0:
            d = d * rise
        else:
            d = d * fall
        fast = rounded(fast + rounded(d))
        slow = rounded(slow + rounded(slow_step * rounded(level - slow)))
        signal.append(rounded(fast - slow))
    followers[0] = fast
    followers[1] = slow
    return signal


def onset_features(window: Tensor, rate: float) -> Tensor:
    """(3,) of (256,) samples: RMS in dB, centroid in semitones, flatness in dB."""
    window = window.to(torch.float64).unsqueeze(0)
    loudness = 20 * torch.log10(window.square().mean(-1).sqrt() + 1e-8)
    hann = torch.hann_window(256, False, dtype=torch.float64)  # the symmetric one
    magnitude = torch.fft.rfft(window * hann).abs()
    hertz = torch.linspace(0.0, rate / 2, 129, dtype=torch.float64)
    centroid = (magnitude * hertz).sum(-1) / magnitude.sum(-1).clamp_min(1e-300)
    heard = centroid > 0
    semitones = 12 * torch.log2(torch.where(heard, centroid, torch.ones_like(centroid)) / 440) + 69
    power = magnitude.square().clamp_min(1e-10)
    flatness = 20 / math.log(10.0) * (power.log().mean(-1) - power.mean(-1).log())
    semitones = torch.where(heard, semitones, torch.zeros_like(semitones))
    return torch.cat([loudness.clamp_min(-80), semitones, flatness]).to(torch.float32)


def scaled(raw: Tensor, ranges: Tensor) -> Tensor:
    """``raw`` (3,) in ``ranges`` (2, 3) to [0, 1]; 0.5 where a range is empty. Float32."""
    low, high = ranges[0], ranges[1]
    span = high - low
    known = span > 1.1920928955078125e-07 * torch.maximum(low.abs(), high.abs())
    return torch.where(known, ((raw - low) / span).clamp(0, 1), torch.full_like(raw, 0.5))


def snapped(normalized: Tensor, low: Tensor, high: Tensor, step: float) -> Tensor:
    """Normalised values to physical ones in steps from each minimum (0.0: none), float32 throughout."""
    value = low + (high - low) * normalized.clamp(0, 1)
    if step > 0.0:
        steps = torch.full_like(low, step)
        value = low + steps * torch.floor((value - low) / steps + 0.5)
    return torch.minimum(torch.maximum(value, low), high)


def gain(decibels: float) -> float:
    return rounded(math.pow(10.0, rounded(decibels * rounded(0.05))))


def envelope(level: float, rising: bool, count: int, attack: float, decay: float) -> tuple[list[float], bool]:
    """``count`` values that follow ``level``: up to 1 in steps of ``attack``, then each times ``decay``.

    Returns them, and whether it is still rising.
    """
    values: list[float] = []
    while rising and len(values) < count:
        level = rounded(level + attack)
        if level >= 1.0:
            level = 1.0
            rising = False
        values.append(level)
    if level == 0.0:
        return values + [0.0] * (count - len(values)), rising
    silence = rounded(1e-4)
    for _ in range(count - len(values)):
        level = rounded(level * decay)
        if level < silence:
            level = 0.0
        values.append(level)
    return values, rising


def oscillator(phase: float, step: float, sweep: float, pitch: Tensor) -> tuple[Tensor, float]:
    """A sine that starts at ``phase`` and advances by ``step (1 + pitch sweep)`` radians a sample.

    ``pitch``: (n,) envelope. Returns (n,) float32 and the phase after it.
    """
    steps = (pitch * step * sweep).to(torch.float64) + step
    ends = torch.cumsum(steps, 0) + phase
    after = math.fmod(float(ends[-1]), 2.0 * math.pi)
    return torch.sin(torch.remainder(ends - steps, 2.0 * math.pi).to(torch.float32)), after
