"""``python -m tests.looks_golden``: numbers that hosts of the mel listener are tested with, in looks_golden.json.

A signal that any language can make, what is heard of it, what a small random mapping answers, and what the 808 plays.
"""

import json
from pathlib import Path

import numpy as np
import torch

from timbrekit.estimate import Estimator
from timbrekit.features.mel_looks import FEATURES, LOOKS, hear_looks, look_delays, look_starts
from timbrekit.mapping import Mapping
from timbrekit.mapping_looks import CONTEXT, Aims, LooksMapping, build_looks_network
from timbrekit.presets import load_preset
from timbrekit.synth.snare808_updates_stream import play

GOLDEN = Path(__file__).with_name("looks_golden.json")
RATES = (48_000, 44_100, 96_000)
DETECTION = 400
HITS, WANTED = 6, 7  # of the small mapping


def noise(count: int, seed: int) -> np.ndarray:
    """Xorshift in 32 bits, in [-1, 1): the page's ``seededNoise``."""
    values, state = np.empty(count), seed
    for i in range(count):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        values[i] = np.float32((state - 2**32 if state >= 2**31 else state) / 2**31)
    return values


def signal(rate: int) -> np.ndarray:
    """A hit at sample 390: a tone and noise that decay, rounded to 32-bit floats."""
    count = DETECTION + look_delays(rate)[-1] + 200
    time = np.arange(count) - 390
    hit = 0.8 * np.exp(-time / 900) * np.sin(2 * np.pi * 187 * time / rate)
    hit += 0.5 * np.exp(-time / 2500) * noise(count, 12345)
    return np.where(time >= 0, hit, 0.0).astype(np.float32)


def small_mapping() -> LooksMapping:
    """Random numbers of about the size of trained ones."""
    generator = torch.Generator().manual_seed(7)

    def random(*shape: int, size: float = 1.0) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * size

    parts = [(random(WANTED), random(size, WANTED, size=0.05), random(HITS, WANTED)) for size in FEATURES]
    dimension = FEATURES[-1]
    estimator = Estimator(
        -40 + random(dimension, size=5), 6 + random(dimension).abs(), random(HITS, dimension), parts
    )
    preset = load_preset("snare-1")
    network = build_looks_network(WANTED + CONTEXT, len(preset.parameters))
    aims = Aims(len(LOOKS), WANTED)
    with torch.no_grad():
        for values in (*network.parameters(), *aims.parameters()):
            values.copy_(random(*values.shape, size=0.3))
    mapping = Mapping(
        network,
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        torch.zeros(WANTED + CONTEXT),
    )
    return LooksMapping(estimator, aims, mapping).eval().requires_grad_(False)


def voice() -> dict:
    """Two hits of the 808; the second one cuts in after its third look and hears two of its own."""
    generator, preset = np.random.default_rng(3), load_preset("snare-1")
    low, high = np.array([(p.minimum, p.maximum) for p in preset.parameters]).T
    sets = preset.physical() + 0.1 * (high - low) * generator.uniform(-1, 1, (2, len(LOOKS), len(low)))
    sets[..., [0, 2]] = preset.physical()[[0, 2]] * generator.uniform(0.95, 1.05, (2, len(LOOKS), 2))
    sets = np.clip(sets, low, high).round(2)
    triggers, heard, count = [50, 2500], [3, 2], 6000
    idle = preset.physical().astype(float).round(2)
    audio = play(sets, heard, triggers, look_starts(48_000), count, 48_000, noise=noise(count, 99), idle=idle)
    return {
        "rate": 48_000,
        "noise_seed": 99,
        "idle": idle.tolist(),
        "parameters": sets.tolist(),
        "triggers": triggers,
        "heard": heard,
        "samples": count,
        "every": 7,
        "audio": [round(float(x), 8) for x in audio[::7]],
    }


def golden() -> dict:
    mapping, looks = small_mapping(), {}
    for rate in RATES:
        heard = hear_looks(torch.from_numpy(signal(rate)), torch.tensor([DETECTION]), rate)
        estimates = mapping.estimator(heard)
        looks[str(rate)] = {
            "delays": list(look_delays(rate)),
            "starts": list(look_starts(rate)),
            "features": rounded(heard[0]),
            "estimates": rounded(estimates[0]),
            "aims": rounded(mapping.aims(estimates)[0]),
            "modulation": rounded(mapping(heard)[0]),
        }
    estimator, aims = mapping.estimator, mapping.aims
    network = [values.tolist() for values in mapping.mapping.network.parameters()]
    return {
        "detection": DETECTION,
        "signal_noise_seed": 12345,
        "signal_48000_every_50": [float(x) for x in signal(48_000)[::50]],
        "looks": looks,
        "mapping": {
            **{
                name: getattr(estimator, name).tolist()
                for name in ("mean", "scale", "low", "high", "known", "offset", "linear", "weights")
            },
            "aims": {name: getattr(aims, name).tolist() for name in ("now", "before", "offset")},
            "network": dict(zip(("weight0", "bias0", "weight1", "bias1"), network, strict=True)),
            "damping": mapping.damping.tolist(),
        },
        "voice": voice(),
    }


def rounded(values: torch.Tensor) -> list:
    return np.round(values.double().numpy(), 6).tolist()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden()))
