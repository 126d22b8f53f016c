"""Small synthesised takes: seconds of struck noise and tones, of which every hit is known."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from timbrekit.hits import find_hits
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import Preset, load_preset
from timbrekit.take import Take, make_take

RATE = 48_000
GAP_SECONDS = 0.3


def strokes(levels_db, brightness_hz, sample_rate=RATE, gap_seconds=GAP_SECONDS, seed=0):
    """``(samples,)`` float32: decaying bursts of a tone and noise, one each ``gap_seconds``, over a soft noise floor.

    Args:
        levels_db: peak of each stroke against full scale.
        brightness_hz: of each stroke's tone.
    """
    generator = np.random.default_rng(seed)
    gap = round(gap_seconds * sample_rate)
    samples = generator.normal(0, 1e-5, gap * (len(levels_db) + 1))
    time = np.arange(gap) / sample_rate
    for number, (level, hz) in enumerate(zip(levels_db, brightness_hz, strict=True)):
        burst = np.sin(2 * np.pi * hz * time) + 0.5 * generator.uniform(-1, 1, gap)
        start = gap // 2 + number * gap
        samples[start : start + gap] += 10 ** (level / 20) * burst * np.exp(-time / 0.04) / 1.5
    return samples.astype(np.float32)


def varied_strokes(count=12, sample_rate=RATE, seed=0):
    """A take that has something to follow: levels over 24 dB, brightness over two octaves."""
    generator = np.random.default_rng(seed)
    levels, octaves = generator.uniform(-30, -6, count), generator.uniform(0, 2, count)
    return strokes(levels, 300 * 2**octaves, sample_rate, seed=seed)


@lru_cache
def tiny_take(count=12, seed=0) -> Take:
    take = make_take(find_hits(varied_strokes(count, seed=seed), RATE))
    assert len(take) == count
    return take


def take_with(onset=None, **changed) -> Take:
    """The tiny take with other numbers in it."""
    return replace(tiny_take(), **({} if onset is None else {"onset": onset}), **changed)


def still_mapping(preset: Preset | None = None) -> Mapping:
    """A mapping that never moves the preset."""
    preset = preset or load_preset("snare-1")
    network = build_network("mlp")
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
    values, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    return Mapping(network, values, damping).eval()
