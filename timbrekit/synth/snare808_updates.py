"""The 808 with updates while it rings, as a closed form for training. ``snare808_updates_stream`` plays the same.

For hosts that are ours. It is the plug-in's voice but for what an update needs: envelopes are exact instead of
accumulated in float32, all is computed in double precision, and every trigger and every update starts the noise
filter afresh in zero state, so that no cutoff finds the state that another has left (that thumps in the plug-in).
Rules in full: docs/listener.md.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad, threshold

from timbrekit.synth.closed_forms import decay_powers, physical_groups, steady_angles
from timbrekit.synth.highpass import fast_length, high_pass_switched_on
from timbrekit.synth.parameters import (
    ATTACK_MS,
    DECAY_LOG,
    NUM_PARAMETERS,
    NYQUIST_MARGIN_HZ,
    SILENCE,
)
from timbrekit.synth.updates import glide_samples, shares, spans


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
    pitches, decays_ms, filter_at, levels_db = physical_groups(parameters)
    step, mod = (pitches.unflatten(2, (2, 2)) * torch.tensor([1 / rate, 1.0], device=device)).unbind(-1)
    log_rates = torch.log(1 - DECAY_LOG * 1000 / rate / decays_ms)
    amplitudes = torch.exp((levels_db[..., :3] + levels_db[..., 3:]) * (math.log(10) / 20))
    cutoff_hz, q = filter_at[..., 0].clamp_max(rate / 2 - NYQUIST_MARGIN_HZ), filter_at[..., 1]

    glides = glide_samples(rate)
    alone = starts[-1] + (glides[len(starts) - 2] if len(starts) > 1 else attack_samples(rate))
    settled = min(alone, samples)  # from here on there is one set of parameters, and its envelopes decay
    share = shares(starts, settled, glides).to(device)
    turns, tones, hiss = 0, 0, 0  # advance of each sample in cycles; amplitudes of the tones; noise
    for number, (first, end) in enumerate(spans(starts, samples, glides)):
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
        turns = turns + pad(step[:, number, :, None] * advance * weight, around)
        weight = weight.to(dtype)
        tones = tones + pad(sources[:, :2, :early] * weight, around)
        hiss = hiss + pad(rush[:, :early] * weight, around)
    cycles = phases[..., None].double() + turns.cumsum(-1)
    before = torch.cat([phases[..., None].double(), cycles[..., :-1]], -1)
    before = torch.sin(2 * math.pi * (before - before.detach().floor()).to(dtype))
    sound = (tones * before).sum(1) + hiss
    if settled < samples:  # the last set, alone
        log_rate, levels = log_rates[:, -1, :1], levels[..., early:]
        angles = steady_angles(step[:, -1], cycles[..., -1], samples - settled, dtype)
        passed = _sum_before(log_rate, levels[:, :1], settled + 1 - attack_samples(rate))
        swing = (2 * math.pi * step * mod)[:, -1].to(dtype)
        sines = torch.sin(torch.addcmul(angles, passed, swing[..., None]))
        sound = torch.cat([sound, (sources[:, :2, early:] * sines).sum(1) + rush[:, early:]], 1)
    return torch.tanh(sound)


def _envelopes(log_rates: Tensor, first: int, end: int, rate: int, dtype: torch.dtype) -> Tensor:
    """``(batch, 4, end - first)`` of samples ``first`` to ``end`` after the trigger: attack, decay, cut below 1e-4."""
    attack = attack_samples(rate)
    begin = max(first, attack)
    decay = decay_powers(log_rates, begin + 1 - attack, max(0, end - begin), dtype)
    decay = threshold(decay, math.nextafter(SILENCE, 0), 0)
    if first >= attack:
        return decay
    rising = torch.arange(first + 1, min(attack, end) + 1, dtype=torch.float64, device=log_rates.device)
    return torch.cat([(rising / attack).to(dtype).expand(*decay.shape[:-1], -1), decay], -1)


def _cut(noise: Tensor, first: int, end: int) -> Tensor:
    """Samples ``first`` to ``end`` and more of noise that goes round and round, as many as make fast FFTs."""
    if end - first >= noise.shape[-1]:
        return noise.roll(-first, -1)
    index = torch.arange(first, first + fast_length(end - first), device=noise.device) % noise.shape[-1]
    return noise[..., index]


def _sum_before(log_rate: Tensor, levels: Tensor, first: int) -> Tensor:
    """``(batch, 1, n)``: of the levels ``(batch, 1, n)`` of an envelope, the sum of those before each.

    Args:
        log_rate: ``(batch, 1)``.
        first: samples since the end of the attack at the first of them: ``r^first + … = (r^first - r^m) / (1 - r)``,
            until the cut to 0.
    """
    # The first level that is cut.
    cut = torch.exp(log_rate * torch.ceil(math.log(SILENCE) / log_rate.detach()))
    begin = torch.maximum(torch.exp(log_rate * first), cut)
    scale = 1 / -torch.expm1(log_rate)
    begin, cut, scale = (each.to(levels.dtype)[..., None] for each in (begin, cut, scale))
    return (begin - cut - torch.relu(levels - cut)) * scale


def attack_samples(sample_rate: int) -> int:
    """After so many samples an envelope that rises from rest has reached 1."""
    return max(1, int(sample_rate * ATTACK_MS / 1000))
