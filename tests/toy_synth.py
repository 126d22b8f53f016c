"""A second synthesiser, for tests: six decaying partials and noise, 20 parameters. Nothing of timbrekit knows it."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from timbrekit.presets import Preset
from timbrekit.synth.base import Parameter

PARTIALS = 6
DECAY = math.log(1000)  # -60 dB at the decay time


def table():
    parameters = []
    for number in range(1, PARTIALS + 1):
        parameters += [
            Parameter(
                f"partial{number}.freq", f"Partial {number} frequency", "Hz", 50.0, 4000.0, damping=0.02
            ),
            Parameter(f"partial{number}.decay", f"Partial {number} decay", "ms", 20.0, 800.0),
            Parameter(f"partial{number}.level", f"Partial {number} level", "dB", -60.0, 0.0, velocity=True),
        ]
    return (
        *parameters,
        Parameter("noise.decay", "Noise decay", "ms", 20.0, 800.0),
        Parameter("noise.level", "Noise level", "dB", -60.0, 0.0, velocity=True),
    )


@dataclass(frozen=True)
class ToySynth:
    """A ``timbrekit.synth.base.Synth`` that forgets everything at each trigger. Phases begin at 0 in the stream."""

    name: ClassVar[str] = "toy"
    parameters: ClassVar[tuple[Parameter, ...]] = table()
    step: ClassVar[None] = None

    def draw(self, batch, samples, generator=None):
        generator = generator or torch.Generator().manual_seed(0)
        return (torch.rand(1, samples, generator=generator) * 2 - 1,)

    def render(self, rate, samples, parameters, draws, carry_state=0):
        low = torch.tensor([p.minimum for p in self.parameters], dtype=torch.float64)
        high = torch.tensor([p.maximum for p in self.parameters], dtype=torch.float64)
        physical = low + parameters.double() * (high - low)
        time = torch.arange(samples, dtype=torch.float64) / rate
        hz, decay, level = physical[:, : 3 * PARTIALS].unflatten(1, (PARTIALS, 3)).unbind(-1)
        tones = torch.sin(2 * math.pi * hz[..., None] * time) * _envelopes(decay, level, time)
        noise = draws[0][:, :samples].double() * _envelopes(physical[:, 18], physical[:, 19], time)
        return ((tones.sum(1) + noise) / 4).to(parameters.dtype)

    def stream(self, physical, triggers, num_samples, sample_rate, noise=None, seed=0, idle=None):
        physical, triggers = np.asarray(physical, float), np.asarray(triggers)
        rows = np.broadcast_to(physical, (len(triggers), len(self.parameters)))
        noise = (
            np.random.default_rng(seed).uniform(-1, 1, num_samples) if noise is None else np.asarray(noise)
        )
        audio = np.zeros(num_samples, np.float32)
        for row, start, end in zip(rows, triggers, [*triggers[1:], num_samples], strict=True):
            time = np.arange(end - start) / sample_rate
            hit = noise[start:end] * 10 ** (row[19] / 20) * np.exp(-DECAY * 1000 / row[18] * time)
            for hz, decay, level in row[:18].reshape(PARTIALS, 3):
                hit += (
                    np.sin(2 * np.pi * hz * time) * 10 ** (level / 20) * np.exp(-DECAY * 1000 / decay * time)
                )
            audio[start:end] = hit / 4
        return audio


def _envelopes(decay_ms, level_db, time):
    amplitude = torch.exp(level_db * (math.log(10) / 20))
    return amplitude[..., None] * torch.exp(-DECAY * 1000 / decay_ms[..., None] * time)


def toy_preset():
    hz, decay = (150, 320, 500, 800, 1300, 2100), (300, 250, 200, 150, 120, 100)
    values = {}
    for number in range(PARTIALS):
        values |= {
            f"partial{number + 1}.freq": float(hz[number]),
            f"partial{number + 1}.decay": float(decay[number]),
            f"partial{number + 1}.level": -12.0 - 3 * number,
        }
    values |= {"noise.decay": 150.0, "noise.level": -12.0}
    return Preset("toy-drum", "Toy drum", values, synth="toy")
