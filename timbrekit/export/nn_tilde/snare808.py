"""The voice of the plug-in's 808 for nn~, in the arithmetic of ``timbrekit.synth.snare808_stream``."""

import math
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.dsp import envelope, filtered, gain, high_pass, oscillator, rounded
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.parameters import ATTACK_MS, DECAY_LOG, NYQUIST_MARGIN_HZ, PARAMETERS


class Snare808Voice(NnVoice):
    """Free-running oscillators and noise under four envelopes."""

    title = "808"
    ATTACK: Final[float] = ATTACK_MS / 1000
    DECAY: Final[float] = DECAY_LOG
    MARGIN: Final[float] = NYQUIST_MARGIN_HZ

    def __init__(self, rate: int):
        super().__init__()
        self.noisy = True  # the noise that is given is silent where it may not be heard
        self.restart(rate)
        self.set([p.minimum for p in PARAMETERS])

    def restart(self, rate: int) -> None:
        self.rate = float(rate)
        self.phases = [0.0, 0.0]
        self.noise_filter = [0.0, 0.0]
        self.levels = [0.0, 0.0, 0.0, 0.0]  # envelopes: pitch, oscillator 1, oscillator 2, noise
        self.rising = [False, False, False, False]
        self.attack = rounded(1.0 / float(int(rate * self.ATTACK)))

    def set(self, values: list[float]) -> None:
        self.steps = [
            rounded(2.0 * math.pi * values[0] / self.rate),
            rounded(2.0 * math.pi * values[2] / self.rate),
        ]
        self.sweeps = [values[1], values[3]]
        self.decays = [rounded(1.0 - self.DECAY / (ms * self.rate / 1000.0)) for ms in values[4:8]]
        cutoff = min(values[8], 0.5 * self.rate - self.MARGIN)
        self.noise_tuning = high_pass(cutoff, values[9], self.rate)
        self.gains = [gain(decibels) for decibels in values[10:14]]

    def trigger(self) -> None:
        self.rising = [True, True, True, True]

    def next(self, noise: Tensor) -> Tensor:
        count = noise.shape[0]
        if count == 0:
            return noise
        samples: list[float] = noise.tolist()
        hiss = filtered(samples, self.noise_tuning, self.noise_filter)
        levels: list[Tensor] = []
        for e in range(4):
            values, rising = envelope(self.levels[e], self.rising[e], count, self.attack, self.decays[e])
            self.levels[e] = values[-1]
            self.rising[e] = rising
            levels.append(torch.tensor(values))
        total = torch.zeros(count)
        for o in range(2):
            tone, after = oscillator(self.phases[o], self.steps[o], self.sweeps[o], levels[0])
            self.phases[o] = after
            total = total + tone * levels[o + 1] * self.gains[o]
        total = total + hiss * levels[3] * self.gains[2]
        return torch.tanh(total * self.gains[3])
