"""Decays and angles of many samples from few: outer products, with gradients that are matrix products."""

import math
from typing import Any

import torch
from torch import Tensor

BLOCK = 256  # samples; a length of the outer products, not of anything audible


class _Outer(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, left: Tensor, right: Tensor) -> Tensor:
        context.save_for_backward(left, right)
        return (left[..., :, None] * right[..., None, :]).flatten(-2)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        left, right = context.saved_tensors
        gradient = gradient.unflatten(-1, (left.shape[-1], right.shape[-1]))
        return (gradient @ right[..., None])[..., 0], (left[..., None, :] @ gradient)[..., 0, :]


def outer_product(left: Tensor, right: Tensor) -> Tensor:
    """``(…, m)`` and ``(…, n)`` to their outer products ``(…, m n)``.

    By itself autograd goes back through two products of the full size, ten times as slow.
    """
    return _Outer.apply(left, right)


def exponents(first: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Coarse and fine steps whose sums are ``first, first + 1 …``, at least ``count`` of them."""
    coarse = torch.arange(first, count + first, BLOCK, dtype=torch.float64, device=device)
    return coarse, torch.arange(BLOCK, dtype=torch.float64, device=device)


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
