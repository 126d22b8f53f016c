"""An instrument that is played live: samples in, samples out, in blocks of any length. Runs in TorchScript."""

import copy
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.script import FLOAT, NnModule
from timbrekit.tone.instrument import Instrument, State, first_state
from timbrekit.tone.pitch import (
    CENTRE,
    FLOOR,
    HOP,
    RATE,
    WINDOW,
    Tables,
    first_memory,
    follow,
    listening_tables,
    measure,
)
from timbrekit.tone.synth import NOISE_FRAME, room_hops, room_parts

ATTRIBUTES = {"transpose": (-48.0, 48.0), "gain": (-40.0, 40.0)}  # semitones; dB added to the loudness heard
LOUDEST_INPUT = 1e4  # samples beyond this are no sound, and nor is NaN; either would stick in the memory
LATENCY = 2 * HOP + CENTRE  # samples from a change in the input to the same change, complete, in the output


class Stream(NnModule):
    """Listens, decodes and sounds, hop by hop, and remembers what it needs for the next; nn~ can play it.

    Output comes one hop (256 samples) after the input that completes it, whatever the length of blocks: the same
    input gives the same output in blocks of 1 or of 4096. A change in the input's pitch is complete in the output
    after 1536 samples (32 ms): half the pitch window, a hop to collect, a hop to glide.

    Args:
        instrument: a trained one.
    """

    HOP: Final[int] = HOP
    WINDOW: Final[int] = WINDOW
    WHITE: Final[int] = NOISE_FRAME + 2
    LOUDEST: Final[float] = LOUDEST_INPUT
    FLOOR: Final[float] = FLOOR
    state: State
    memory: list[float]
    tables: Tables

    def __init__(self, instrument: Instrument):
        super().__init__()
        self.describe(
            ["the instrument", "pitch heard, MIDI semitones, 0 where there is none", "loudness heard, LKFS"],
            "voice or instrument, at 48 kHz",
            dict.fromkeys(ATTRIBUTES, FLOAT),
        )
        self.transpose_limits, self.gain_limits = ATTRIBUTES["transpose"], ATTRIBUTES["gain"]
        self.transpose = self.gain = 0.0
        self.instrument = copy.deepcopy(instrument).eval().requires_grad_(False)
        for weight in self.instrument.parameters():
            if weight.dim() == 2:  # by columns: multiplies the values of one hop in a third of the time
                weight.data = weight.data.t().contiguous().t()
        self.hidden = instrument.decoder.hidden
        self.tables = listening_tables()
        self.parts = room_parts(instrument.response().detach())
        self.restart()

    @torch.jit.export
    def get_transpose(self) -> float:
        return self.transpose

    @torch.jit.export
    def set_transpose(self, value: float) -> int:
        if value == value:  # not NaN
            self.transpose = min(max(value, self.transpose_limits[0]), self.transpose_limits[1])
        return 0

    @torch.jit.export
    def get_gain(self) -> float:
        return self.gain

    @torch.jit.export
    def set_gain(self, value: float) -> int:
        if value == value:  # not NaN
            self.gain = min(max(value, self.gain_limits[0]), self.gain_limits[1])
        return 0

    @torch.jit.export
    def restart(self) -> None:
        """Forget all sound."""
        # heard before the next hop; the end of it not yet played
        self.past = torch.zeros(self.WINDOW - self.HOP)
        self.ready = torch.zeros(3, self.HOP)  # made, and not yet given out: sound, pitch, loudness
        self.memory = first_memory()
        self.state = first_state(1, self.hidden)
        self.before = torch.zeros(self.HOP)  # the last dry hop
        self.ring = torch.zeros_like(self.parts[: self.parts.shape[0] // 2])  # spectra of the dry hops so far
        self.place = 0  # in it

    def forward(self, audio: Tensor) -> Tensor:
        """``(batch, 1, n)`` samples to ``(batch, 3, n)``: sound; pitch in semitones or 0; loudness in LKFS."""
        hops = (self.past.shape[0] + audio.shape[-1]) // self.HOP  # enough
        return self.play(audio, torch.empty(hops, self.WHITE).uniform_(-1.0, 1.0))

    @torch.jit.export
    def play(self, audio: Tensor, white: Tensor) -> Tensor:
        """As ``forward``, with the noise ``(at least hops completed, 512)`` of variance 1 given."""
        count = audio.shape[-1]
        dry = audio.to("cpu").to(torch.float32)[:, 0]
        dry = dry[0] if dry.shape[0] == 1 else dry.mean(0)
        dry = torch.where(dry.abs() < self.LOUDEST, dry, 0.0)
        heard = torch.cat([self.past, dry])
        hops = heard.shape[0] // self.HOP - self.WINDOW // self.HOP + 1
        self.past = heard[hops * self.HOP :]
        ready = self.ready
        if hops > 0:  # all at once: a call of an operator costs more than its work
            windows = heard[: self.WINDOW + (hops - 1) * self.HOP].unfold(0, self.WINDOW, self.HOP)
            ready = torch.cat([ready, self.sound(windows, white[:hops])], 1)
        self.ready = ready[:, count:]
        return ready[:, :count].expand([audio.shape[0], 3, count]).to(audio.device)

    def sound(self, windows: Tensor, white: Tensor) -> Tensor:
        """(3, hops * 256) sound, pitch and loudness of the hops that end ``windows`` (hops, 2048)."""
        pitch, confidence, loudness = measure(windows, self.tables)
        held, voiced, self.memory = follow(pitch, confidence, loudness, self.memory)
        transposed = [value + self.transpose for value in held]
        asked = [value + self.gain if value > self.FLOOR else value for value in loudness]
        shown = [held[n] if voiced[n] > 0.0 else 0.0 for n in range(len(held))]
        told = torch.tensor([transposed, voiced, asked, shown, loudness]).unsqueeze(1)
        dry, self.state = self.instrument.dry(told[0], told[1], told[2], white.unsqueeze(0), self.state)
        sound, self.place = room_hops(dry[0], self.before, self.parts, self.ring, self.place)
        self.before = dry[0, -self.HOP :]
        lines = told[3:].expand([2, self.HOP, len(held)]).transpose(1, 2)
        return torch.cat([sound.unsqueeze(0), lines.flatten(1)])


def latency_ms() -> float:
    """Milliseconds from a change in the input to the same change, complete, in the output, at 48 kHz."""
    return 1000 * LATENCY / RATE
