"""An instrument that is played live: samples in, samples out, in blocks of any length. Runs in TorchScript."""

import copy
from typing import Final

import torch
from torch import Tensor, nn

from timbrekit.tone.instrument import Instrument, State, first_state
from timbrekit.tone.pitch import (
    CENTRE,
    FLOOR,
    HOP,
    RATE,
    WINDOW,
    first_memory,
    follow,
    loudness_weights,
    measure,
)
from timbrekit.tone.synth import NOISE_FRAME, room_hop, room_parts

LOUDEST_INPUT = 1e4  # samples beyond this are no sound, and nor is NaN; either would stick in the memory
LATENCY = 2 * HOP + CENTRE  # samples from a change in the input to the same change, complete, in the output


class Stream(nn.Module):
    """Listens, decodes and sounds, hop by hop, and remembers what it needs for the next.

    Output comes one hop (256 samples) after the input that completes it, whatever the length of blocks: the same
    input gives the same output in blocks of 1 or of 4096. A change in the input's pitch is complete in the output
    after 1536 samples (32 ms): half the pitch window, a hop to collect, a hop to glide.

    Args:
        instrument: a trained one.
    """

    HOP: Final[int] = HOP
    WINDOW: Final[int] = WINDOW
    FRAME: Final[int] = NOISE_FRAME
    LOUDEST: Final[float] = LOUDEST_INPUT
    FLOOR: Final[float] = FLOOR
    state: State
    memory: list[float]

    def __init__(self, instrument: Instrument):
        super().__init__()
        self.instrument = copy.deepcopy(instrument).eval().requires_grad_(False)
        self.hidden = instrument.decoder.hidden
        self.transpose = 0.0  # semitones
        self.gain = 0.0  # dB added to the loudness heard
        self.weights = loudness_weights()
        self.parts = room_parts(instrument.response().detach())
        self.restart()

    @torch.jit.export
    def restart(self) -> None:
        """Forget all sound."""
        self.past = torch.zeros(self.WINDOW - self.HOP)  # heard before the hop that is being collected
        self.waiting = torch.zeros(0)  # of the hop that is being collected
        self.ready = torch.zeros(3, self.HOP)  # made, and not yet given out: sound, pitch, loudness
        self.memory = first_memory()
        self.state = first_state(1, self.hidden)
        self.before = torch.zeros(self.HOP)  # the last dry hop
        self.spectra = torch.zeros_like(self.parts)  # of the dry hops so far

    def forward(self, audio: Tensor) -> Tensor:
        """``(batch, 1, n)`` samples to ``(batch, 3, n)``: sound; pitch in semitones or 0; loudness in LKFS."""
        hops = (self.waiting.shape[0] + audio.shape[-1]) // self.HOP
        return self.play(audio, (torch.rand(hops, self.FRAME) - 0.5) * 3.4641016151377544)

    @torch.jit.export
    def play(self, audio: Tensor, white: Tensor) -> Tensor:
        """As ``forward``, with the noise ``(at least hops completed, 512)`` of variance 1 given."""
        count = audio.shape[-1]
        dry = audio.to("cpu").to(torch.float32).mean([0, 1])
        dry = torch.where(dry.abs() < self.LOUDEST, dry, torch.zeros_like(dry))
        self.waiting = torch.cat([self.waiting, dry])
        made = [self.ready]
        hop = 0
        while self.waiting.shape[0] >= self.HOP:
            window = torch.cat([self.past, self.waiting[: self.HOP]])
            self.waiting = self.waiting[self.HOP :]
            self.past = window[self.HOP :]
            made.append(self.sound_hop(window, white[hop]))
            hop += 1
        ready = torch.cat(made, 1)
        self.ready = ready[:, count:]
        return ready[:, :count].expand([audio.shape[0], 3, count]).to(audio.device)

    def sound_hop(self, window: Tensor, white: Tensor) -> Tensor:
        """(3, 256) sound, pitch and loudness of the hop that ends ``window`` (2048,)."""
        pitch, confidence, loudness = measure(window.unsqueeze(0), self.weights)
        pitches: list[float] = pitch.tolist()
        confidences: list[float] = confidence.tolist()
        loudnesses: list[float] = loudness.tolist()
        held, voiced, self.memory = follow(pitches, confidences, loudnesses, self.memory)
        asked = loudnesses[0]
        if asked > self.FLOOR:
            asked = asked + self.gain
        controls = torch.tensor([held[0] + self.transpose, voiced[0], asked]).reshape(3, 1, 1)
        dry, self.state = self.instrument.dry(
            controls[0], controls[1], controls[2], white.reshape(1, 1, -1), self.state
        )
        sound, self.spectra = room_hop(dry[0], self.before, self.parts, self.spectra)
        self.before = dry[0]
        shown = torch.zeros(2, self.HOP)
        if voiced[0] > 0.0:
            shown[0] = held[0]
        shown[1] = loudnesses[0]
        return torch.cat([sound.unsqueeze(0), shown])


def latency_ms() -> float:
    """Milliseconds from a change in the input to the same change, complete, in the output, at 48 kHz."""
    return 1000 * LATENCY / RATE
