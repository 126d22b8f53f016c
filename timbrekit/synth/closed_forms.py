"""What both renderings of the 808 share: physical parameters, and decays and angles of many samples from few."""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from timbrekit.synth.parameters import PARAMETERS

BLOCK = 256  # samples; a length of the outer products, not of anything audible


def physical_groups(parameters: Tensor) -> tuple[Tensor, ...]:
    """Normalised parameters ``(…, 14)`` in physical units and double precision, as the table has them one by one.

    Returns:
        Frequency and sweep of both oscillators ``(…, 4)``; decays of pitch, oscillators and noise in ms ``(…, 4)``;
        cutoff in Hz and Q of the noise filter ``(…, 2)``; levels of the three sources and drive in dB ``(…, 4)``.
    """
    low, span = _ranges(parameters.device)
    return torch.addcmul(low, parameters.double(), span).split([4, 4, 2, 4], -1)


@cache  # never forgotten: what is captured on a GPU looks at it where it lies
def _ranges(device: torch.device) -> tuple[Tensor, Tensor]:
    """Minima and spans ``(14,)``."""
    ranges = [(p.minimum, p.maximum) for p in PARAMETERS]
    low, high = torch.tensor(ranges, dtype=torch.float64, device=device).T
    return low, high - low


def decay_powers(log_rates: Tensor, first: int, count: int, dtype: torch.dtype) -> Tensor:
    """``(…, count)``: rate^first, rate^(first + 1) … of decay rates per sample, given their logarithms ``(…)``.

    rate^(256 a + b) is rate^(256 a) times rate^b, each taken in double precision and only then rounded to ``dtype``.
    """
    coarse, fine = exponents(first, count, log_rates.device)
    powers = torch.exp(log_rates[..., None] * torch.cat([coarse, fine])).to(dtype)
    return _OuterProduct.apply(*powers.split([len(coarse), len(fine)], -1))[..., :count]


def exponents(first: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Coarse and fine steps whose sums are ``first, first + 1 …``, at least ``count`` of them."""
    coarse = torch.arange(first, count + first, BLOCK, dtype=torch.float64, device=device)
    return coarse, torch.arange(BLOCK, dtype=torch.float64, device=device)


class _OuterProduct(torch.autograd.Function):
    """``(…, m)`` and ``(…, n)`` to ``(…, m n)``, with gradients that are matrix products.

    By itself autograd goes back through two products of the full size, ten times as slow.
    """

    @staticmethod
    def forward(context: Any, left: Tensor, right: Tensor) -> Tensor:
        context.save_for_backward(left, right)
        return (left[..., :, None] * right[..., None, :]).flatten(-2)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        left, right = context.saved_tensors
        gradient = gradient.unflatten(-1, (left.shape[-1], right.shape[-1]))
        return (gradient @ right[..., None])[..., 0], (left[..., None, :] @ gradient)[..., 0, :]


def steady_angles(step: Tensor, phases: Tensor, samples: int, dtype: torch.dtype) -> Tensor:
    """``(batch, 2, samples)`` in radians, whole turns left out now and then: phases that advance by ``step``.

    Args:
        step: ``(batch, 2)`` cycles per sample.
        phases: ``(batch, 2)`` at the first sample, in cycles.
        samples, dtype: of the result.
    """
    turn = 2 * math.pi
    coarse, fine = exponents(0, samples, step.device)
    turns = torch.addcmul(phases[..., None], step[..., None], coarse)
    turns = turns - turns.detach().floor()  # whole turns go in double precision
    within = step[..., None] * (turn * fine)
    steady = ((turn * turns).to(dtype)[..., None] + within.to(dtype)[..., None, :]).flatten(2)
    return steady[..., :samples]
