"""The voice of the user's own drum for nn~, as ``timbrekit.synth.drum_model`` plays it.

Every stroke is a closed form in its age, so that blocks of any length give the same sound. What stays the same from
block to block of a stroke, the powers of its modes among them, is computed when it is struck.
"""

import math
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.drum_numbers import between, nearest_wave, numbers_of
from timbrekit.export.nn_tilde.drum_tables import at_rate, noise_table, onset_room, three_bands
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_model import END_FADE
from timbrekit.synth.drum_parts import DB, HIGHEST, TINY
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import PERIOD, STEP


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

    numbers: dict[str, Tensor]  # what the drum is, and the one that it is blended with: float64
    strokes: list[dict[str, Tensor]]  # that still sound
    values: list[float]  # the parameters set last

    def __init__(self, drum: Drum, rate: int):
        super().__init__()
        self.numbers = {name: torch.from_numpy(value) for name, value in numbers_of(drum).items()}
        self.glides = int((drum.gliding > 0.5).sum())  # modes that do; they stand first
        self.blends = drum.other is not None
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
        self.table = torch.zeros(0)  # (bands, 65536)
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
            shapes, erb = self.numbers["noise_shape"], self.numbers["erb"]
            self.table = torch.cat([noise_table(self.rate, shape, erb) for shape in shapes])
            self.onsets = three_bands(at_rate(self.numbers["waves"], self.rate), self.rate)
            self.room = onset_room(self.onsets.shape[2], self.rate).to(torch.float32)

    def struck(self, values: list[float]) -> dict[str, Tensor]:
        """What a stroke with these parameters plays. Amplitudes as logarithms, angles in radians."""
        t = self.numbers
        share = 0.0
        if self.blends:
            share = values[16] / 100.0
            t = between(t, share)
        single: list[float] = t["single"].tolist()
        harder = values[15] - single[2]
        radians = t["frequency"] * (math.pow(2.0, values[0] / 12.0) * 2.0 * math.pi / self.rate)
        octaves = torch.log2(t["frequency"] / math.exp(single[0]))
        level = t["level"] + t["level_slope"] * harder + values[3] + octaves * values[4]
        level = torch.where(
            radians < self.HIGHEST * 2.0 * math.pi, level * self.DB, torch.full_like(level, -1e4)
        )
        decay = t["decay"] * torch.exp(t["decay_slope"] * harder + octaves * (values[6] * math.log(2.0)))
        decay = decay * (100.0 / values[5] / self.rate)
        # Until when gliding modes, and any, are heard.
        heard = (level - self.FAINT) / decay.clamp_min(1e-12)
        coloured = values[7] + self.numbers["octaves"] * values[8]
        early = t["noise_level"] + t["noise_slope"] * harder + coloured
        late = t["late_level"] + t["late_slope"] * harder + coloured + values[10]
        levels = [early * self.DB, late * self.DB]
        decays = [t["noise_decay"], t["late_decay"]]
        if self.blends:  # the bands of the first drum and then of the second one, each in its own colour
            shares = torch.tensor([max(1.0 - share, 1e-15), max(share, 1e-15)], dtype=torch.float64).log()
            levels = [torch.cat([level + shares[0], level + shares[1]]) for level in levels]
            decays = [each.repeat(2) for each in decays]
        glides = self.glides
        fine = torch.arange(self.BLOCK, dtype=torch.float64)
        angle = radians[glides:].unsqueeze(1) * fine
        size = torch.exp(decay[glides:].unsqueeze(1) * -fine)
        return {
            "clock": torch.tensor([0, -1]),  # samples: its age, and that at which the next one came, or -1
            # Samples that it lasts; drive and level in dB; the glide in semitones and ms.
            "knobs": torch.tensor(
                [
                    single[1] * max(values[5], max(values[9], 100.0)) / 100.0 * self.rate,
                    values[13],
                    values[14],
                    max(values[1] + single[3], 0.0),
                    values[2] * math.exp(single[4]),
                ],
                dtype=torch.float64,
            ),
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
            "noise": torch.cat(levels).unsqueeze(1),  # (2 bands, 1)
            "noise_decay": torch.cat(decays).unsqueeze(1) * (100.0 / values[9] / self.rate),
            "onset": self.onset(values, share),
        }

    def onset(self, values: list[float], share: float) -> Tensor:
        """``(n,)`` the recorded waveforms of the two nearest strokes, mixed, in three bands."""
        hits = self.numbers["loudness"].shape[0]
        mixed = nearest_wave(self.onsets[:hits], self.numbers["loudness"], values[15])  # (3, n)
        if self.blends:
            other = nearest_wave(self.onsets[hits:], self.numbers["other_loudness"], values[15])
            mixed = torch.lerp(mixed, other, share)
        colour = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64) * values[12]
        gains = torch.exp((colour + values[11] + values[15]) * self.DB)
        return (mixed * gains.unsqueeze(1)).sum(0).to(torch.float32)

    def hiss(self, count: int) -> Tensor:
        """``(bands, count)`` the table's next samples."""
        first = (self.start + self.position) % self.PERIOD
        if first + count <= self.PERIOD:
            return self.table[:, first : first + count]
        return self.table.index_select(1, torch.arange(first, first + count).remainder(self.PERIOD))

    def played(self, stroke: dict[str, Tensor], count: int, hiss: Tensor) -> Tensor:
        """The next samples of a stroke."""
        knobs: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age, cut = clock[0], clock[1]
        heard: list[float] = stroke["heard"].tolist()
        places = torch.arange(age, age + count)
        sound = torch.zeros(count)
        if age < heard[0]:
            sound = self.gliding(stroke, knobs, places.to(torch.float64))
        if age < heard[1]:
            sound = sound + self.steady(stroke, age, count)
        if age < self.ATTACK * self.rate:
            sound = sound * (places / (self.ATTACK * self.rate)).clamp_max(1.0)
        if self.noisy:
            sound = sound + self.noises(stroke, places, age, hiss)
        if age < self.room.shape[0]:
            onset = stroke["onset"][age : age + count]
            sound = sound + torch.cat([onset, torch.zeros(count - onset.shape[0])])
        end = knobs[0]
        if age + count > end - self.END_FADE * self.rate:
            sound = sound * ((end - places.to(torch.float64)) / (self.END_FADE * self.rate)).clamp(0.0, 1.0)
        drive = math.exp(knobs[1] * self.DB)
        sound = torch.tanh(sound * drive) * (math.exp(knobs[2] * self.DB) / drive)
        if cut >= 0:
            sound = sound * (1.0 - (places - cut) / self.cut()).clamp(0.0, 1.0)
        return sound.to(torch.float32)

    def steady(self, stroke: dict[str, Tensor], age: int, count: int) -> Tensor:
        """The modes that do not glide: each power z^(a + b) is z^a, for every 256th sample, times z^b."""
        coarse = torch.arange(age, age + count, self.BLOCK, dtype=torch.float64).unsqueeze(1)  # (blocks, 1)
        size = torch.exp((stroke["level"] - stroke["decay"] * coarse).clamp_min(self.FAINT))
        left = size * torch.cos(stroke["radians"] * coarse + stroke["phase"])
        return torch.matmul(left.to(torch.float32), stroke["fine"]).flatten()[:count]

    def gliding(self, stroke: dict[str, Tensor], knobs: list[float], times: Tensor) -> Tensor:
        amount, time = math.pow(2.0, knobs[3] / 12.0) - 1.0, knobs[4] / 1000.0 * self.rate
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
        levels = both.view(2, hiss.shape[0], grid.shape[0]).sum(0).to(torch.float32)  # (bands, grid)
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
        knobs: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age = clock[0] + count
        stroke["clock"] = torch.tensor([age, clock[1]])
        return age < knobs[0] and (clock[1] < 0 or age - clock[1] < self.cut())

    def cut(self) -> int:
        """Samples in which a stroke fades when the next one comes."""
        return int(self.END_FADE * self.rate)


def _latest(ages: Tensor) -> Tensor:
    return torch.cat([ages, torch.zeros(1, dtype=torch.float64)]).max()
