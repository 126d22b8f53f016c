"""A differentiable TR-808 snare with the plug-in's sound.

Two sine oscillators with a shared pitch envelope, white noise through a resonant high-pass, three amplitude
envelopes, sum, tanh (Shier et al., NIME 2024, section 3.1; arithmetic as in the plug-in).

Everything is a closed form in time, so nothing loops over samples: a decay of rate r after m samples is r^m, the
phase of a decaying pitch sweep is a geometric sum, and a power r^(256 a + b) is an outer product of r^(256 a)
and r^b, each taken in double precision and only then rounded: as exact as the whole in double, far cheaper.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from timbrekit.synth import snare808_updates, snare808_updates_stream
from timbrekit.synth.base import Parameter
from timbrekit.synth.closed_forms import decay_powers, physical_groups, steady_angles
from timbrekit.synth.highpass import high_pass_from_zero_state, high_pass_in_steady_state
from timbrekit.synth.parameters import (
    ATTACK_MS,
    DECAY_LOG,
    NUM_PARAMETERS,
    NYQUIST_MARGIN_HZ,
    PARAMETERS,
    SILENCE,
    SNAP_STEP,
)
from timbrekit.synth.snare808_stream import play

BELOW_SILENCE = float(np.nextafter(np.float32(SILENCE), np.float32(0)))  # the loudest that is cut
# Samples, 2^10 * 9 and 2^11 * 9: fast FFTs. The longer noise comes round once within what the features look at, which
# none of their frames of 2048 samples can tell.
NOISE_PERIODS = (9216, 18_432)


@dataclass(frozen=True)
class Snare808:
    """The TR-808 snare of the TorchDrum plug-in, a ``timbrekit.synth.base.Synth``: 14 parameters in, sound out."""

    # Decay rates rounded to float32, as the plug-in keeps them. The gradient passes straight through the rounding;
    # with False the gradient is exact, and can be held against differences (gradcheck).
    plugin_rounding: bool = True

    name: ClassVar[str] = "snare808"
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    step: ClassVar[float] = SNAP_STEP

    def draw(
        self, batch: int, samples: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """As ``Synth.draw``: noise ``(1, period)`` in [-1, 1], one for the batch; phases ``(batch, 2)`` in cycles."""
        period = NOISE_PERIODS[samples > NOISE_PERIODS[0]]
        if generator is None:
            return white_noise((1, period), 0), torch.zeros(batch, 2)
        noise = torch.rand(period, generator=generator) * 2 - 1
        return noise[None], torch.rand(batch, 2, generator=generator)

    def render(
        self, rate: int, samples: int, parameters: Tensor, draws: tuple[Tensor, Tensor], carry_state: int = 0
    ) -> Tensor:
        """As ``Synth.render``. The noise filter is in steady state; what is carried from hit to hit is its state."""
        return self.sound(rate, samples, parameters, *draws, steady_state=True, carry_state=carry_state)

    def render_updates(
        self,
        rate: int,
        samples: int,
        parameters: Tensor,
        starts: tuple[int, ...],
        draws: tuple[Tensor, Tensor],
    ) -> Tensor:
        """As ``Synth.render_updates``. Every set of parameters starts the noise filter in zero state."""
        return snare808_updates.render(rate, samples, parameters, starts, *draws)

    stream_updates = staticmethod(snare808_updates_stream.play)  # as ``Synth.stream_updates``
    stream = staticmethod(play)  # as ``Synth.stream``, in the plug-in's own arithmetic, sample by sample

    def sound(
        self,
        rate: int,
        samples: int,
        parameters: Tensor,
        noise: Tensor | None = None,
        phases: Tensor | None = None,
        steady_state: bool = False,
        carry_state: int = 0,
    ) -> Tensor:
        """Render one trigger per row, starting with the envelopes at rest.

        Args:
            rate: Hz.
            samples: to render.
            parameters: ``(batch, 14)`` normalised, 0..1, in the order of ``parameters.PARAMETERS``.
            noise: ``(samples,)`` or ``(batch, samples)`` in [-1, 1] (see :func:`white_noise`), at least
                ``samples`` long, or of any length in steady state. None leaves the noise out.
            phases: ``(batch, 2)`` phases of the two oscillators at the trigger, in cycles; 0 by default.
            steady_state: False starts the noise filter in zero state, as a plug-in just opened does. True lets it have
                heard the noise before, over and over, as in a plug-in that has been open for a while; that is
                also cheaper, most of all where the noise is short and its length a product of small primes.
            carry_state: so many rows are hits in a row, as in the plug-in, each of which finds a filter in steady
                state as the one before left it; 0 is none.

        Returns:
            ``(batch, samples)``, in (-1, 1).

        Raises:
            ValueError: a shape does not fit.
        """
        if parameters.ndim != 2 or parameters.shape[-1] != NUM_PARAMETERS:
            raise ValueError(f"parameters must be (batch, {NUM_PARAMETERS}), not {tuple(parameters.shape)}")
        dtype, batch = parameters.dtype, len(parameters)
        if noise is not None and (
            (noise.shape[-1] < samples and not steady_state) or noise.shape[:-1] not in ((), (1,), (batch,))
        ):
            raise ValueError(
                f"noise must be (samples,) or ({batch}, samples) with at least {samples} samples, "
                f"not {tuple(noise.shape)}"
            )
        if phases is not None and phases.shape != (batch, 2):
            raise ValueError(f"phases must be ({batch}, 2), not {tuple(phases.shape)}")

        pitches, decays_ms, filter_at, levels_db = physical_groups(parameters)
        rates = self._decay_rates(decays_ms, rate)  # of the pitch, both oscillators and the noise
        decaying = max(0, samples - len(_attack(rate, parameters.device)[0]))  # samples after the attack
        sweep_powers, powers = decay_powers(torch.log(rates), 1, decaying, dtype).split([1, 3], 1)
        sweep_sum = _sweep_sum(rates[:, :1], sweep_powers, rate, samples)
        hz, mod = pitches.view(batch, 2, 2).unbind(-1)
        if phases is None:
            phases = torch.zeros(batch, 2, dtype=dtype, device=parameters.device)
        sounds = _oscillators(hz * (1 / rate), mod, sweep_sum, phases)
        amplitudes = torch.exp(levels_db * (math.log(10) / 20))
        amplitudes = (amplitudes[:, :3] * amplitudes[:, 3:]).to(dtype)  # the drive goes with each level
        if noise is None:
            powers, amplitudes = powers[:, :2], amplitudes[:, :2]
        else:
            noise, (cutoff_hz, q) = noise.to(dtype), filter_at.unbind(1)
            cutoff_hz = cutoff_hz.clamp_max(rate / 2 - NYQUIST_MARGIN_HZ)
            if steady_state:
                filtered = high_pass_in_steady_state(noise, cutoff_hz, q, samples, rate, carry_state)
            else:
                filtered = high_pass_from_zero_state(noise, cutoff_hz, q, samples, rate)
            sounds = torch.cat([sounds, filtered[:, None]], 1)
        return torch.tanh(torch.bmm(amplitudes[:, None], sounds * _envelopes(powers, rate, samples))[:, 0])

    def _decay_rates(self, decays_ms: Tensor, rate: int) -> Tensor:
        """Factors per sample, rounded to float32 as in the plug-in: a long phase sum magnifies it."""
        rates = 1 - DECAY_LOG * 1000 / rate / decays_ms
        if not self.plugin_rounding:
            return rates
        length = decays_ms.detach().float() * rate / 1000
        rounded = 1 - torch.full_like(length, DECAY_LOG) / length  # a number over a tensor is rounded twice
        return rates + (rounded - rates.detach())


def _sweep_sum(rate: Tensor, powers: Tensor, sample_rate: int, samples: int) -> Tensor:
    """``(batch, 1, samples)``: sum of the pitch envelope over all samples before this one.

    Args:
        rate: ``(batch, 1)`` of its decay.
        powers: ``(batch, 1, samples)`` of the rate, from the end of the attack.
    """
    _, before = _attack(sample_rate, rate.device)
    ramp_sums = before[:-1][:samples].to(powers.dtype).expand(len(rate), 1, -1)
    # After the attack: its sum, plus r + r^2 + ... + r^(m - 1) = (r - r^m) / (1 - r) before sample m of the decay,
    # until the cut to 0. Then the sum stands still, as does what is taken for r^m.
    log_rate = torch.log(rate)
    final = torch.exp(log_rate * (torch.floor(math.log(SILENCE) / log_rate.detach()) + 1))
    scale = 1 / (1 - rate)
    whole = before[-1] + (rate - final) * scale
    final, scale, whole = (each.to(powers.dtype)[..., None] for each in (final, scale, whole))
    # relu rather than a maximum of both, whose gradient takes four times as long.
    return torch.cat([ramp_sums, torch.addcmul(whole, torch.relu(powers - final), -scale)], -1)


def _oscillators(step: Tensor, mod: Tensor, sweep_sum: Tensor, phases: Tensor) -> Tensor:
    """``(batch, 2, samples)``: sines that advance by ``step (1 + mod * pitch envelope)``.

    Args:
        step: ``(batch, 2)`` cycles per sample.
        mod, phases: ``(batch, 2)``.
        sweep_sum: ``(batch, 1, samples)``.
    """
    dtype, samples = sweep_sum.dtype, sweep_sum.shape[-1]
    swing = (2 * math.pi * step * mod).to(dtype)
    angles = steady_angles(step, phases.double(), samples, dtype)
    return torch.sin(torch.addcmul(angles, sweep_sum, swing[..., None]))


def _envelopes(powers: Tensor, sample_rate: int, samples: int) -> Tensor:
    """``(batch, kinds, samples)``: attack, decay, cut to 0 below 1e-4.

    Args:
        powers: ``(batch, kinds, samples after the attack)`` of the decay rates, the first power first.
    """
    ramp = _attack(sample_rate, powers.device)[0][:samples].to(powers.dtype)
    decays = torch.nn.functional.threshold(powers, BELOW_SILENCE, 0)
    return torch.cat([ramp.expand(*powers.shape[:-1], -1), decays], -1)


@cache  # never forgotten: what is captured on a GPU looks at it where it lies
def _attack(sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The attack ``(samples,)``, and for each of its samples and the one after it the sum of all before."""
    ramp = torch.from_numpy(attack_ramp(sample_rate)).to(device)
    return ramp, torch.nn.functional.pad(ramp.cumsum(0, dtype=torch.float64), (1, 0))


def attack_ramp(sample_rate: int) -> np.ndarray:
    """The attack of every envelope: float32 steps of ``1 / int(0.001 sample_rate)``, clipped at 1.

    49 samples at 48 kHz, 45 at 44.1 kHz: adding up in float32 falls just short of 1 the first time.
    """
    count = int(sample_rate * ATTACK_MS / 1000)
    ramp = np.full(count + 2, np.float32(1) / np.float32(count)).cumsum(dtype=np.float32)
    return np.minimum(ramp[: np.argmax(ramp >= 1) + 1], np.float32(1))


def white_noise(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform noise in [-1, 1], the same for the same seed on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1
