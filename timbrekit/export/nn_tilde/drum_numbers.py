"""A drum as numbers for its voice in nn~, and what lies between two of them.

:func:`numbers_of` is Python's; the rest is in what TorchScript can compile, with the formulas of
``timbrekit.synth.drum_blend`` and ``drum_parts``.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_model import NOISE_PIVOT
from timbrekit.synth.drum_parts import LATENESS
from timbrekit.synth.noise_bands import NODES, band_centres, erb_rate

MODES = ("frequency", "decay", "level_slope")
BANDS = ("noise_slope", "late_slope")


def numbers_of(drum: Drum) -> dict[str, NDArray]:
    """Float64 arrays by name; those of the drum that it is blended with have ``other_`` before theirs."""
    order = np.argsort(drum.gliding < 0.5, kind="stable")  # modes that glide first
    numbers = _of_one(drum, drum, order)
    drums = [drum]
    if drum.other:
        numbers |= {f"other_{name}": value for name, value in _of_one(drum.other, drum, order).items()}
        drums.append(drum.other)
    longest = max(each.onset.shape[1] for each in drums)
    waves = [np.pad(_waves(each), ((0, 0), (0, longest - each.onset.shape[1]))) for each in drums]
    numbers["waves"] = np.concatenate(waves)
    numbers["onset_samples"] = [each.onset.shape[1] for each in drums]
    numbers["noise_shape"] = np.stack([each.noise_shape for each in drums])
    numbers["octaves"] = np.log2(band_centres() / NOISE_PIVOT)
    numbers["nodes"], numbers["lateness"] = NODES, LATENESS
    numbers["erb"] = erb_rate(band_centres())
    return {name: np.array(value, float) for name, value in numbers.items()}


def _of_one(drum: Drum, first: Drum, order: NDArray) -> dict[str, NDArray]:
    (steps, time), (first_steps, first_time) = drum.glide, first.glide
    rows = np.argsort(drum.loudness, kind="stable")
    return (
        {name: getattr(drum, name)[order] for name in MODES}
        | {name: getattr(drum, name)[rows][:, order] for name in ("level", "phase")}
        | {name: getattr(drum, name) for name in BANDS}
        | {
            "noise_level": drum.noise_level[rows],
            "loudness": drum.loudness[rows] + np.arange(len(rows)) * 1e-6,  # no two alike
            # Main frequency and factor of the glide's time as logarithms; seconds; semitones that it glides more.
            "single": np.array(
                [
                    math.log(drum.main_frequency),
                    drum.seconds,
                    steps - first_steps,
                    math.log(time / first_time),
                ]
            ),
        }
    )


def _waves(drum: Drum) -> NDArray:
    """``(hits, n)`` onsets at the same loudness, the softest hit first."""
    order = np.argsort(drum.loudness, kind="stable")
    return drum.onset[order] / 10 ** (drum.loudness[order, None] / 20)


def at_strike(t: dict[str, Tensor], strike: float, whose: str) -> dict[str, Tensor]:
    """The numbers of one drum for a stroke: between those of the nearest hits, or beyond them."""
    loudness = t[whose + "loudness"]
    shares = nearest(loudness, strike).unsqueeze(1)
    beyond = strike - min(max(strike, float(loudness[0])), float(loudness[-1]))
    early, late = t[whose + "noise_slope"].unsqueeze(1), t[whose + "late_slope"].unsqueeze(1)
    growth = early + (late - early) * t["lateness"]
    return {
        "frequency": t[whose + "frequency"],
        "decay": t[whose + "decay"],
        "level": (shares * t[whose + "level"]).sum(0) + t[whose + "level_slope"] * beyond,
        "phase": (shares * t[whose + "phase"]).sum(0),
        "noise_level": (shares.unsqueeze(2) * t[whose + "noise_level"]).sum(0) + growth * beyond,
        "single": t[whose + "single"],
    }


def between(one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """What lies between the numbers of two drums; ``share`` of the second one, from 0 to 1."""
    decibel = math.log(10.0) / 20.0
    mixed: dict[str, Tensor] = {}
    for name in ["level", "noise_level"]:
        first, second = torch.exp(one[name] * decibel), torch.exp(other[name] * decibel)
        mixed[name] = torch.log(torch.lerp(first, second, share).clamp_min(1e-12)) / decibel
    for name in ["frequency", "decay"]:
        first, second = torch.log(one[name].clamp_min(1e-3)), torch.log(other[name].clamp_min(1e-3))
        mixed[name] = torch.exp(torch.lerp(first, second, share))
    for name in ["phase", "single"]:
        mixed[name] = torch.lerp(one[name], other[name], share)
    return mixed


def nearest(hit_loudness: Tensor, strike: float) -> Tensor:
    """``(hits,)`` shares of the two nearest strokes; of the outermost beyond them."""
    loudness: list[float] = hit_loudness.tolist()
    last = len(loudness) - 1
    above = 0
    while above < last and loudness[above] <= strike:
        above += 1
    below = max(above - 1, 0)
    share = 1.0
    if above > below:
        share = min(max((strike - loudness[below]) / (loudness[above] - loudness[below]), 0.0), 1.0)
    shares = torch.zeros_like(hit_loudness)
    shares[below] = 1.0 - share
    shares[above] = share
    return shares
