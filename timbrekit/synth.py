"""A differentiable TR-808 snare with the plug-in's sound.

Two sine oscillators with a shared pitch envelope, white noise through a resonant high-pass, three amplitude
envelopes, sum, tanh (Shier et al., NIME 2024, section 3.1; arithmetic as in the plug-in).

Everything is a closed form in time, so nothing loops over samples: a decay of rate r after m samples is r^m, the
phase of a decaying pitch sweep is a geometric sum, and a power r^(256 a + b) is an outer product of r^(256 a)
and r^b, each taken in double precision and only then rounded: as exact as the whole in double, far cheaper.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from timbrekit.noise_filter import filter_from_rest
from timbrekit.noise_filter import filter_running as run_filter
from timbrekit.parameters import NUM_PARAMETERS, PARAMETERS, SAMPLE_RATE

ATTACK_MS = 1.0
DECAY_LOG = 6.91  # -ln of what is left after the decay time: -60 dB
SILENCE = 1e-4  # an envelope below this is cut to 0
BELOW_SILENCE = float(np.nextafter(np.float32(SILENCE), np.float32(0)))  # the loudest that is cut
NYQUIST_MARGIN_HZ = 1000.0  # the noise cutoff used is at most this far below half the sample rate
BLOCK = 256  # samples; a length of the outer products, not of anything audible


def attack_ramp(sample_rate: int) -> np.ndarray:
    """The attack of every envelope: float32 steps of ``1 / int(0.001 sample_rate)``, clipped at 1.

    49 samples at 48 kHz, 45 at 44.1 kHz: adding up in float32 falls just short of 1 the first time.
    """
    count = int(sample_rate * ATTACK_MS / 1000)
    ramp = np.full(count + 2, np.float32(1) / np.float32(count)).cumsum(dtype=np.float32)
    return np.minimum(ramp[: np.argmax(ramp >= 1) + 1], np.float32(1))


@dataclass(frozen=True)
class Snare808:
    """The synthesiser: 14 normalised parameters in, sound out.

    ``render`` starts at a trigger, with the envelopes at rest.
    """

    sample_rate: int = SAMPLE_RATE
    num_samples: int = SAMPLE_RATE
    parameters: tuple = field(default=PARAMETERS, repr=False)
    # Decay rates rounded to float32, as the plug-in keeps them. The gradient passes straight through the rounding;
    # with False the gradient is exact, and can be held against differences (gradcheck).
    plugin_rounding: bool = True

    def render(
        self,
        parameters: Tensor,
        noise: Tensor | None = None,
        phases: Tensor | None = None,
        filter_running: bool = False,
        handed_on: int = 0,
    ) -> Tensor:
        """Render one trigger per row.

        Args:
            parameters: ``(batch, 14)`` normalised, 0..1, in the order of ``parameters.PARAMETERS``.
            noise: ``(samples,)`` or ``(batch, samples)`` in [-1, 1] (see :func:`white_noise`), at least
                ``num_samples`` long, or of any length with ``filter_running``. None leaves the noise out.
            phases: ``(batch, 2)`` phases of the two oscillators at the trigger, in cycles; 0 by default.
            filter_running: False starts the noise filter at rest, as a plug-in just opened does. True lets it have
                heard the noise before, over and over, as in a plug-in that has been open for a while; that is
                also cheaper, most of all where the noise is short and its length a product of small primes.
            handed_on: so many rows are hits in a row, as in the plug-in, each of which finds a running filter as the
                one before left it; 0 is none.

        Returns:
            ``(batch, num_samples)``, in (-1, 1).

        Raises:
            ValueError: a shape does not fit.
        """
        if parameters.ndim != 2 or parameters.shape[-1] != NUM_PARAMETERS:
            raise ValueError(f"parameters must be (batch, {NUM_PARAMETERS}), not {tuple(parameters.shape)}")
        low = torch.tensor(
            [p.minimum for p in self.parameters], dtype=torch.float64, device=parameters.device
        )
        high = torch.tensor(
            [p.maximum for p in self.parameters], dtype=torch.float64, device=parameters.device
        )
        physical = low + parameters.double() * (high - low)
        (
            osc1_hz, osc1_mod, osc2_hz, osc2_mod, freq_decay, osc1_decay, osc2_decay, noise_decay,
            cutoff_hz, q, osc1_db, osc2_db, noise_db, drive_db,
        ) = physical.unbind(-1)  # fmt: skip
        dtype, batch = parameters.dtype, len(parameters)
        if noise is not None and (
            (noise.shape[-1] < self.num_samples and not filter_running)
            or noise.shape[:-1] not in ((), (1,), (batch,))
        ):
            raise ValueError(
                f"noise must be (samples,) or ({batch}, samples) with at least {self.num_samples} samples, "
                f"not {tuple(noise.shape)}"
            )
        if phases is not None and phases.shape != (batch, 2):
            raise ValueError(f"phases must be ({batch}, 2), not {tuple(phases.shape)}")

        sweep = self._sweep_sum(self._decay_rate(freq_decay), dtype)
        if phases is None:
            phases = torch.zeros(batch, 2, dtype=dtype, device=parameters.device)
        tone1 = self._oscillator(osc1_hz, osc1_mod, sweep, phases[:, 0])
        tone2 = self._oscillator(osc2_hz, osc2_mod, sweep, phases[:, 1])
        mix = tone1 * self._envelope(self._decay_rate(osc1_decay), osc1_db, dtype)
        mix = mix + tone2 * self._envelope(self._decay_rate(osc2_decay), osc2_db, dtype)
        if noise is not None:
            noise, cutoff_hz = noise.to(dtype), cutoff_hz.clamp_max(self.sample_rate / 2 - NYQUIST_MARGIN_HZ)
            if filter_running:
                filtered = run_filter(noise, cutoff_hz, q, self.num_samples, self.sample_rate, handed_on)
            else:
                filtered = filter_from_rest(noise, cutoff_hz, q, self.num_samples, self.sample_rate)
            mix = mix + filtered * self._envelope(self._decay_rate(noise_decay), noise_db, dtype)
        return torch.tanh(mix * _amplitude(drive_db).to(dtype)[:, None])

    def _decay_rate(self, decay_ms: Tensor) -> Tensor:
        """Factor per sample, rounded to float32 as in the plug-in: a long phase sum magnifies it."""
        rate = 1 - DECAY_LOG / (decay_ms * (self.sample_rate / 1000))
        if not self.plugin_rounding:
            return rate
        return rate + (rate.float().double() - rate).detach()

    def _powers(self, rate: Tensor, dtype: torch.dtype) -> Tensor:
        """``(batch, samples)``: rate^m, m counted from the end of the attack (0 before it)."""
        attack = len(attack_ramp(self.sample_rate))
        count = max(0, self.num_samples - attack)
        fine = torch.arange(BLOCK, dtype=torch.float64, device=rate.device)
        coarse = torch.arange(1, count + 1, BLOCK, dtype=torch.float64, device=rate.device)
        log_rate = torch.log(rate)[:, None]
        coarse, fine = torch.exp(log_rate * coarse).to(dtype), torch.exp(log_rate * fine).to(dtype)
        return (coarse[:, :, None] * fine[:, None, :]).flatten(1)[:, :count]

    def _envelope(self, rate: Tensor, level_db: Tensor, dtype: torch.dtype) -> Tensor:
        """``(batch, samples)``: attack, decay, cut to 0 below 1e-4, times the level."""
        ramp = torch.from_numpy(attack_ramp(self.sample_rate)).to(rate.device, dtype)[: self.num_samples]
        decay = torch.nn.functional.threshold(self._powers(rate, dtype), BELOW_SILENCE, 0)
        return torch.cat([ramp.expand(len(rate), -1), decay], 1) * _amplitude(level_db).to(dtype)[:, None]

    def _sweep_sum(self, rate: Tensor, dtype: torch.dtype) -> Tensor:
        """``(batch, samples)``: sum of the pitch envelope over all samples before this one."""
        ramp = torch.from_numpy(attack_ramp(self.sample_rate)).to(rate.device, torch.float64)
        ramp = ramp[: self.num_samples]
        before = torch.cat([ramp.new_zeros(1), ramp.cumsum(0)])  # before[n] = sum of ramp[:n]
        # After the attack: its sum, plus r + r^2 + ... + r^m = (r - r^(m + 1)) / (1 - r), until the cut to 0.
        last = torch.floor(math.log(SILENCE) / torch.log(rate.detach()))[:, None]  # samples above the cut
        count = self.num_samples - len(ramp)
        powers = self._powers(rate, dtype)
        # Decayed samples before this one; exact up to 2^24.
        before_this = torch.arange(count, dtype=dtype, device=rate.device)
        final = (rate[:, None] * torch.exp(torch.log(rate)[:, None] * last)).to(dtype)
        # powers[m - 1] = r^m: the sum over the m - 1 decayed samples before sample m is (r - r^m) / (1 - r).
        tail = torch.where(before_this <= last.to(dtype), powers, final)
        slope = (1 / (1 - rate)).to(dtype)[:, None]
        summed = before[-1].to(dtype) + (rate.to(dtype)[:, None] - tail) * slope
        return torch.cat([before[: len(ramp)].to(dtype).expand(len(rate), -1), summed], 1)

    def _oscillator(self, hz: Tensor, mod: Tensor, sweep_sum: Tensor, phase: Tensor) -> Tensor:
        """``(batch, samples)``: sine whose pitch is ``hz (1 + mod * pitch envelope)``."""
        dtype = sweep_sum.dtype
        step = (hz / self.sample_rate)[:, None]  # cycles per sample
        fine = torch.arange(BLOCK, dtype=torch.float64, device=hz.device)
        coarse = torch.arange(0, self.num_samples, BLOCK, dtype=torch.float64, device=hz.device)
        turns = step * coarse
        turns = (turns - turns.detach().floor()).to(dtype)  # whole turns go in double precision
        steady = (turns[:, :, None] + (step * fine).to(dtype)[:, None, :]).flatten(1)[:, : self.num_samples]
        swept = sweep_sum * (step * mod[:, None]).to(dtype)
        return torch.sin(2 * math.pi * (steady + swept + phase.to(dtype)[:, None]))


def white_noise(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform noise in [-1, 1], the same for the same seed on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1


def _amplitude(level_db: Tensor) -> Tensor:
    return torch.exp(level_db * (math.log(10) / 20))
