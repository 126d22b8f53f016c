"""The voice of the 808 for nn~ where a model corrects it while it rings: ``timbrekit.synth.snare808_updates``.

Envelopes are closed forms in the time since the trigger; the noise filters alone feed back into themselves.
"""

import math
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.dsp import filtered, high_pass, rate_factor
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.parameters import ATTACK_MS, DECAY_LOG, NYQUIST_MARGIN_HZ, PARAMETERS, SILENCE
from timbrekit.synth.updates import GLIDES


class Ringing808Voice(NnVoice):
    """Free-running oscillators and noise under four envelopes, in 64 bits."""

    title = "808"
    ATTACK: Final[float] = ATTACK_MS / 1000
    DECAY: Final[float] = DECAY_LOG * 1000
    MARGIN: Final[float] = NYQUIST_MARGIN_HZ
    SILENCE: Final[float] = SILENCE
    GLIDES: Final[list[int]] = list(GLIDES)

    def __init__(self, rate: int):
        super().__init__()
        self.noisy = True  # the noise that is given is silent where it may not be heard
        self.restart(rate)
        self.set([p.minimum for p in PARAMETERS])

    def restart(self, rate: int) -> None:
        self.rate = float(rate)
        self.attack = max(1, int(rate * self.ATTACK))  # samples
        self.glides = [max(1, int(glide * rate_factor(float(rate)))) for glide in self.GLIDES]  # samples
        self.phase1 = 0.0  # cycles
        self.phase2 = 0.0
        self.state = [0.0, 0.0]  # of the noise filter; TorchScript may make one list of two that look alike
        self.old_state = self.state  # of that with the old parameters, from the first update on
        self.starts = [0.0, 0.0, 0.0, 0.0]  # where each envelope rose from; pitch, oscillators 1 and 2, noise
        self.tops = [0, 0, 0, 0]  # samples after the trigger at which each was 1 first
        self.since = 0  # samples since the trigger
        self.struck = False
        self.updates = 0  # since the trigger
        self.glide = 1  # samples
        self.gliding = self.glide  # samples of the glide that are over
        self.tuned = False

    def set(self, values: list[float]) -> None:
        cutoff = min(values[8], 0.5 * self.rate - self.MARGIN)
        self.coming = [math.log(1.0 - self.DECAY / self.rate / ms) for ms in values[4:8]]
        self.coming += [math.pow(10.0, (level + values[13]) / 20.0) for level in values[10:13]]
        self.coming += [values[0] / self.rate, values[1], values[2] / self.rate, values[3]]
        self.coming += high_pass(cutoff, values[9], self.rate)
        if not self.tuned:
            self.tuning = self.coming
            self.old_tuning = self.coming
        self.tuned = True

    def trigger(self) -> None:
        self.starts = [self.level(e) for e in range(4)]
        self.tuning = self.coming
        for e in range(4):
            top = 1
            while self.starts[e] + top / self.attack < 1.0:
                top += 1
            self.tops[e] = top
        self.since = 0
        self.struck = True
        self.updates = 0
        self.gliding = self.glide
        self.state = [0.0, 0.0]

    def update(self, values: list[float]) -> None:
        self.set(values)
        self.old_tuning = self.tuning
        self.old_state = self.state
        self.tuning = self.coming
        self.state = [0.0, 0.0]
        self.glide = self.glides[self.updates]
        self.updates += 1
        self.gliding = 0

    def level(self, e: int) -> float:
        """Where an envelope stands."""
        if not self.struck:
            return 0.0
        risen = self.since - self.tops[e]
        if risen < 0:
            return self.starts[e] + self.since / self.attack
        level = math.exp(self.tuning[e] * risen)
        if level < self.SILENCE:
            return 0.0
        return level

    def levels(self, tuning: list[float], count: int) -> Tensor:
        """``(4, count)`` of the next samples."""
        if not self.struck:
            return torch.zeros(4, count, dtype=torch.float64)
        times = torch.arange(self.since + 1, self.since + count + 1, dtype=torch.float64)
        risen = times - torch.tensor(self.tops, dtype=torch.float64).unsqueeze(1)
        decay = torch.exp(torch.tensor(tuning[:4], dtype=torch.float64).unsqueeze(1) * risen.clamp_min(0.0))
        decay = torch.where(decay < self.SILENCE, torch.zeros_like(decay), decay)
        if self.since >= self.attack:
            return decay
        starts = torch.tensor(self.starts, dtype=torch.float64).unsqueeze(1)
        return torch.where(risen < 0, starts + times / self.attack, decay)

    def played(
        self, tuning: list[float], state: list[float], samples: list[float]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """With one set of parameters: amplitudes of the oscillators, noise, advances in cycles; ``(…, count)``."""
        levels = self.levels(tuning, len(samples))
        gains = torch.tensor(tuning[4:7], dtype=torch.float64).unsqueeze(1)
        amplitudes = levels[1:] * gains
        hiss = filtered(samples, tuning[11:14], state)
        steps = torch.tensor([tuning[7], tuning[9]], dtype=torch.float64).unsqueeze(1)
        mods = torch.tensor([tuning[8], tuning[10]], dtype=torch.float64).unsqueeze(1)
        return amplitudes[:2], amplitudes[2] * hiss, steps * (1.0 + mods * levels[:1])

    def next(self, noise: Tensor) -> Tensor:
        count = noise.shape[0]
        if count == 0:
            return noise
        samples: list[float] = noise.tolist()
        tones, hiss, advances = self.played(self.tuning, self.state, samples)
        if self.gliding < self.glide:
            old_tones, old_hiss, old_advances = self.played(self.old_tuning, self.old_state, samples)
            way = torch.arange(self.gliding + 1, self.gliding + count + 1, dtype=torch.float64) / self.glide
            way = way.clamp_max(1.0)
            share = way * way * (3.0 - 2.0 * way)
            tones = share * tones + (1.0 - share) * old_tones
            hiss = share * hiss + (1.0 - share) * old_hiss
            advances = share * advances + (1.0 - share) * old_advances
        # Added as numbers: TorchScript makes tensors of lists by way of 32 bits, and phases would drift block by block.
        turns = torch.cumsum(advances, 1)
        ends = torch.stack([turns[0] + self.phase1, turns[1] + self.phase2])
        sines = torch.sin((ends - advances).remainder(1.0) * (2.0 * math.pi))
        last: list[float] = ends[:, count - 1].tolist()
        self.phase1 = math.fmod(last[0], 1.0)
        self.phase2 = math.fmod(last[1], 1.0)
        self.since += count
        self.gliding = min(self.gliding + count, self.glide)
        return torch.tanh((tones * sines).sum(0) + hiss).to(torch.float32)
