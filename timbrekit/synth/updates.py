"""A sounding voice that is given new parameters: which of them holds when, and how one passes into the next.

A hit's first parameters hold from its trigger on. Each later set of them, an update, comes a fixed number of samples
after the trigger. The voice does not remember what it played before: it goes on as if it had been triggered with the
new parameters, and passes over to them within a glide of 4 or 11 ms along the curve ``3 u^2 - 2 u^3``. So what rings
after the last update is what these parameters sound like, however wrong the first guess was.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

# Samples at 44.1 and 48 kHz in which each update of a hit takes over, until the next one at most. Longer ones at the
# second and third update correct too late (docs/listener.md).
GLIDES = (512, 192, 192, 512)


def rate_factor(sample_rate: int) -> float:
    """The power of two that numbers of samples at 48 kHz are multiplied with: 1 at 44.1 kHz, 2 at 88.2 and 96 kHz."""
    return 2.0 ** round(math.log2(sample_rate / 48_000))


def glide_samples(sample_rate: int) -> tuple[int, ...]:
    """Of each update."""
    return tuple(max(1, round(glide * rate_factor(sample_rate))) for glide in GLIDES)


def spans(starts: tuple[int, ...], samples: int, glides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where each set of parameters is heard, ``(first, past the last)`` sample after the trigger.

    Args:
        starts: of each set, ascending, 0 first.
        samples: that are rendered. What starts later has an empty span.
        glides: samples, of each update.
    """
    ends = [min(start + glide, samples) for start, glide in zip(starts[1:], glides, strict=False)] + [samples]
    return [(min(start, samples), end) for start, end in zip(starts, ends, strict=True)]


@cache
def shares(starts: tuple[int, ...], samples: int, glides: tuple[int, ...]) -> Tensor:
    """``(sets, samples)`` in double precision: how much each set of parameters counts. They add up to 1."""
    times = torch.arange(samples, dtype=torch.float64)
    rises = [torch.ones(samples, dtype=torch.float64)]
    for start, glide in zip(starts[1:], glides, strict=False):
        u = ((times - start + 1) / glide).clamp(0, 1)
        rises.append(u * u * (3 - 2 * u))
    rises.append(torch.zeros(samples, dtype=torch.float64))
    rises = torch.stack(rises)
    return rises[:-1] - rises[1:]


def crossfaded(
    render: Callable[[Tensor, int], Tensor],
    samples: int,
    parameters: Tensor,
    starts: tuple[int, ...],
    glides: tuple[int, ...],
) -> Tensor:
    """The update of a synthesiser whose sound is a closed form in time: from one render to the next.

    Args:
        render: of parameters ``(batch, parameters)`` and a number of samples, to ``(batch, samples)``.
        samples: to render.
        parameters: ``(batch, sets, parameters)``.
        starts: samples after the trigger at which each set comes, 0 first.
        glides: ``glide_samples``.

    Returns:
        ``(batch, samples)``, differentiable.
    """
    sound = 0
    for each, (first, end), weight in zip(
        parameters.unbind(1),
        spans(starts, samples, glides),
        shares(starts, samples, glides).to(parameters.device),
        strict=True,
    ):
        if first < end:
            part = render(each, end)[:, first:]
            part = part * weight[first:end].to(part.dtype)
            sound = sound + torch.nn.functional.pad(part, (first, samples - end))
    return sound
