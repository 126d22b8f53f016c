"""The resonant high-pass of the synthesiser's noise: second order, bilinear.

With k = tan(pi cutoff / rate) and n = 1 / (1 + k / Q + k^2): b = n (1, -2, 1), a = (1, 2 n (k^2 - 1),
n (1 - k / Q + k^2)), in transposed direct form II, as the plug-in runs it.
"""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

RING_SECONDS = 2.2  # the filter at 20 Hz and Q 10, its longest, has faded to 1e-6 by then
BLOCK = 256  # samples; a length of the outer products, not of anything audible


def filter_from_rest(
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
    size = _fast_length(num_samples + int(RING_SECONDS * sample_rate))
    return _periodic(noise[..., :num_samples], cutoff_hz, q, size, sample_rate)[..., :num_samples]


def filter_running(
    noise: Tensor, cutoff_hz: Tensor, q: Tensor, num_samples: int, sample_rate: int, handed_on: int = 0
) -> Tensor:
    """Filter noise that has been running, over and over, before its first sample, and goes on so after its last.

    Args:
        noise: ``(samples,)`` or ``(batch, samples)``, of any length: the shorter it is, the cheaper.
        cutoff_hz, q: ``(batch,)``.
        handed_on: of so many rows in a row, each finds the filter in the state in which the row before it, with its
            own cutoff and Q, left it (the first row: the last); 0 is none. The plug-in keeps the filter's state when
            a hit sets a new cutoff, and a state left by a high cutoff and read by a low one is a thump that can be
            louder than the hit. The state taken over has no gradient.

    Returns:
        ``(batch, num_samples)``.
    """
    filtered = _periodic(noise, cutoff_hz, q, noise.shape[-1], sample_rate)
    times = math.ceil(num_samples / noise.shape[-1])
    heard = filtered.repeat(1, times)[..., :num_samples]
    if not handed_on:
        return heard
    z1, z2 = _state_after(noise, filtered, cutoff_hz, q, sample_rate)
    left1, left2 = (z.detach().view(-1, handed_on).roll(1, 1).flatten() for z in (z1, z2))
    z1, z2 = left1 - z1, left2 - z2
    return heard + _ringing(z1, z2, cutoff_hz, q, num_samples, sample_rate, noise.dtype)


def _periodic(noise: Tensor, cutoff_hz: Tensor, q: Tensor, size: int, sample_rate: int) -> Tensor:
    """``(batch, size)``: the response to noise repeated every ``size`` samples, as a product of spectra.

    At the angle w the bilinear transform has s = j tan(w / 2) / k. The high-pass s^2 / (s^2 + s / Q + 1) is written
    with x = k cot(w / 2): 1 / (1 - x^2 - j x / Q); only DC, where it is 0, needs a case of its own.
    """
    prewarped = _prewarped(cutoff_hz, sample_rate).to(noise.dtype)
    cotangents = _cotangents(size).to(q.device, noise.dtype)
    return _HighPassed.apply(torch.fft.rfft(noise, size), prewarped, q.to(noise.dtype), cotangents, size)


class _HighPassed(torch.autograd.Function):
    """A spectrum times the response to each row's cutoff and Q, as sound, with the gradient of those two.

    Autograd by itself goes back through a dozen arrays of the spectrum's size for two numbers a row. With H the
    response and s the slope by it, they are sums over all bins: the slope by k of Re(s H^2 (2 k cot^2 + j cot / Q)),
    that by Q of Re(-j s H^2 k cot / Q^2).
    """

    @staticmethod
    def forward(
        context: Any, spectrum: Tensor, prewarped: Tensor, q: Tensor, cotangents: Tensor, size: int
    ) -> Tensor:
        x = prewarped[:, None] * cotangents
        real, imaginary = 1 - x.square(), x / q[:, None]
        scale = 1 / (real.square() + imaginary.square())
        response = torch.complex(real.mul_(scale), imaginary.mul_(scale))
        context.save_for_backward(spectrum, response, prewarped, q, cotangents)
        return torch.fft.irfft(torch.nn.functional.pad(spectrum[..., 1:] * response, (1, 0)), size)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        spectrum, response, k, q, cotangents = context.saved_tensors
        size = slope.shape[-1]
        by_response = torch.fft.rfft(slope)[..., 1:].conj() * spectrum[..., 1:]
        summed = by_response.mul_(response).mul_(response)
        # Every bin but that of half the sample rate stands for two.
        stands_for = torch.full_like(cotangents, 2 / size)
        if size % 2 == 0:
            stands_for[-1] /= 2
        summed, weights = torch.view_as_real(summed), cotangents * stands_for
        by_cot, by_cot_square = summed[..., 1] @ weights, summed[..., 0] @ (cotangents * weights)
        return None, 2 * k * by_cot_square - by_cot / q, k / q.square() * by_cot, None, None


@lru_cache(maxsize=8)
def _cotangents(size: int) -> Tensor:
    """cot(w / 2) at the bins of a real FFT but DC, in double precision."""
    half = torch.arange(1, size // 2 + 1, dtype=torch.float64) * (math.pi / size)
    return torch.cos(half) / torch.sin(half)


def _state_after(
    noise: Tensor, filtered: Tensor, cutoff_hz: Tensor, q: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """The filter's two state values ``(batch,)``, in double precision, after the last sample."""
    b0, a1, a2 = _coefficients(cutoff_hz, q, sample_rate)
    x1, x2 = noise[..., -1].double(), noise[..., -2].double()
    y1, y2 = filtered[:, -1].double(), filtered[:, -2].double()
    z2 = b0 * x1 - a2 * y1
    z1 = -2 * b0 * x1 - a1 * y1 + b0 * x2 - a2 * y2
    return z1, z2


def _ringing(
    z1: Tensor,
    z2: Tensor,
    cutoff_hz: Tensor,
    q: Tensor,
    num_samples: int,
    sample_rate: int,
    dtype: torch.dtype,
) -> Tensor:
    """``(batch, num_samples)``: what the state ``z1, z2`` adds to the output.

    With the pole p it is Im(p^n (z1 p + z2)) / Im(p), and p^(256 a + b) the product of p^(256 a) and p^b.
    """
    _, a1, a2 = _coefficients(cutoff_hz, q, sample_rate)
    real = -a1 / 2
    imaginary = (a2 - real.square()).clamp_min(1e-14).sqrt()  # Q is at least 0.5: never two real poles
    pole = torch.complex(real, imaginary)
    fine = torch.exp(torch.log(pole)[:, None] * torch.arange(BLOCK, device=q.device))
    steps = torch.arange(0, num_samples, BLOCK, device=q.device)
    coarse = torch.exp(torch.log(pole)[:, None] * steps) * ((z1 * pole + z2) / imaginary)[:, None]
    coarse = torch.stack([coarse.real, coarse.imag], -1).to(dtype)
    fine = torch.stack([fine.imag, fine.real], -2).to(dtype)
    return torch.bmm(coarse, fine).flatten(1)[:, :num_samples]


def _coefficients(cutoff_hz: Tensor, q: Tensor, sample_rate: int) -> tuple[Tensor, Tensor, Tensor]:
    """b0, a1, a2, ``(batch,)`` each, in double precision: the poles of a low cutoff lie too close for single."""
    k, q = _prewarped(cutoff_hz.double(), sample_rate), q.double()
    norm = 1 / (1 + k / q + k * k)
    return norm, 2 * norm * (k * k - 1), norm * (1 - k / q + k * k)


def _prewarped(cutoff_hz: Tensor, sample_rate: int) -> Tensor:
    return torch.tan(math.pi * cutoff_hz / sample_rate)


def _fast_length(count: int) -> int:
    """The least number of the form 2^k, 3 * 2^k or 5 * 2^k that is at least ``count``: its FFT is fast."""
    return min(f * 2 ** max(0, math.ceil(math.log2(count / f))) for f in (1, 3, 5))
