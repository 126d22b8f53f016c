"""The 808 with updates while it rings: as a closed form for training, and sample by sample as a host plays it.

For hosts that are ours. It is the plug-in's voice but for what an update needs: envelopes are exact instead of
accumulated in float32, all is computed in double precision, and every trigger and every update starts the noise
filter afresh in zero state, so that no cutoff finds the state that another has left (that thumps in the plug-in).
Rules in full: docs/listener.md.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from timbrekit.compiled import compiled
from timbrekit.synth.closed_forms import BLOCK, outer_product, steady_angles
from timbrekit.synth.highpass import fast_length, high_pass_switched_on
from timbrekit.synth.parameters import (
    ATTACK_MS,
    DECAY_LOG,
    NUM_PARAMETERS,
    NYQUIST_MARGIN_HZ,
    PARAMETERS,
    SILENCE,
)
from timbrekit.synth.snare808_stream import white_noise
from timbrekit.synth.updates import glide_samples, shares, spans

RANGES = torch.tensor([(p.minimum, p.maximum - p.minimum) for p in PARAMETERS], dtype=torch.float64).T


def attack_samples(sample_rate: int) -> int:
    """After so many samples an envelope that rises from rest has reached 1."""
    return max(1, int(sample_rate * ATTACK_MS / 1000))


def render(
    rate: int, samples: int, parameters: Tensor, starts: tuple[int, ...], noise: Tensor, phases: Tensor
) -> Tensor:
    """One trigger for each row, from rest, with updates.

    Args:
        rate: Hz.
        samples: to render.
        parameters: ``(batch, sets, 14)`` normalised.
        starts: samples after the trigger at which each set comes, 0 first.
        noise: ``(1, period)`` or ``(batch, period)`` in [-1, 1], which goes round and round.
        phases: ``(batch, 2)`` of the oscillators at the trigger, in cycles.

    Returns:
        ``(batch, samples)``, in (-1, 1), differentiable.
    """
    if parameters.ndim != 3 or parameters.shape[1:] != (len(starts), NUM_PARAMETERS):
        raise ValueError(
            f"parameters must be (batch, {len(starts)}, {NUM_PARAMETERS}), not {tuple(parameters.shape)}"
        )
    dtype, device = parameters.dtype, parameters.device
    low, span = RANGES.to(device)
    physical = torch.addcmul(low, parameters.double(), span)
    pitches, decays_ms, filter_at, levels_db = physical.split([4, 4, 2, 4], 2)  # as PARAMETERS has them
    step, mod = (pitches.unflatten(2, (2, 2)) * torch.tensor([1 / rate, 1.0], device=device)).unbind(-1)
    log_rates = torch.log(1 - DECAY_LOG * 1000 / rate / decays_ms)
    amplitudes = torch.exp((levels_db[..., :3] + levels_db[..., 3:]) * (math.log(10) / 20))
    cutoff_hz, q = filter_at[..., 0].clamp_max(rate / 2 - NYQUIST_MARGIN_HZ), filter_at[..., 1]

    glide = glide_samples(rate)
    alone = starts[-1] + (glide if len(starts) > 1 else attack_samples(rate))
    settled = min(alone, samples)  # from here on there is one set of parameters, and its envelopes decay
    share = shares(starts, settled, glide).to(device)
    turns, tones, hiss = 0, 0, 0  # advance of each sample in cycles; amplitudes of the tones; noise
    for number, (first, end) in enumerate(spans(starts, samples, glide)):
        if first == end:
            continue
        levels = _envelopes(log_rates[:, number], first, end, rate, dtype)  # (batch, 4, end - first)
        filtered = high_pass_switched_on(
            _cut(noise.to(dtype), first, end), cutoff_hz[:, number], q[:, number], end - first, rate
        )
        sources = levels[:, 1:] * amplitudes[:, number].to(dtype)[..., None]
        rush = filtered * sources[:, 2]
        early = min(end, settled) - first
        weight, around = share[number, first:settled][:early], (first, settled - first - early)
        advance = (mod[:, number, :, None].to(dtype) * levels[:, :1, :early]).double() + 1
        turns = turns + _pad(step[:, number, :, None] * advance * weight, around)
        weight = weight.to(dtype)
        tones = tones + _pad(sources[:, :2, :early] * weight, around)
        hiss = hiss + _pad(rush[:, :early] * weight, around)
    cycles = phases[..., None].double() + turns.cumsum(-1)
    before = torch.cat([phases[..., None].double(), cycles[..., :-1]], -1)
    before = torch.sin(2 * math.pi * (before - before.detach().floor()).to(dtype))
    sound = (tones * before).sum(1) + hiss
    if settled < samples:
        log_rate, levels = log_rates[:, -1, :1], levels[..., early:]
        angles = steady_angles(step[:, -1], cycles[..., -1], samples - settled, dtype)
        passed = _sum_before(log_rate, levels[:, :1], settled + 1 - attack_samples(rate))
        swing = (2 * math.pi * step * mod)[:, -1].to(dtype)
        sines = torch.sin(torch.addcmul(angles, passed, swing[..., None]))
        sound = torch.cat([sound, (sources[:, :2, early:] * sines).sum(1) + rush[:, early:]], 1)
    return torch.tanh(sound)


def _pad(part: Tensor, around: tuple[int, int]) -> Tensor:
    return torch.nn.functional.pad(part, around)


def _sum_before(log_rate: Tensor, levels: Tensor, first: int) -> Tensor:
    """``(batch, 1, n)``: of the levels ``(batch, 1, n)`` of an envelope, the sum of those before each.

    Args:
        log_rate: ``(batch, 1)``.
        first: samples since the end of the attack at the first of them: ``r^first + … = (r^first - r^m) / (1 - r)``,
            until the cut to 0.
    """
    cut = torch.exp(
        log_rate * torch.ceil(math.log(SILENCE) / log_rate.detach())
    )  # the first level that is cut
    begin = torch.maximum(torch.exp(log_rate * first), cut)
    scale = 1 / -torch.expm1(log_rate)
    begin, cut, scale = (each.to(levels.dtype)[..., None] for each in (begin, cut, scale))
    return (begin - cut - torch.relu(levels - cut)) * scale


def _cut(noise: Tensor, first: int, end: int) -> Tensor:
    """Samples ``first`` to ``end`` and more of noise that goes round and round, as many as make fast FFTs."""
    if end - first >= noise.shape[-1]:
        return noise.roll(-first, -1)
    index = torch.arange(first, first + fast_length(end - first), device=noise.device) % noise.shape[-1]
    return noise[..., index]


def _envelopes(log_rates: Tensor, first: int, end: int, rate: int, dtype: torch.dtype) -> Tensor:
    """``(batch, 4, end - first)`` of samples ``first`` to ``end`` after the trigger: attack, decay, cut below 1e-4."""
    attack = attack_samples(rate)
    begin = max(first, attack)
    count = max(0, end - begin)
    device = log_rates.device
    coarse = torch.arange(
        begin + 1 - attack, begin + 1 - attack + max(count, 1), BLOCK, device=device
    ).double()
    fine = torch.arange(BLOCK, dtype=torch.float64, device=device)
    powers = torch.exp(log_rates[..., None] * torch.cat([coarse, fine])).to(dtype)
    decay = outer_product(*powers.split([len(coarse), BLOCK], -1))[..., :count]
    decay = torch.nn.functional.threshold(decay, math.nextafter(SILENCE, 0), 0)
    if first >= attack:
        return decay
    ramp = torch.arange(first + 1, min(attack, end) + 1, dtype=torch.float64, device=device) / attack
    return torch.cat([ramp.to(dtype).expand(*decay.shape[:-1], -1), decay], -1)


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
    """Play a whole take.

    Args:
        parameters: ``(n, sets, 14)`` physical units.
        heard: ``(n,)`` how many sets each hit gets before the next one ends it, from 1.
        triggers: ``(n,)`` ascending sample indices.
        starts: ``(sets,)`` samples after the trigger at which each set comes, 0 first.
        num_samples, sample_rate, noise, seed, idle: as in ``timbrekit.synth.snare808_stream.play``.

    Returns:
        ``(num_samples,)`` float32 within ±1.
    """
    triggers = np.ascontiguousarray(triggers, dtype=np.int64)
    parameters = np.ascontiguousarray(parameters, dtype=np.float64)
    starts = np.ascontiguousarray(starts, dtype=np.int64)
    if parameters.shape != (len(triggers), len(starts), NUM_PARAMETERS):
        raise ValueError(
            f"parameters have shape {parameters.shape}, expected ({len(triggers)}, {len(starts)}, {NUM_PARAMETERS})"
        )
    if len(triggers) and (triggers[0] < 0 or np.any(np.diff(triggers) <= 0)):
        raise ValueError("triggers must be ascending sample indices from 0 on")
    if not len(triggers):
        return np.zeros(num_samples, dtype=np.float32)
    noise = white_noise(num_samples, seed) if noise is None else noise
    noise = np.ascontiguousarray(noise, dtype=np.float64)[:num_samples]
    idle = parameters[0, 0] if idle is None else np.asarray(idle, dtype=np.float64)
    when, rows, is_trigger = _events(triggers, starts, np.asarray(heard, dtype=np.int64), num_samples)
    rows = np.vstack([idle, parameters.reshape(-1, NUM_PARAMETERS)[rows]])
    glide, attack = glide_samples(sample_rate), attack_samples(sample_rate)
    return _stream(rows, when, is_trigger, noise, float(sample_rate), glide, attack)


def _events(triggers, starts, heard, num_samples) -> tuple[NDArray, NDArray, NDArray]:
    """When parameters come, which row of all sets they are, and whether they are a trigger's."""
    when = triggers[:, None] + starts
    rows = np.arange(when.size).reshape(when.shape)
    following = np.append(triggers[1:], num_samples)
    valid = (np.arange(len(starts)) < heard[:, None]) & (when < following[:, None])
    is_trigger = np.broadcast_to(np.arange(len(starts)) == 0, when.shape)
    return when[valid], rows[valid], is_trigger[valid]


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
def _stream(rows, when, is_trigger, noise, rate, glide, attack):
    """Row 0 holds before the first event, row i + 1 from event i on."""
    audio = np.zeros(len(noise), dtype=np.float32)
    old, new = np.zeros(14), np.zeros(14)  # tunings: before the glide, and after
    level, level_old = np.zeros(4), np.zeros(4)  # envelopes: pitch, oscillator 1, oscillator 2, noise
    start, risen = (
        np.zeros(4),
        np.zeros(4, dtype=np.int64),
    )  # where each rises from; samples since it was at 1
    rising = np.zeros(4, dtype=np.bool_)
    state, state_old = np.zeros(2), np.zeros(2)  # of the noise filters
    phase1 = 0.0
    phase2 = 0.0
    since = 0  # samples since the trigger
    gliding = glide  # samples of the glide that are over
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
                gliding = 0
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
