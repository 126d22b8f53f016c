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
from timbrekit.export.nn_tilde.dsp import rate_factor
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_model import END_FADE, NOISE_PIVOT
from timbrekit.synth.drum_parts import DB, HIGHEST, TINY
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import PERIOD, STEP, band_centres, erb_rate
from timbrekit.synth.updates import GLIDE


class DrumVoice(NnVoice):
    """Strokes of modes, noise and an onset part; each fades out when the next one comes."""

    title = "drum"
    DB: Final[float] = DB
    HIGHEST: Final[float] = HIGHEST
    ATTACK: Final[float] = ATTACK
    END_FADE: Final[float] = END_FADE
    TINY: Final[float] = TINY
    FAINT: Final[float] = -28.0  # a mode below e^-28 is over
    BLOCK: Final[int] = BLOCK
    STEP: Final[int] = STEP
    PERIOD: Final[int] = PERIOD
    GLIDE: Final[int] = GLIDE

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
        self.struck_at = 0  # of the last stroke
        self.glide = max(1, int(self.GLIDE * rate_factor(float(rate))))  # samples of an update
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
                stroke["clock"] = torch.tensor([clock[0], clock[0], clock[2], clock[3]])
        self.strokes.append(self.struck(self.values, 0))
        self.struck_at = self.position

    def update(self) -> None:
        self.prepare()
        age = self.position - self.struck_at
        for stroke in self.strokes:
            clock: list[int] = stroke["clock"].tolist()
            if clock[1] < 0 and clock[3] < 0:
                stroke["clock"] = torch.tensor([clock[0], clock[1], clock[2], age])
        self.strokes.append(self.struck(self.values, age))

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

    def struck(self, values: list[float], age: int) -> dict[str, Tensor]:
        """What a stroke with these parameters plays, from an age on, in samples; above 0 for an update.

        Amplitudes as logarithms, angles in radians.
        """
        t = self.numbers
        harder = values[15] - self.reference
        radians = t["frequency"] * (math.pow(2.0, values[0] / 12.0) * 2.0 * math.pi / self.rate)
        octaves = torch.log2(t["frequency"] / self.main_frequency)
        level = t["level"] + t["level_slope"] * harder + values[3] + octaves * values[4]
        level = torch.where(
            radians < self.HIGHEST * 2.0 * math.pi, level * self.DB, torch.full_like(level, -1e4)
        )
        decay = t["decay"] * torch.exp(t["decay_slope"] * harder + octaves * (values[6] * math.log(2.0)))
        decay = decay * (100.0 / values[5] / self.rate)
        # Until when gliding modes, and any, are heard.
        heard = (level - self.FAINT) / decay.clamp_min(1e-12)
        coloured = values[7] + t["octaves"] * values[8]
        early = t["noise_level"] + t["noise_slope"] * harder + coloured
        late = t["late_level"] + t["late_slope"] * harder + coloured + values[10]
        glides = self.glides
        fine = torch.arange(self.BLOCK, dtype=torch.float64)
        angle = radians[glides:].unsqueeze(1) * fine
        size = torch.exp(decay[glides:].unsqueeze(1) * -fine)
        return {
            # Samples: its age; that at which the next stroke came, or -1; at which it came itself as an update, or 0;
            # and at which the next update came, or -1.
            "clock": torch.tensor([age, -1, age, -1]),
            "knobs": torch.tensor(values, dtype=torch.float64),
            "heard": torch.stack([_latest(heard[:glides]), _latest(heard[glides:])]),
            "glide_radians": radians[:glides].unsqueeze(1),
            "glide_phase": t["phase"][:glides].unsqueeze(1),
            "glide_level": level[:glides].unsqueeze(1),
            "glide_decay": decay[:glides].unsqueeze(1),
            # The rest as cosines and then as sines: -sin x is cos (x + pi / 2).
            "radians": radians[glides:].repeat(2),
            "phase": torch.cat([t["phase"][glides:], t["phase"][glides:] + math.pi / 2]),
            "level": level[glides:].repeat(2),
            "decay": decay[glides:].repeat(2),
            "fine": torch.cat([size * torch.cos(angle), size * torch.sin(angle)]).to(
                torch.float32
            ),  # (…, 256)
            "noise": torch.cat([early, late]).unsqueeze(1) * self.DB,  # (40, 1)
            "noise_decay": torch.cat([t["noise_decay"], t["late_decay"]]).unsqueeze(1)
            * (100.0 / values[9] / self.rate),
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
        heard: list[float] = stroke["heard"].tolist()
        places = torch.arange(age, age + count)
        sound = torch.zeros(count)
        if age < heard[0]:
            sound = self.gliding(stroke, values, places.to(torch.float64))
        if age < heard[1]:
            sound = sound + self.steady(stroke, age, count)
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
        if clock[2] > 0 and age - clock[2] < self.glide:
            sound = sound * self.passed(places - clock[2])
        if clock[3] >= 0:
            sound = sound * (1.0 - self.passed(places - clock[3]))
        return sound.to(torch.float32)

    def passed(self, since: Tensor) -> Tensor:
        """How much new parameters count so many samples after they came."""
        way = ((since + 1.0) / self.glide).clamp(0.0, 1.0)
        return way * way * (3.0 - 2.0 * way)

    def steady(self, stroke: dict[str, Tensor], age: int, count: int) -> Tensor:
        """The modes that do not glide: each power z^(a + b) is z^a, for every 256th sample, times z^b."""
        coarse = torch.arange(age, age + count, self.BLOCK, dtype=torch.float64).unsqueeze(1)  # (blocks, 1)
        size = torch.exp((stroke["level"] - stroke["decay"] * coarse).clamp_min(self.FAINT))
        left = size * torch.cos(stroke["radians"] * coarse + stroke["phase"])
        return torch.matmul(left.to(torch.float32), stroke["fine"]).flatten()[:count]

    def gliding(self, stroke: dict[str, Tensor], values: list[float], times: Tensor) -> Tensor:
        amount, time = math.pow(2.0, values[1] / 12.0) - 1.0, values[2] / 1000.0 * self.rate
        warped = times - torch.expm1(times / -time) * (amount * time)
        size = torch.exp((stroke["glide_level"] - stroke["glide_decay"] * times).clamp_min(self.FAINT))
        waves = torch.cos(stroke["glide_radians"] * warped + stroke["glide_phase"]) * size  # (modes, n)
        return waves.sum(0).to(torch.float32)

    def noises(self, stroke: dict[str, Tensor], places: Tensor, age: int, hiss: Tensor) -> Tensor:
        """The bands, whose levels are straight lines between every 64th sample."""
        count = places.shape[0]
        first = age // self.STEP
        last = (age + count - 1) // self.STEP + 1
        grid = torch.arange(first * self.STEP, (last + 1) * self.STEP, self.STEP, dtype=torch.float64)
        both = torch.exp((stroke["noise"] - stroke["noise_decay"] * grid).clamp_min(self.TINY))
        levels = both.view(2, hiss.shape[0], grid.shape[0]).sum(0).to(torch.float32)  # (20, grid)
        at = (places - first * self.STEP) / float(self.STEP)
        steps = at.to(torch.int64)
        left, right = levels.index_select(1, steps), levels.index_select(1, steps + 1)
        sound = (torch.lerp(left, right, at - steps) * hiss).sum(0)
        if age >= self.room.shape[0]:
            return sound
        room = self.room[age : age + count]
        return sound * torch.cat([room, torch.ones(count - room.shape[0])])

    def goes_on(self, stroke: dict[str, Tensor], count: int) -> bool:
        """Makes a stroke so many samples older. Whether it still sounds then."""
        values: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age = clock[0] + count
        stroke["clock"] = torch.tensor([age, clock[1], clock[2], clock[3]])
        if clock[3] >= 0 and age - clock[3] >= self.glide:
            return False
        return age < self.end(values) and (clock[1] < 0 or age - clock[1] < self.cut())

    def end(self, values: list[float]) -> float:
        """The age, in samples, at which a stroke is over."""
        return self.seconds * max(values[5], max(values[9], 100.0)) / 100.0 * self.rate

    def cut(self) -> int:
        """Samples in which a stroke fades when the next one comes."""
        return int(self.END_FADE * self.rate)


def _latest(ages: Tensor) -> Tensor:
    return torch.cat([ages, torch.zeros(1, dtype=torch.float64)]).max()


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
