"""The plug-in's synthesiser as it runs: one stream from the first sample on, retriggered hit by hit.

:class:`timbrekit.synth.snare808.Snare808` renders single hits differentiably; this one plays a whole take. Oscillators
and noise filter run freely through it, each envelope rises from wherever it is, and the arithmetic is the
plug-in's, sample by sample: float32 for what it keeps in float32 (the decay of an envelope, the pitch sweep,
the argument of the sine), float64 for phases and filter. Rounded otherwise, long sweeps drift apart.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.compiled import compiled
from timbrekit.synth.base import check_triggers
from timbrekit.synth.parameters import ATTACK_MS, DECAY_LOG, NUM_PARAMETERS, NYQUIST_MARGIN_HZ, SILENCE

TWO_PI = 2.0 * math.pi


def play(
    parameters: ArrayLike,
    triggers: ArrayLike,
    num_samples: int,
    sample_rate: int,
    noise: ArrayLike | None = None,
    seed: int = 0,
    idle: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """As ``timbrekit.synth.base.Synth.stream``, with ``parameters`` ``(n, 14)`` or ``(14,)``.

    Triggers at or after ``num_samples`` are not reached. ``idle`` is what the oscillators and the filter run with
    before the first trigger: the preset, in the plug-in.

    Raises:
        ValueError: shapes do not fit, or triggers do not ascend.
    """
    triggers = np.ascontiguousarray(triggers, dtype=np.int64)
    parameters = np.asarray(parameters, dtype=np.float32)
    if parameters.ndim == 1:
        parameters = np.tile(parameters, (len(triggers), 1))
    if parameters.shape != (len(triggers), NUM_PARAMETERS):
        raise ValueError(
            f"parameters have shape {parameters.shape}, expected ({len(triggers)}, {NUM_PARAMETERS})"
        )
    check_triggers(triggers)
    if not len(triggers):
        return np.zeros(num_samples, dtype=np.float32)
    if noise is None:
        noise = white_noise(num_samples, seed)
    noise = np.ascontiguousarray(noise, dtype=np.float32)
    if noise.ndim != 1 or len(noise) < num_samples:
        raise ValueError(
            f"noise has shape {noise.shape}, expected one value for each of {num_samples} samples"
        )
    idle = parameters[0] if idle is None else np.asarray(idle, dtype=np.float32)
    return _stream(np.vstack([idle[None], parameters]), triggers, noise[:num_samples], float(sample_rate))


def white_noise(num_samples: int, seed: int = 0) -> NDArray[np.float32]:
    """(num_samples,) independent values, uniform in [-1, 1), from ``seed``."""
    return np.random.default_rng(seed).random(num_samples, dtype=np.float32) * np.float32(2) - np.float32(1)


@compiled
def _gain(decibels):
    return np.float32(10.0) ** (decibels * np.float32(0.05))


@compiled
def _stream(parameters, triggers, noise, sample_rate):
    """Row 0 of ``parameters`` holds before the first trigger, row i + 1 from trigger i on."""
    # np.float64() below and not float(): numba's float() leaves a float32 as it is.
    audio = np.empty(len(noise), dtype=np.float32)
    one = np.float32(1.0)
    attack_step = one / np.float32(int(sample_rate * ATTACK_MS / 1000))
    # Envelopes: 0 pitch, 1 oscillator 1, 2 oscillator 2, 3 noise.
    level = np.zeros(4, dtype=np.float32)
    rising = np.zeros(4, dtype=np.bool_)
    decay = np.zeros(4, dtype=np.float32)
    phase1 = 0.0
    phase2 = 0.0
    z1 = 0.0
    z2 = 0.0
    for row in range(len(parameters)):
        values = parameters[row]
        start = 0 if row == 0 else min(triggers[row - 1], len(noise))
        end = len(noise) if row == len(triggers) else min(triggers[row], len(noise))

        step1 = np.float32(2.0 * math.pi * values[0] / sample_rate)
        sweep1 = values[1]
        step2 = np.float32(2.0 * math.pi * values[2] / sample_rate)
        sweep2 = values[3]
        for e in range(4):
            length = np.float32(values[4 + e] * np.float32(sample_rate)) / np.float32(1000.0)
            decay[e] = one - np.float32(DECAY_LOG) / length
            rising[e] = row > 0
        k = math.tan(
            math.pi * min(np.float64(values[8]), 0.5 * sample_rate - NYQUIST_MARGIN_HZ) / sample_rate
        )
        q = np.float64(values[9])
        norm = 1.0 / (1.0 + k / q + k * k)
        a1 = 2.0 * (k * k - 1.0) * norm
        a2 = (1.0 - k / q + k * k) * norm
        gain1 = _gain(values[10])
        gain2 = _gain(values[11])
        gain_noise = _gain(values[12])
        drive = _gain(values[13])

        for i in range(start, end):
            for e in range(4):
                if rising[e]:
                    level[e] += attack_step
                    if level[e] >= one:
                        level[e] = one
                        rising[e] = False
                else:
                    level[e] *= decay[e]
                    if level[e] < np.float32(SILENCE):
                        level[e] = 0.0

            tone1 = math.sin(np.float32(phase1))
            phase1 += np.float64(step1) + np.float64(step1 * level[0] * sweep1)
            if phase1 >= TWO_PI:
                phase1 -= TWO_PI
            tone2 = math.sin(np.float32(phase2))
            phase2 += np.float64(step2) + np.float64(step2 * level[0] * sweep2)
            if phase2 >= TWO_PI:
                phase2 -= TWO_PI

            x = np.float64(noise[i])
            high = x * norm + z1  # high-pass, transposed direct form II: b = norm (1, -2, 1)
            z1 = -2.0 * x * norm + z2 - a1 * high
            z2 = x * norm - a2 * high

            total = tone1 * level[1] * gain1 + tone2 * level[2] * gain2
            total += np.float32(high) * level[3] * gain_noise
            audio[i] = math.tanh(total * drive)
    return audio
