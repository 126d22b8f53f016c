"""Made-up drums for tests: modes and noise that are known, as a recording and as numbers."""

from functools import cache

import numpy as np
import torch

from timbrekit.export.metadata import build_metadata
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import Preset
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_analysis import analyse
from timbrekit.synth.noise_bands import NODES

RATE = 48_000
FREQUENCIES, DECAYS, LEVELS = (182.0, 331.0, 447.0, 612.0), (9.0, 14.0, 18.0, 25.0), (0.4, 0.25, 0.15, 0.1)


def struck(strength=1.0, seconds=0.7, glide=0.0, noise=0.02, seed=0):
    """``(samples,)`` four modes, noise that fades, and a click. Harder strokes are brighter."""
    t = np.arange(int(seconds * RATE)) / RATE
    u = t + glide * 0.03 * (1 - np.exp(-t / 0.03))
    sound = np.zeros(len(t))
    for number, (hz, decay, level) in enumerate(zip(FREQUENCIES, DECAYS, LEVELS, strict=True)):
        sound += (
            level * strength ** (1 + 0.2 * number) * np.cos(2 * np.pi * hz * u + number) * np.exp(-decay * t)
        )
    generator = np.random.default_rng(seed)
    sound += noise * strength * generator.standard_normal(len(t)) * np.exp(-20 * t)
    sound[:48] += 0.2 * strength * generator.standard_normal(48) * np.hanning(48)
    return sound * np.minimum(1, t / 0.001)


@cache
def small_drum() -> Drum:
    """Analysed from two strokes of the same drum."""
    return analyse([struck(0.3, seed=1), struck(1.0, seed=2)])


def drum_preset() -> Preset:
    return preset_of(small_drum())


@cache
def full_drum(seed=0) -> Drum:
    """As much as a drum can hold: 40 modes, ten of which glide, noise in all bands, eight hits."""
    random = np.random.default_rng(seed)
    frequency = np.sort(60 * 2 ** random.uniform(0, 7.5, 40))
    loudness = np.linspace(-32, -12, 8)
    loud, fall = loudness[:, None], random.uniform(7, 14, (20, 1))
    onset = random.standard_normal((8, 1920)) * np.exp(-np.arange(1920) / 200)
    return Drum(
        kind="tom",
        seconds=1.1,
        reference=4,
        glide_amount=0.4,
        glide_time=0.03,
        loudness=loudness,
        frequency=frequency,
        level=loud * random.uniform(0.8, 1.4, 40) + random.uniform(-30, -6, 40),
        phase=random.uniform(-3, 3, 40) + random.uniform(-0.5, 0.5, (8, 40)),
        decay=4 * (frequency / 60) ** 0.6,
        gliding=(np.arange(40) < 10).astype(float),
        level_slope=random.uniform(0.8, 1.4, 40),
        noise_level=loud[..., None] + random.uniform(-30, -14, (20, 1)) - fall * (8 * NODES) ** 0.5,
        noise_slope=random.uniform(0.8, 1.4, 20),
        late_slope=random.uniform(0.8, 1.4, 20),
        noise_shape=np.interp(np.arange(513), [0, 40, 200, 512], [-12, 0, -6, -40.0]),
        onset=onset * 10 ** (loudness[:, None] / 20),
    )


def preset_of(drum: Drum) -> Preset:
    return Preset("my-drum", "My drum", drum.values(), synth="drum", drum=drum.to_json())


def drum_mapping(preset: Preset, spread=0.5) -> Mapping:
    """A network that moves every knob of a drum, some of them far."""
    network = build_network("mlp", outputs=len(preset.parameters))
    generator = torch.Generator().manual_seed(3)
    for layer in network:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=spread, generator=generator)
    values, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    return Mapping(network, values, damping * 0.5).eval().requires_grad_(False)


def drum_metadata(mapping: Mapping, preset: Preset) -> dict:
    """What a model file with this mapping would say of itself."""
    lowest, highest = torch.tensor([-38.0, 50.0, -60.0]), torch.tensor([-8.0, 120.0, -3.0])
    return build_metadata(mapping, preset, RATE, DetectorSettings(), lowest, highest, name="Kitchen drum")


def update_rows(preset: Preset) -> np.ndarray:
    """``(2, 3, parameters)`` values around a preset's: two strokes, each with two updates."""
    low, high = np.array([(p.minimum, p.maximum) for p in preset.parameters]).T
    moved = np.random.default_rng(4).uniform(-0.1, 0.1, (2, 3, len(low))) * (high - low)
    return np.clip(preset.physical() + moved, low, high)
