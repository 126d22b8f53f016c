"""Two drums as one: which modes of the one become which of the other, and what lies between them.

Modes are paired by frequency, taken from each drum's main mode where those lie within an octave, and by level. A paired
mode glides from the one to the other; one without a partner fades. So does the noise, each drum's in its own colour,
and the onset. Strokes of the same ``strike`` are as loud on both.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from timbrekit.synth.drum import SILENT_DB, Drum

NEAR_OCTAVES = 0.25  # farther apart, modes are no pair
FAR_DB = 30.0  # nor if their levels, each below its drum's loudest, differ by more
WITHIN = 1.0  # octaves between the main modes, up to which these become one another
NO_PAIR = 1e6
OF_MODES = ("frequency", "level", "phase", "decay", "gliding", "level_slope")
# How numbers of a drum pass into those of the other: as amplitudes, in logarithms, or straight.
AMPLITUDES = ("level", "noise_level")
LOGARITHMS = ("frequency", "decay", "main_frequency")
STRAIGHT = ("phase", "seconds", "glide_amount", "glide_log_time")


def blend_drums(one: Drum, other: Drum) -> Drum:
    """``one`` with ``other`` beside it, their modes in the same order.

    Either may be anything but a blend itself.
    """
    first, second = paired_modes(one, other)
    only_first = np.setdiff1d(np.arange(len(one.frequency)), first)
    only_second = np.setdiff1d(np.arange(len(other.frequency)), second)
    modes, partners = {}, {}
    for name in OF_MODES:
        mine, theirs = getattr(one, name), getattr(other, name)
        lent, borrowed = (
            (_lent(mine, one, other), _lent(theirs, other, one)) if mine.ndim == 2 else (mine, theirs)
        )
        modes[name] = np.concatenate(
            [mine[..., first], mine[..., only_first], borrowed[..., only_second]], -1
        )
        partners[name] = np.concatenate(
            [theirs[..., second], lent[..., only_first], theirs[..., only_second]], -1
        )
    pairs, alone = len(first), len(only_first)
    modes["level"][:, pairs + alone :] = SILENT_DB
    partners["level"][:, pairs : pairs + alone] = SILENT_DB
    modes["gliding"] = partners["gliding"] = np.maximum(modes["gliding"], partners["gliding"])
    turn = modes["phase"][one.reference] - partners["phase"][other.reference]
    partners["phase"] = partners["phase"] + np.round(turn / (2 * np.pi)) * 2 * np.pi  # the shorter way round
    longest = max(one.seconds, other.seconds)  # or a long ring would be cut off half way to a short drum
    return replace(one, seconds=longest, **modes, other=replace(other, seconds=longest, **partners))


def _lent(rows: NDArray, drum: Drum, to: Drum) -> NDArray:
    """Those of the reference hit ``(modes,)`` of ``rows``, for every hit of another drum."""
    return np.tile(rows[drum.reference], (len(to.loudness), 1))


def paired_modes(one: Drum, other: Drum) -> tuple[NDArray, NDArray]:
    """Indices ``(pairs,)`` into the modes of each drum."""
    if not (len(one.frequency) and len(other.frequency)):
        return np.zeros(0, int), np.zeros(0, int)
    places = [np.log2(drum.frequency) for drum in (one, other)]
    mains = [math.log2(drum.main_frequency) for drum in (one, other)]
    if abs(mains[0] - mains[1]) <= WITHIN:
        places = [place - main for place, main in zip(places, mains, strict=True)]
    apart = np.abs(places[0][:, None] - places[1])
    levels = [level - level.max() for level in (one.level[one.reference], other.level[other.reference])]
    louder = np.abs(levels[0][:, None] - levels[1])
    both_glide = one.glide_amount != 0 and other.glide_amount != 0
    alike = (one.gliding[:, None] == other.gliding) | (not both_glide)
    possible = (apart <= NEAR_OCTAVES) & (louder <= FAR_DB) & alike
    cost = np.where(possible, apart / NEAR_OCTAVES + louder / FAR_DB, NO_PAIR)
    first, second = linear_sum_assignment(cost)
    kept = possible[first, second]
    return first[kept], second[kept]


def between(t: dict[str, Tensor], share: Tensor) -> dict[str, Tensor]:
    """What strokes need of a drum, of two: ``t`` holds the second one's numbers under names with ``other_`` before.

    Args:
        share: ``(batch, 1)`` of the second one, from 0 to 1.
    """
    decibel = math.log(10) / 20
    mixed = dict(t, share=share)
    for name in AMPLITUDES:
        one, other = (torch.exp(decibel * t[key]) for key in (name, f"other_{name}"))
        part = share.view(-1, *(1,) * (one.ndim - 1))
        mixed[name] = torch.log(torch.lerp(one, other, part).clamp_min(1e-12)) / decibel
    for name in LOGARITHMS:
        one, other = (torch.log(t[key].clamp_min(1e-3)) for key in (name, f"other_{name}"))
        mixed[name] = torch.exp(torch.lerp(one, other, share))
    for name in STRAIGHT:
        mixed[name] = torch.lerp(t[name], t[f"other_{name}"], share)
    return mixed
