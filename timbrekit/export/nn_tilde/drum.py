"""The voice of the user's own drum for nn~, as ``timbrekit.synth.drum_model`` plays it.

Every stroke is a closed form in its age, so that blocks of any length give the same sound. What stays the same from
block to block of a stroke, the powers of its modes among them, is computed when it is struck.
"""

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

from timbrekit.export.nn_tilde.drum_tables import at_rate, noise_table, onset_room, three_bands
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_model import END_FADE, NOISE_PIVOT
from timbrekit.synth.drum_parts import DB, HIGHEST, TINY
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import PERIOD, STEP, band_centres, erb_rate


class DrumVoice(NnVoice):
    """Strokes of modes, noise and an onset part; each fades out when the next one comes."""

    title = "drum"
    DB: Final[float] = DB
    HIGHEST: Final[float] = HIGHEST
    ATTACK: Final[float] = ATTACK
    END_FADE: Final[float] = END_FADE
    TINY: Final[float] = TINY
    BLOCK: Final[int] = BLOCK
    STEP: Final[int] = STEP
    PERIOD: Final[int] = PERIOD

    numbers: dict[str, Tensor]  # what the drum is: float64
    strokes: list[dict[str, Tensor]]  # that still sound
    values: list[float]  # the parameters set last

    def __init__(self, drum: Drum, rate: int):
        super().__init__()
        self.numbers = {name: torch.from_numpy(value) for name, value in _numbers(drum).items()}
        self.glides = int((drum.gliding > 0.5).sum())  # modes that do; they stand first
        self.reference = float(drum.loudness[drum.reference])
        self.main_frequency = drum.main_frequency
        self.seconds = drum.seconds
        self.noisy = True
        values = drum.values()
        self.values = [float(values[p.key]) for p in drum.parameters()]
        self.restart(rate)

    def restart(self, rate: int) -> None:
        self.rate = rate
        none: list[dict[str, Tensor]] = []
        self.strokes = none
        self.position = 0  # samples played
        self.start = -1  # of the noise in its table: not known before the first sample
        # Made when the first sound is: as large as fifty such files.
        self.table = torch.zeros(0)  # (20, 65536)
        self.onsets = torch.zeros(0)  # (hits, 3, n)
        self.room = torch.zeros(0)

    def set(self, values: list[float]) -> None:
        self.values = values

    def trigger(self) -> None:
        self.prepare()
        for stroke in self.strokes:
            clock: list[int] = stroke["clock"].tolist()
            if clock[1] < 0:
                stroke["clock"] = torch.tensor([clock[0], clock[0]])
        self.strokes.append(self.struck(self.values))

    def next(self, noise: Tensor) -> Tensor:
        count = noise.shape[0]
        if count == 0:
            return noise
        self.prepare()
        if self.start < 0:
            self.start = int((float(noise[0]) + 1.0) / 2.0 * (self.PERIOD - 1))
        sound = torch.zeros(count)
        if len(self.strokes) > 0:
            hiss = self.hiss(count)
            left: list[dict[str, Tensor]] = []
            for stroke in self.strokes:
                sound = sound + self.played(stroke, count, hiss)
                if self.goes_on(stroke, count):
                    left.append(stroke)
            self.strokes = left
        self.position += count
        return sound

    def prepare(self) -> None:
        """The tables of this sample rate."""
        if self.table.shape[0] == 0:
            self.table = noise_table(self.rate, self.numbers["noise_shape"], self.numbers["erb"])
            self.onsets = three_bands(at_rate(self.numbers["waves"], self.rate), self.rate)
            self.room = onset_room(self.onsets.shape[2], self.rate).to(torch.float32)

    def struck(self, values: list[float]) -> dict[str, Tensor]:
        """What a stroke with these parameters plays."""
        t = self.numbers
        harder = values[15] - self.reference
        frequency = t["frequency"] * math.pow(2.0, values[0] / 12.0)
        octaves = torch.log2(t["frequency"] / self.main_frequency)
        level = t["level"] + t["level_slope"] * harder + values[3] + octaves * values[4]
        amplitude = torch.exp(level * self.DB) * (frequency < self.HIGHEST * self.rate)
        decay = t["decay"] * torch.exp(t["decay_slope"] * harder + octaves * (values[6] * math.log(2.0)))
        decay = decay * (100.0 / values[5] / self.rate)
        turns = frequency / self.rate
        fine = torch.arange(self.BLOCK).to(torch.float64)
        steady = turns[self.glides :].unsqueeze(1) * fine
        angle = ((steady - steady.floor()) * (2.0 * math.pi)).to(torch.float32)
        size = torch.exp((decay[self.glides :].unsqueeze(1) * -fine).clamp_min(self.TINY).to(torch.float32))
        coloured = values[7] + t["octaves"] * values[8]
        early = t["noise_level"] + t["noise_slope"] * harder + coloured
        late = t["late_level"] + t["late_slope"] * harder + coloured + values[10]
        faster = 100.0 / values[9] / self.rate
        return {
            "clock": torch.tensor([0, -1]),  # samples: its age, and that at which the next one came, or -1
            "knobs": torch.tensor(values, dtype=torch.float64),
            "turns": turns,
            "amplitude": amplitude,
            "decay": decay,
            "phase": t["phase"],
            "fine": torch.cat([size * torch.cos(angle), size * torch.sin(angle)]),  # (2 modes, 256)
            "early": early * self.DB,
            "late": late * self.DB,
            "early_decay": t["noise_decay"] * faster,
            "late_decay": t["late_decay"] * faster,
            "onset": self.onset(values[11] + values[15], values[12], values[15]),
        }

    def onset(self, level: float, colour: float, strike: float) -> Tensor:
        """``(n,)`` the recorded waveforms of the two nearest strokes, mixed, in three bands."""
        loudness: list[float] = self.numbers["loudness"].tolist()
        last = len(loudness) - 1
        above = 0
        while above < last and loudness[above] <= strike:
            above += 1
        below = max(above - 1, 0)
        share = 1.0
        if above > below:
            share = min(max((strike - loudness[below]) / (loudness[above] - loudness[below]), 0.0), 1.0)
        mixed = self.onsets[below] * (1.0 - share) + self.onsets[above] * share  # (3, n)
        gains = torch.exp((level + torch.tensor([-2.0, 0.0, 2.0]) * colour) * self.DB)
        return (mixed * gains.unsqueeze(1)).sum(0).to(torch.float32)

    def hiss(self, count: int) -> Tensor:
        """``(20, count)`` the table's next samples."""
        first = (self.start + self.position) % self.PERIOD
        if first + count <= self.PERIOD:
            return self.table[:, first : first + count]
        return self.table.index_select(1, torch.arange(first, first + count).remainder(self.PERIOD))

    def played(self, stroke: dict[str, Tensor], count: int, hiss: Tensor) -> Tensor:
        """The next samples of a stroke."""
        values: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age, cut = clock[0], clock[1]
        places = torch.arange(age, age + count)
        sound = self.steady(stroke, age, count)
        if self.glides > 0:
            sound = sound + self.gliding(stroke, values, places)
        if age < self.ATTACK * self.rate:
            sound = sound * (places / (self.ATTACK * self.rate)).clamp_max(1.0)
        if self.noisy:
            sound = sound + self.noises(stroke, places, age, hiss)
        if age < self.room.shape[0]:
            onset = stroke["onset"][age : age + count]
            sound = sound + torch.cat([onset, torch.zeros(count - onset.shape[0])])
        end = self.end(values)
        if age + count > end - self.END_FADE * self.rate:
            sound = sound * ((end - places.to(torch.float64)) / (self.END_FADE * self.rate)).clamp(0.0, 1.0)
        drive = math.exp(values[13] * self.DB)
        sound = torch.tanh(sound * drive) * (math.exp(values[14] * self.DB) / drive)
        if cut >= 0:
            sound = sound * (1.0 - (places - cut) / self.cut()).clamp(0.0, 1.0)
        return sound.to(torch.float32)

    def steady(self, stroke: dict[str, Tensor], age: int, count: int) -> Tensor:
        """The modes that do not glide: each power z^(a + b) is z^a, for every 256th sample, times z^b."""
        coarse = torch.arange(age, age + count, self.BLOCK).to(torch.float64).unsqueeze(1)  # (blocks, 1)
        turns = stroke["turns"][self.glides :] * coarse
        angle = (turns - turns.floor()) * (2.0 * math.pi) + stroke["phase"][self.glides :]
        size = torch.exp((stroke["decay"][self.glides :] * -coarse).clamp_min(self.TINY))
        size = size * stroke["amplitude"][self.glides :]
        left = torch.cat([size * torch.cos(angle), -size * torch.sin(angle)], 1).to(torch.float32)
        return torch.matmul(left, stroke["fine"]).flatten()[:count]

    def gliding(self, stroke: dict[str, Tensor], values: list[float], places: Tensor) -> Tensor:
        amount, time = math.pow(2.0, values[1] / 12.0) - 1.0, values[2] / 1000.0 * self.rate
        warped = places - amount * time * torch.expm1(places.to(torch.float64) / -time)
        turns = stroke["turns"][: self.glides].unsqueeze(1) * warped  # (modes, n)
        angle = (turns - turns.floor()) * (2.0 * math.pi) + stroke["phase"][: self.glides].unsqueeze(1)
        size = torch.exp((stroke["decay"][: self.glides].unsqueeze(1) * -places).clamp_min(self.TINY))
        sizes = (size * stroke["amplitude"][: self.glides].unsqueeze(1)).to(torch.float32)
        return (torch.cos(angle.to(torch.float32)) * sizes).sum(0)

    def noises(self, stroke: dict[str, Tensor], places: Tensor, age: int, hiss: Tensor) -> Tensor:
        """The bands, whose levels are straight lines between every 64th sample."""
        steps = torch.div(places, self.STEP, rounding_mode="floor")
        first = age // self.STEP
        count = (age + places.shape[0] - 1) // self.STEP - first + 2
        grid = torch.arange(first, first + count).to(torch.float64) * self.STEP
        early = stroke["early"].unsqueeze(1) - stroke["early_decay"].unsqueeze(1) * grid
        late = stroke["late"].unsqueeze(1) - stroke["late_decay"].unsqueeze(1) * grid
        levels = torch.exp(early.clamp_min(self.TINY)) + torch.exp(late.clamp_min(self.TINY))
        levels = levels.to(torch.float32)  # (20, count)
        part = (places - steps * self.STEP) / float(self.STEP)
        left, right = levels.index_select(1, steps - first), levels.index_select(1, steps - first + 1)
        sound = (torch.lerp(left, right, part) * hiss).sum(0)
        if age >= self.room.shape[0]:
            return sound
        room = self.room[age : age + places.shape[0]]
        return sound * torch.cat([room, torch.ones(places.shape[0] - room.shape[0])])

    def goes_on(self, stroke: dict[str, Tensor], count: int) -> bool:
        """Makes a stroke so many samples older. Whether it still sounds then."""
        values: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age = clock[0] + count
        stroke["clock"] = torch.tensor([age, clock[1]])
        return age < self.end(values) and (clock[1] < 0 or age - clock[1] < self.cut())

    def end(self, values: list[float]) -> float:
        """The age, in samples, at which a stroke is over."""
        return self.seconds * max(values[5], max(values[9], 100.0)) / 100.0 * self.rate

    def cut(self) -> int:
        """Samples in which a stroke fades when the next one comes."""
        return int(self.END_FADE * self.rate)


def _numbers(drum: Drum) -> dict[str, np.ndarray]:
    gliding_first = np.argsort(drum.gliding < 0.5, kind="stable")
    modes = ("frequency", "level", "phase", "decay", "level_slope", "decay_slope")
    bands = ("noise_level", "noise_decay", "late_level", "late_decay", "noise_slope", "late_slope")
    order = np.argsort(drum.loudness, kind="stable")
    numbers = {name: getattr(drum, name)[gliding_first] for name in modes}
    numbers |= {name: getattr(drum, name) for name in (*bands, "noise_shape")}
    numbers["loudness"] = drum.loudness[order] + np.arange(len(order)) * 1e-6  # no two alike
    numbers["waves"] = drum.onset[order] / 10 ** (drum.loudness[order, None] / 20)
    numbers["octaves"] = np.log2(band_centres() / NOISE_PIVOT)
    numbers["erb"] = erb_rate(band_centres())
    return {name: np.array(value, float) for name, value in numbers.items()}
