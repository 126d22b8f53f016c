"""The 808 with updates while it rings, sample by sample as a host of ours plays it. Rules in full: docs/listener.md."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.compiled import compiled
from timbrekit.synth.base import check_triggers
from timbrekit.synth.parameters import DECAY_LOG, NUM_PARAMETERS, NYQUIST_MARGIN_HZ, SILENCE
from timbrekit.synth.snare808_stream import white_noise
from timbrekit.synth.snare808_updates import attack_samples
from timbrekit.synth.updates import glide_samples


def play(
    parameters: ArrayLike,
    heard: ArrayLike,
    triggers: ArrayLike,
    starts: ArrayLike,
    num_samples: int,
    sample_rate: int,
    noise: ArrayLike | None = None,
    seed: int = 0,
    idle: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """As ``timbrekit.synth.base.Synth.stream_updates``, with ``parameters`` ``(n, sets, 14)``."""
    triggers = np.ascontiguousarray(triggers, dtype=np.int64)
    parameters = np.ascontiguousarray(parameters, dtype=np.float64)
    starts = np.ascontiguousarray(starts, dtype=np.int64)
    if parameters.shape != (len(triggers), len(starts), NUM_PARAMETERS):
        raise ValueError(
            f"parameters have shape {parameters.shape}, expected ({len(triggers)}, {len(starts)}, {NUM_PARAMETERS})"
        )
    check_triggers(triggers)
    if not len(triggers):
        return np.zeros(num_samples, dtype=np.float32)
    noise = white_noise(num_samples, seed) if noise is None else noise
    noise = np.ascontiguousarray(noise, dtype=np.float64)[:num_samples]
    idle = parameters[0, 0] if idle is None else np.asarray(idle, dtype=np.float64)
    when, rows, number = _events(triggers, starts, np.asarray(heard, dtype=np.int64), num_samples)
    rows = np.vstack([idle, parameters.reshape(-1, NUM_PARAMETERS)[rows]])
    glides = np.array((1, *glide_samples(sample_rate)))[number]
    return _stream(rows, when, number == 0, noise, float(sample_rate), glides, attack_samples(sample_rate))


def _events(triggers, starts, heard, num_samples) -> tuple[NDArray, NDArray, NDArray]:
    """When parameters come, which row of all sets they are, and which set of their hit (0: the trigger's)."""
    when = triggers[:, None] + starts
    rows = np.arange(when.size).reshape(when.shape)
    following = np.append(triggers[1:], num_samples)
    valid = (np.arange(len(starts)) < heard[:, None]) & (when < following[:, None])
    return when[valid], rows[valid], (rows % len(starts))[valid]


@compiled
def _tune(values, rate, tuning):
    """Parameters in physical units to what a sample needs."""
    for e in range(4):
        tuning[e] = 1.0 - DECAY_LOG * 1000.0 / rate / values[4 + e]  # factor per sample
    drive = 10.0 ** (values[13] / 20.0)
    for s in range(3):
        tuning[4 + s] = 10.0 ** (values[10 + s] / 20.0) * drive
    k = math.tan(math.pi * min(values[8], 0.5 * rate - NYQUIST_MARGIN_HZ) / rate)
    norm = 1.0 / (1.0 + k / values[9] + k * k)
    tuning[7] = norm
    tuning[8] = 2.0 * (k * k - 1.0) * norm
    tuning[9] = (1.0 - k / values[9] + k * k) * norm
    tuning[10] = values[0] / rate  # cycles per sample
    tuning[11] = values[1]
    tuning[12] = values[2] / rate
    tuning[13] = values[3]


@compiled
def _tick(level, decay):
    level *= decay
    return level if level >= SILENCE else 0.0


@compiled
def _stream(rows, when, is_trigger, noise, rate, glides, attack):
    """Row 0 holds before the first event, row i + 1 from event i on, after its glide."""
    audio = np.zeros(len(noise), dtype=np.float32)
    old, new = np.zeros(14), np.zeros(14)  # tunings: before the glide, and after
    level, level_old = np.zeros(4), np.zeros(4)  # envelopes: pitch, oscillator 1, oscillator 2, noise
    # Where each rises from; samples since it was at 1.
    start, risen = np.zeros(4), np.zeros(4, dtype=np.int64)
    rising = np.zeros(4, dtype=np.bool_)
    state, state_old = np.zeros(2), np.zeros(2)  # of the noise filters
    phase1 = 0.0
    phase2 = 0.0
    since = 0  # samples since the trigger
    glide, gliding = 1, 1  # samples of the glide, and how many are over
    _tune(rows[0], rate, new)
    following = 0
    for i in range(len(noise)):
        if following < len(when) and when[following] == i:
            if is_trigger[following]:
                _tune(rows[following + 1], rate, new)
                start[:] = level
                rising[:] = True
                since = 0
                gliding = glide
            else:
                old[:] = new
                level_old[:] = level
                state_old[:] = state
                _tune(rows[following + 1], rate, new)
                for e in range(4):  # as if the decay had been this from the end of the attack on
                    if not rising[e]:
                        level[e] = new[e] ** risen[e]
                        if level[e] < SILENCE:
                            level[e] = 0.0
                glide, gliding = glides[following], 0
            state[:] = 0.0
            following += 1

        since += 1
        for e in range(4):
            if rising[e]:
                level[e] = start[e] + since / attack
                if level[e] >= 1.0:
                    level[e] = 1.0
                    rising[e] = False
                    risen[e] = 0
                level_old[e] = level[e]
            else:
                level[e] = _tick(level[e], new[e])
                level_old[e] = _tick(level_old[e], old[e])
                risen[e] += 1

        x = noise[i]
        hiss = x * new[7] + state[0]  # high-pass, transposed direct form II: b = norm (1, -2, 1)
        state[0] = -2.0 * x * new[7] + state[1] - new[8] * hiss
        state[1] = x * new[7] - new[9] * hiss
        amount1 = level[1] * new[4]
        amount2 = level[2] * new[5]
        rush = level[3] * new[6] * hiss
        advance1 = new[10] * (1.0 + new[11] * level[0])
        advance2 = new[12] * (1.0 + new[13] * level[0])
        if gliding < glide:
            gliding += 1
            u = gliding / glide
            w = u * u * (3.0 - 2.0 * u)
            hiss = x * old[7] + state_old[0]
            state_old[0] = -2.0 * x * old[7] + state_old[1] - old[8] * hiss
            state_old[1] = x * old[7] - old[9] * hiss
            amount1 = w * amount1 + (1.0 - w) * level_old[1] * old[4]
            amount2 = w * amount2 + (1.0 - w) * level_old[2] * old[5]
            rush = w * rush + (1.0 - w) * level_old[3] * old[6] * hiss
            advance1 = w * advance1 + (1.0 - w) * old[10] * (1.0 + old[11] * level_old[0])
            advance2 = w * advance2 + (1.0 - w) * old[12] * (1.0 + old[13] * level_old[0])
        tone1 = amount1 * math.sin(2.0 * math.pi * phase1)
        tone2 = amount2 * math.sin(2.0 * math.pi * phase2)
        audio[i] = math.tanh(tone1 + tone2 + rush)
        phase1 += advance1
        phase1 -= math.floor(phase1)
        phase2 += advance2
        phase2 -= math.floor(phase2)
    return audio
