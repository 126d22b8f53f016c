"""The resonant high-pass of the synthesiser's noise: second order, bilinear.

With k = tan(pi cutoff / rate) and n = 1 / (1 + k / Q + k^2): b = n (1, -2, 1), a = (1, 2 n (k^2 - 1),
n (1 - k / Q + k^2)), in transposed direct form II, as the plug-in runs it.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from timbrekit.synth.closed_forms import exponents

RING_SECONDS = 2.2  # the filter at 20 Hz and Q 10, its longest, has faded to 1e-6 by then


def high_pass_from_zero_state(
    noise: Tensor, cutoff_hz: Tensor, q: Tensor, num_samples: int, sample_rate: int
) -> Tensor:
    """Filter noise whose first sample finds the filter at rest.

    Args:
        noise: ``(samples,)`` or ``(batch, samples)``, at least ``num_samples`` long.
        cutoff_hz, q: ``(batch,)``.

    Returns:
        ``(batch, num_samples)``.
    """
    # So much longer that what rings on does not wrap round into the sound.
    size = fast_length(num_samples + int(RING_SECONDS * sample_rate))
    k = _prewarped(cutoff_hz, sample_rate)
    return _periodic(noise[..., :num_samples], k, q, size)[..., :num_samples]


def high_pass_in_steady_state(
    noise: Tensor, cutoff_hz: Tensor, q: Tensor, num_samples: int, sample_rate: int, carry_state: int = 0
) -> Tensor:
    """Filter noise that has been running, over and over, before its first sample, and goes on so after its last.

    Args:
        noise: ``(samples,)`` or ``(batch, samples)``, of any length: the shorter it is, the cheaper.
        cutoff_hz, q: ``(batch,)``.
        carry_state: of so many rows in a row, each finds the filter in the state in which the row before it, with its
            own cutoff and Q, left it (the first row: the last); 0 is none. The plug-in keeps the filter's state when
            a hit sets a new cutoff, and a state left by a high cutoff and read by a low one is a thump that can be
            louder than the hit. The state taken over has no gradient.

    Returns:
        ``(batch, num_samples)``.
    """
    heard, poles, state = _running(noise, cutoff_hz, q, num_samples, sample_rate)
    if not carry_state:
        return heard
    left = state.detach().view(2, -1, carry_state).roll(1, 2).view_as(state)
    return heard + poles.ringing(left - state, num_samples, noise.dtype)


def high_pass_switched_on(
    noise: Tensor, cutoff_hz: Tensor, q: Tensor, num_samples: int, sample_rate: int
) -> Tensor:
    """Filter noise that goes round and round, by a filter that is in zero state at its first sample.

    The same as :func:`high_pass_from_zero_state`, with far shorter FFTs: what the state of a filter in steady state
    would ring on is taken away from what such a filter answers.

    Args:
        noise: ``(samples,)`` or ``(batch, samples)``, of any length from 2 on.
        cutoff_hz, q: ``(batch,)``.

    Returns:
        ``(batch, num_samples)``.
    """
    heard, poles, state = _running(noise, cutoff_hz, q, num_samples, sample_rate)
    return heard - poles.ringing(state, num_samples, noise.dtype)


def _running(
    noise: Tensor, cutoff_hz: Tensor, q: Tensor, num_samples: int, sample_rate: int
) -> tuple[Tensor, "_Poles", Tensor]:
    """``(batch, num_samples)`` of a filter in steady state, its poles, and its state ``(2, batch)`` after the noise."""
    k, q, period = _prewarped(cutoff_hz, sample_rate), q.double(), noise.shape[-1]
    filtered = _periodic(noise, k, q, period)
    heard = filtered if num_samples <= period else filtered.repeat(1, math.ceil(num_samples / period))
    poles = _Poles.of(k, q)
    state = poles.state_after(noise[..., -2:].double(), filtered[:, -2:].double())
    return heard[..., :num_samples], poles, state


def _periodic(noise: Tensor, k: Tensor, q: Tensor, size: int) -> Tensor:
    """``(batch, size)``: the response to noise repeated every ``size`` samples, as a product of spectra.

    At the angle w the bilinear transform has s = j tan(w / 2) / k. The high-pass s^2 / (s^2 + s / Q + 1) is written
    with x = k cot(w / 2): 1 / (1 - x^2 - j x / Q); only DC, where it is 0, needs a case of its own.
    """
    return _HighPassed.apply(torch.fft.rfft(noise, size), k.to(noise.dtype), q.to(noise.dtype), size)


class _HighPassed(torch.autograd.Function):
    """A spectrum times the response to each row's cutoff and Q, as sound, with the gradient of those two.

    Autograd by itself keeps a dozen arrays of the spectrum's size for two numbers a row. With H the
    response and g the gradient by it, they are sums over all bins: by k of Re(g H^2 (2 k cot^2 + j cot / Q)), by Q of
    Re(-j g H^2 k cot / Q^2).
    """

    @staticmethod
    def forward(context: Any, spectrum: Tensor, prewarped: Tensor, q: Tensor, size: int) -> Tensor:
        x = prewarped[:, None] * _cotangents(size, q.dtype, q.device)
        real, imaginary = 1 - x.square(), x / q[:, None]
        scale = 1 / (real.square() + imaginary.square())
        response = torch.complex(real.mul_(scale), imaginary.mul_(scale))
        context.save_for_backward(spectrum, response, prewarped, q)
        return torch.fft.irfft(torch.nn.functional.pad(spectrum[..., 1:] * response, (1, 0)), size)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None]:
        spectrum, response, k, q = context.saved_tensors
        size = gradient.shape[-1]
        by_response = torch.fft.rfft(gradient)[..., 1:].conj() * spectrum[..., 1:]
        summed = by_response.mul_(response).mul_(response)
        weights, square_weights = _gradient_weights(size, q.dtype, q.device)
        summed = torch.view_as_real(summed)
        by_cot, by_cot_square = summed[..., 1] @ weights, summed[..., 0] @ square_weights
        return None, 2 * k * by_cot_square - by_cot / q, k / q.square() * by_cot, None


@cache  # never forgotten: what is captured on a GPU looks at it where it lies
def _cotangents(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """cot(w / 2) at the bins of a real FFT but DC."""
    half = torch.arange(1, size // 2 + 1, dtype=torch.float64) * (math.pi / size)
    return (torch.cos(half) / torch.sin(half)).to(device, dtype)


@cache
def _gradient_weights(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """What each bin adds to the sums of ``cot`` and ``cot^2``: all but that of half the sample rate stand for two."""
    cotangents = _cotangents(size, dtype, device)
    stands_for = torch.full_like(cotangents, 2 / size)
    if size % 2 == 0:
        stands_for[-1] /= 2
    weights = cotangents * stands_for
    return weights, cotangents * weights


@dataclass(frozen=True)
class _Poles:
    """The filter's poles and coefficients ``(batch,)``, in double precision: those of a low cutoff lie too close for
    single."""

    norm: Tensor
    real: Tensor
    imaginary: Tensor
    a1: Tensor
    a2: Tensor

    @classmethod
    def of(cls, k: Tensor, q: Tensor) -> "_Poles":
        """The bilinear transform takes the poles -1 / (2 Q) +- j sqrt(1 - 1 / (4 Q^2)) to these."""
        damping, square = k / q, k * k
        norm = 1 / (1 + damping + square)
        real = norm * (1 - square)
        # Q is at least 0.5: never two real poles.
        imaginary = norm * (4 * square - damping * damping).clamp_min(1e-14).sqrt()
        return cls(norm, real, imaginary, -2 * real, 1 - 2 * norm * damping)

    def state_after(self, noise: Tensor, filtered: Tensor) -> Tensor:
        """``(2, batch)``: the two state values after the last two samples ``(…, 2)`` that went in and came out."""
        x2, x1 = noise.unbind(-1)
        y2, y1 = filtered.unbind(-1)
        z1 = self.norm * (x2 - 2 * x1) - self.a1 * y1 - self.a2 * y2
        return torch.stack([z1, self.norm * x1 - self.a2 * y1])

    def ringing(self, state: Tensor, num_samples: int, dtype: torch.dtype) -> Tensor:
        """``(batch, num_samples)``: what the state ``(z1, z2)`` adds to the output.

        With the pole p it is Im(p^n (z1 p + z2)) / Im(p), and p^(256 a + b) the product of p^(256 a) and p^b.
        """
        pole = torch.complex(self.real, self.imaginary)
        coarse, fine = exponents(0, num_samples, pole.device)
        powers = torch.exp(torch.log(pole)[:, None] * torch.cat([coarse, fine]))
        coarse, fine = powers.split([len(coarse), len(fine)], 1)
        coarse = coarse * ((state[0] * pole + state[1]) / self.imaginary)[:, None]
        coarse, fine = torch.view_as_real(coarse).to(dtype), torch.view_as_real(fine).to(dtype)
        return torch.bmm(coarse, fine.flip(-1).mT).flatten(1)[:, :num_samples]


def _prewarped(cutoff_hz: Tensor, sample_rate: int) -> Tensor:
    """k, in double precision."""
    return torch.tan(cutoff_hz.double() * (math.pi / sample_rate))


def fast_length(count: int) -> int:
    """The least number of the form 2^k, 3 * 2^k or 5 * 2^k that is at least ``count``: its FFT is fast."""
    return min(f * 2 ** max(0, math.ceil(math.log2(count / f))) for f in (1, 3, 5))
