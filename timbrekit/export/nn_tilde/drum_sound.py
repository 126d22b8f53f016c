"""The next samples of a stroke of a drum in nn~: its modes and its noise, in what TorchScript can compile.

``stroke`` is what ``DrumVoice.struck`` made. Modes below e^-28 of full scale count as e^-28, noise below e^-40 as that.
"""

import math

import torch
from torch import Tensor


def steady(stroke: dict[str, Tensor], age: int, count: int) -> Tensor:
    """``(count,)`` the modes that do not glide: a power z^(a + b) is z^a, for every 256th sample, times z^b."""
    block = stroke["fine"].shape[1]
    coarse = torch.arange(age, age + count, block, dtype=torch.float64).unsqueeze(1)  # (blocks, 1)
    size = torch.exp((stroke["level"] - stroke["decay"] * coarse).clamp_min(-28.0))
    left = size * torch.cos(stroke["radians"] * coarse + stroke["phase"])
    return torch.matmul(left.to(torch.float32), stroke["fine"]).flatten()[:count]


def gliding(stroke: dict[str, Tensor], semitones: float, time: float, ages: Tensor) -> Tensor:
    """``(n,)`` the modes that glide, at these ages; ``time`` in samples."""
    amount = math.pow(2.0, semitones / 12.0) - 1.0
    warped = ages - torch.expm1(ages / -time) * (amount * time)
    size = torch.exp((stroke["glide_level"] - stroke["glide_decay"] * ages).clamp_min(-28.0))
    waves = torch.cos(stroke["glide_radians"] * warped + stroke["glide_phase"]) * size  # (modes, n)
    return waves.sum(0).to(torch.float32)


def noises(stroke: dict[str, Tensor], ages: Tensor, age: int, hiss: Tensor, room: Tensor) -> Tensor:
    """``(n,)`` the bands, whose levels are straight lines between every 64th sample.

    Args:
        ages: ``(n,)`` samples, from ``age`` on.
        hiss: ``(bands, n)`` of the table.
        room: ``(drums, …)`` what the onset part of each leaves to its bands at the beginning.
    """
    count = ages.shape[0]
    first = age // 64
    last = (age + count - 1) // 64 + 1
    grid = torch.arange(first * 64, (last + 1) * 64, 64, dtype=torch.float64)
    nodes, curves = stroke["nodes"], stroke["noise"]
    after = (nodes.unsqueeze(1) <= grid).sum(0).clamp(1, nodes.shape[0] - 1)
    start, end = nodes.index_select(0, after - 1), nodes.index_select(0, after)
    share = ((grid - start) / (end - start)).clamp_max(1.0)
    level = torch.lerp(curves.index_select(1, after - 1), curves.index_select(1, after), share)
    levels = torch.exp(level.clamp_min(-40.0)).to(torch.float32)  # (bands, grid)
    at = (ages - first * 64) / 64.0
    steps = at.to(torch.int64)
    left, right = levels.index_select(1, steps), levels.index_select(1, steps + 1)
    sounds = torch.lerp(left, right, at - steps) * hiss
    if age >= room.shape[1]:
        return sounds.sum(0)
    left_to_it = torch.ones(room.shape[0], count)
    heard = min(count, room.shape[1] - age)
    left_to_it[:, :heard] = room[:, age : age + heard]
    return (sounds.view(room.shape[0], -1, count).sum(1) * left_to_it).sum(0)
