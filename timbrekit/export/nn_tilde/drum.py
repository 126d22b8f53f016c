"""The voice of the user's own drum for nn~, as ``timbrekit.synth.drum_model`` plays it.

Every stroke is a closed form in its age, so that blocks of any length give the same sound. What stays the same from
block to block of a stroke, the powers of its modes among them, is computed when it is struck.
"""

import math
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.drum_numbers import at_strike, between, nearest, numbers_of
from timbrekit.export.nn_tilde.drum_sound import gliding, noises, steady
from timbrekit.export.nn_tilde.drum_tables import at_rate, noise_table, onset_room, three_bands
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_model import END_FADE
from timbrekit.synth.drum_parts import DB, HIGHEST
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import PERIOD
from timbrekit.synth.updates import GLIDES


class DrumVoice(NnVoice):
    """Strokes of modes, noise and an onset part; each fades out when the next one comes."""

    title = "drum"
    DB: Final[float] = DB
    HIGHEST: Final[float] = HIGHEST
    ATTACK: Final[float] = ATTACK
    END_FADE: Final[float] = END_FADE
    FAINT: Final[float] = -28.0  # a mode below e^-28 is over
    BLOCK: Final[int] = BLOCK
    PERIOD: Final[int] = PERIOD
    GLIDES: Final[list[int]] = list(GLIDES)

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
        octaves = math.log(rate / 48000.0) / math.log(2.0)
        factor = math.pow(2.0, math.floor(octaves + 0.5))
        # Samples, to each set of parameters.
        self.glide = [1] + [int(glide * factor) for glide in self.GLIDES]
        self.position = 0  # samples played
        self.start = -1  # of the noise in its table: not known before the first sample
        # Made when the first sound is: as large as fifty such files.
        self.table = torch.zeros(0)  # (bands, 65536)
        self.onsets = torch.zeros(0)  # (hits, 3, n)
        self.room = torch.zeros(0)

    @torch.jit.export
    def set(self, values: list[float]) -> None:
        self.values = values

    @torch.jit.export
    def trigger(self) -> None:
        self.prepare()
        for stroke in self.strokes:
            clock: list[int] = stroke["clock"].tolist()
            if clock[1] < 0:
                clock[1] = clock[0]
                stroke["clock"] = torch.tensor(clock)
        self.strokes.append(self.struck(self.values))

    @torch.jit.export
    def update(self, values: list[float]) -> None:
        """New parameters for what rings, taken over as ``timbrekit.synth.updates`` says."""
        self.values = values
        if len(self.strokes) > 0:
            ringing = self.strokes[len(self.strokes) - 1]
            clock: list[int] = ringing["clock"].tolist()
            if clock[1] < 0:
                clock[3] = clock[0]
                ringing["clock"] = torch.tensor(clock)
                stroke = self.struck(values)
                stroke["clock"] = torch.tensor([clock[0], -1, clock[0], -1, clock[4] + 1])
                self.strokes.append(stroke)

    @torch.jit.export
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
            self.room = onset_room(self.numbers["onset_samples"], self.rate)

    def struck(self, values: list[float]) -> dict[str, Tensor]:
        """What a stroke with these parameters plays. Amplitudes as logarithms, angles in radians."""
        t = at_strike(self.numbers, values[15], "")
        share = 0.0
        if self.blends:
            share = values[16] / 100.0
            t = between(t, at_strike(self.numbers, values[15], "other_"), share)
        single: list[float] = t["single"].tolist()
        radians = t["frequency"] * (math.pow(2.0, values[0] / 12.0) * 2.0 * math.pi / self.rate)
        octaves = torch.log2(t["frequency"] / math.exp(single[0]))
        level = t["level"] + values[3] + octaves * values[4]
        level = torch.where(
            radians < self.HIGHEST * 2.0 * math.pi, level * self.DB, torch.full_like(level, -1e4)
        )
        decay = t["decay"] * torch.exp(octaves * (values[6] * math.log(2.0)))
        decay = decay * (100.0 / values[5] / self.rate)
        # Until when gliding modes, and any, are heard.
        heard = (level - self.FAINT) / decay.clamp_min(1e-12)
        coloured = values[7] + self.numbers["octaves"] * values[8]
        nodes = t["noise_level"] + coloured.unsqueeze(1) + values[10] * self.numbers["lateness"]
        nodes = nodes * self.DB
        if self.blends:  # the bands of the first drum and then of the second one, each in its own colour
            shares = torch.tensor([max(1.0 - share, 1e-15), max(share, 1e-15)], dtype=torch.float64).log()
            nodes = torch.cat([nodes + shares[0], nodes + shares[1]])
        glides = self.glides
        fine = torch.arange(self.BLOCK, dtype=torch.float64)
        angle = radians[glides:].unsqueeze(1) * fine
        size = torch.exp(decay[glides:].unsqueeze(1) * -fine)
        return {
            # Samples: its age, and that at which the next stroke came, it came by an update, another came; or -1. And
            # how many updates there were before.
            "clock": torch.tensor([0, -1, -1, -1, 0]),
            # Samples that it lasts; drive and level in dB; the glide in semitones and ms.
            "knobs": torch.tensor(
                [
                    single[1] * max(values[5], max(values[9], 100.0)) / 100.0 * self.rate,
                    values[13],
                    values[14],
                    max(values[1] + single[2], 0.0),
                    values[2] * math.exp(single[3]),
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
            # (…, 256)
            "fine": torch.cat([size * torch.cos(angle), size * torch.sin(angle)]).to(torch.float32),
            "noise": nodes,  # (bands, nodes), and the samples at which they are
            "nodes": self.numbers["nodes"] * (values[9] / 100.0 * self.rate),
            "onset": self.onset(values, share),
        }

    def onset(self, values: list[float], share: float) -> Tensor:
        """``(n,)`` the recorded waveforms of the two nearest strokes, mixed, in three bands."""
        hits = self.numbers["loudness"].shape[0]
        shares = nearest(self.numbers["loudness"], values[15]).view(-1, 1, 1)
        mixed = (shares * self.onsets[:hits]).sum(0)  # (3, n)
        if self.blends:
            shares = nearest(self.numbers["other_loudness"], values[15]).view(-1, 1, 1)
            mixed = torch.lerp(mixed, (shares * self.onsets[hits:]).sum(0), share)
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
            sound = gliding(stroke, knobs[3], knobs[4] / 1000.0 * self.rate, places.to(torch.float64))
        if age < heard[1]:
            sound = sound + steady(stroke, age, count)
        if age < self.ATTACK * self.rate:
            sound = sound * (places / (self.ATTACK * self.rate)).clamp_max(1.0)
        if self.noisy:
            sound = sound + noises(stroke, places, age, hiss, self.room)
        if age < self.room.shape[1]:
            onset = stroke["onset"][age : age + count]
            sound = sound + torch.cat([onset, torch.zeros(count - onset.shape[0])])
        end = knobs[0]
        if age + count > end - self.END_FADE * self.rate:
            sound = sound * ((end - places.to(torch.float64)) / (self.END_FADE * self.rate)).clamp(0.0, 1.0)
        drive = math.exp(knobs[1] * self.DB)
        sound = torch.tanh(sound * drive) * (math.exp(knobs[2] * self.DB) / drive)
        if cut >= 0:
            sound = sound * (1.0 - (places - cut) / self.cut()).clamp(0.0, 1.0)
        if clock[2] >= 0:
            sound = sound * self.risen(places, clock[2], clock[4])
        if clock[3] >= 0:
            sound = sound * (1.0 - self.risen(places, clock[3], clock[4] + 1))
        return sound.to(torch.float32)

    def goes_on(self, stroke: dict[str, Tensor], count: int) -> bool:
        """Makes a stroke so many samples older. Whether it still sounds then."""
        knobs: list[float] = stroke["knobs"].tolist()
        clock: list[int] = stroke["clock"].tolist()
        age = clock[0] + count
        clock[0] = age
        stroke["clock"] = torch.tensor(clock)
        gone = (clock[1] >= 0 and age - clock[1] >= self.cut()) or (
            clock[3] >= 0 and age - clock[3] >= self.glide[clock[4] + 1]
        )
        return age < knobs[0] and not gone

    def risen(self, places: Tensor, start: int, update: int) -> Tensor:
        """How far the glide has come that an update, number 1 …, begins at this age: 0 to 1."""
        u = ((places - start + 1) / self.glide[update]).clamp(0.0, 1.0)
        return u * u * (3.0 - 2.0 * u)

    def cut(self) -> int:
        """Samples in which a stroke fades when the next one comes."""
        return int(self.END_FADE * self.rate)


def _latest(ages: Tensor) -> Tensor:
    return torch.cat([ages, torch.zeros(1, dtype=torch.float64)]).max()
