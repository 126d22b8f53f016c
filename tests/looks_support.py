"""Models with a mapping over looks for the tests of hosts: as a module, as a model file's description, as sound."""

import numpy as np
import torch

from timbrekit.estimate import Estimator
from timbrekit.export.looks_model import describe_looks
from timbrekit.export.metadata import build_metadata
from timbrekit.features.mel_looks import FEATURES, LOOKS
from timbrekit.mapping import Mapping
from timbrekit.mapping_looks import CONTEXT, Aims, LooksMapping, build_looks_network
from timbrekit.presets import Preset
from timbrekit.recording.onsets import DetectorSettings

WANTED = 7
RATE = 48_000


def looks_mapping(preset: Preset, hits: int = 40, spread: float = 0.2) -> LooksMapping:
    """Random numbers about the size of trained ones, and looks that differ from each other."""
    generator = torch.Generator().manual_seed(11)

    def random(*shape: int, size: float = 1.0) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * size

    width = FEATURES[-1]
    parts = [(random(WANTED), random(size, WANTED, size=0.05), random(hits, WANTED)) for size in FEATURES]
    estimator = Estimator(-40 + random(width, size=5), 8 + random(width).abs(), random(hits, width), parts)
    network, aims = build_looks_network(WANTED + CONTEXT, len(preset.parameters)), Aims(len(LOOKS), WANTED)
    with torch.no_grad():
        for values in (*network.parameters(), *aims.parameters()):
            values.copy_(random(*values.shape, size=spread))
    values, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    mapping = Mapping(network, values, 0.5 * damping, torch.zeros(WANTED + CONTEXT))
    return LooksMapping(estimator, aims, mapping).eval().requires_grad_(False)


def looks_metadata(mapping: LooksMapping, preset: Preset) -> dict:
    """What a model file with this mapping would say of itself."""
    lowest, highest = torch.tensor([-38.0, 84.0, -32.0]), torch.tensor([-8.0, 123.0, -3.0])
    settings = DetectorSettings()
    metadata = build_metadata(mapping.mapping, preset, RATE, settings, lowest, highest, name="Kitchen looks")
    return describe_looks(metadata, mapping)


CLOSE = DetectorSettings(
    on_threshold=24.0, off_threshold=24.0, hold=0
)  # finds hits that end each other's looks


def drumming(rate: int, seed: int = 3) -> np.ndarray:
    """``(samples,)`` short strokes of noise and tones, as few as 300 samples apart, float32."""
    random = np.random.default_rng(seed)
    apart = np.round(rate / 48_000 * np.tile([300, 700, 1500, 3000, 9000, 6000], 5)).astype(int)
    starts = np.cumsum(random.permutation(apart))
    audio = np.zeros(starts[-1] + rate // 4)
    for start in starts:
        time = np.arange(len(audio) - start) / rate
        tone = np.sin(2 * np.pi * random.uniform(600, 3000) * time)
        hiss = random.uniform(-1, 1, len(time)) * np.exp(-time / 0.003)
        audio[start:] += (
            random.uniform(0.1, 0.5) * (tone + hiss) * np.exp(-time / random.choice([0.0002, 0.0005, 0.003]))
        )
    return np.clip(audio, -1, 1).astype(np.float32)
