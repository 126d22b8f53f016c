"""Small synthesised takes: seconds of struck noise and tones, of which every hit is known."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import Preset, load_preset
from timbrekit.recording.hits import find_hits
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Trained

RATE = 48_000
GAP_SECONDS = 0.3


def strokes(levels_db, brightness_hz, sample_rate=RATE, seed=0, noise_share=0.5, decay_seconds=0.04):
    """``(samples,)`` float32: decaying bursts of a tone and noise, one each 0.3 s, over a soft noise floor.

    Args:
        levels_db: peak of each stroke against full scale.
        brightness_hz: of each stroke's tone.
        noise_share: amplitude of its noise against the tone, for all strokes or each.
        decay_seconds: in which it falls to 1 / e, for all strokes or each.
    """
    generator = np.random.default_rng(seed)
    gap = round(GAP_SECONDS * sample_rate)
    samples = generator.normal(0, 1e-5, gap * (len(levels_db) + 1))
    time = np.arange(gap) / sample_rate
    shares = np.broadcast_to(noise_share, len(levels_db))
    decays = np.broadcast_to(decay_seconds, len(levels_db))
    for number, (level, hz) in enumerate(zip(levels_db, brightness_hz, strict=True)):
        burst = np.sin(2 * np.pi * hz * time) + shares[number] * generator.uniform(-1, 1, gap)
        burst *= np.exp(-time / decays[number]) / (1 + shares[number])
        start = gap // 2 + number * gap
        samples[start : start + gap] += 10 ** (level / 20) * burst
    return samples.astype(np.float32)


def varied_strokes(count=12, sample_rate=RATE, seed=0):
    """A take that has something to follow: 24 dB, two octaves, tone to noise, short to long."""
    generator = np.random.default_rng(seed)
    levels, octaves = generator.uniform(-30, -6, count), generator.uniform(0, 2, count)
    shares, decays = 10 ** generator.uniform(-1.5, 0.5, count), generator.uniform(0.015, 0.06, count)
    return strokes(levels, 300 * 2**octaves, sample_rate, seed, shares, decays)


@lru_cache
def tiny_take(count=12, seed=0) -> Take:
    take = make_take(find_hits(varied_strokes(count, seed=seed), RATE))
    assert len(take) == count
    return take


def take_with(onset=None, **changed) -> Take:
    """The tiny take with other numbers in it."""
    return replace(tiny_take(), **({} if onset is None else {"shifted_onset": onset[None]}), **changed)


def still_mapping(preset: Preset | None = None) -> Mapping:
    """A mapping that never moves the preset."""
    preset = preset or load_preset("snare-1")
    network = build_network("mlp")
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
    values, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    return Mapping(network, values, damping).eval()


def weights_of(trained: Trained) -> torch.Tensor:
    """All that was learnt, in one row."""
    return torch.cat([weights.flatten() for weights in trained.mapping.parameters()])
