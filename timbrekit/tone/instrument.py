"""A trained instrument: decoder, oscillators, noise and room, from controls to sound, and its file."""

import io
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from timbrekit.errors import ModelFileError
from timbrekit.files import atomic_path
from timbrekit.tone.decoder import HIDDEN, Decoder
from timbrekit.tone.pitch import HOP, Heard, Ranges
from timbrekit.tone.synth import (
    PARTIALS,
    ROOM_SAMPLES,
    Glide,
    glide,
    harmonics,
    noise,
    noise_window,
    room,
    white_noise,
)

FORMAT = "timbrekit tone 1"


class State(NamedTuple):
    """All that dry sound so far has left behind; ``B`` instruments side by side."""

    hidden: Tensor  # (1, B, hidden) of the GRU
    hertz: Tensor  # (B, 1) where the last hop ended, float64
    amplitudes: Tensor  # (B, 1, partials) likewise
    phase: Tensor  # (B,) cycles, float64
    noise_tail: Tensor  # (B, HOP)


class Instrument(nn.Module):
    """From pitch, voice and loudness to sound, for any number of hops at a time.

    Args:
        ranges: of the recording it is trained on.
        hidden: units of the decoder's GRU.
    """

    def __init__(self, ranges: Ranges, hidden: int = HIDDEN):
        super().__init__()
        self.ranges = ranges
        self.decoder = Decoder(ranges, hidden)
        self.room_taps = nn.Parameter(torch.zeros(ROOM_SAMPLES - 1))
        fade = torch.logspace(0, -3, ROOM_SAMPLES - 1)  # -60 dB at its end
        self.register_buffer("room_fade", fade, persistent=False)
        self.register_buffer("noise_window", noise_window(), persistent=False)
        for name, table in glide()._asdict().items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, pitch: Tensor, voiced: Tensor, loudness: Tensor, white: Tensor) -> Tensor:
        """Play a whole sound, in the room: arguments as of :meth:`dry`, returns ``(B, hops * 256)``."""
        silence = first_state(pitch.shape[0], self.decoder.hidden, device=pitch.device)
        sound, _ = self.dry(pitch, voiced, loudness, white, silence)
        return room(sound, self.response())

    @torch.jit.export
    def dry(
        self, pitch: Tensor, voiced: Tensor, loudness: Tensor, white: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Play hops, without the room.

        Args:
            pitch, voiced, loudness: ``(B, hops)`` each, as of :func:`timbrekit.tone.pitch.hear`.
            white: ``(B, hops, 514)`` of :func:`timbrekit.tone.synth.white_noise`.
            state: of :func:`first_state`, or what the hops before gave back.

        Returns:
            ``(B, hops * 256)`` sound, and the state after it.
        """
        hertz, amplitudes, magnitudes, hidden = self.decoder(pitch, voiced, loudness, state.hidden)
        hertz, amplitudes = torch.cat([state.hertz, hertz], 1), torch.cat([state.amplitudes, amplitudes], 1)
        tone, phase = harmonics(hertz, amplitudes, state.phase, Glide(self.ramps, self.gone, self.turns))
        hiss, noise_tail = noise(magnitudes, white, state.noise_tail, self.noise_window)
        hertz, amplitudes = hertz.narrow(1, pitch.shape[1], 1), amplitudes.narrow(1, pitch.shape[1], 1)
        return tone + hiss, State(hidden, hertz, amplitudes, phase, noise_tail)

    def response(self) -> Tensor:
        """Impulse response of the room, ``(ROOM_SAMPLES,)``: the direct sound, then what was learnt; energy 1."""
        whole = torch.cat([torch.ones_like(self.room_fade[:1]), self.room_taps * self.room_fade])
        return whole / whole.square().sum().sqrt()

    @torch.jit.ignore
    def room_energy(self) -> Tensor:
        """Energy of the room, where that of the direct sound is 1."""
        return (self.room_taps * self.room_fade).square().sum()

    def play(self, heard: Heard, seed: int = 0) -> Tensor:
        """Sound for whole controls, ``(hops * 256,)``; it lags behind what was heard by 1024 samples."""
        with torch.inference_mode():
            white = white_noise(1, len(heard), torch.Generator().manual_seed(seed)).to(self.room_fade)
            controls = (values.unsqueeze(0) for values in (heard.pitch, heard.voiced, heard.loudness))
            return self(*controls, white)[0]


def first_state(
    batch: int = 1,
    hidden: int = HIDDEN,
    partials: int = PARTIALS,
    hop: int = HOP,
    device: torch.device | None = None,
) -> State:
    """The state before the first hop."""
    return State(
        torch.zeros(1, batch, hidden, device=device),
        torch.full((batch, 1), 440.0, dtype=torch.float64, device=device),
        torch.zeros(batch, 1, partials, device=device),
        torch.zeros(batch, dtype=torch.float64, device=device),
        torch.zeros(batch, hop, device=device),
    )


def save_instrument(path: str | Path, instrument: Instrument, about: dict[str, Any]) -> None:
    """Write an instrument's file, whole or not at all: tensors and text, nothing that can run.

    Args:
        path: what was there before is replaced.
        instrument: what is saved.
        about: what a reader should know of it; JSON.

    Raises:
        OutputError: it cannot be written.
    """
    ranges = instrument.ranges
    content = {
        "format": FORMAT,
        "hidden": instrument.decoder.hidden,
        "pitch": list(ranges.pitch),
        "loudness": list(ranges.loudness),
        "about": json.dumps(about, allow_nan=False),
        "weights": instrument.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_instrument(path: str | Path) -> tuple[Instrument, dict[str, Any]]:
    """The instrument of a file, and what is said about it.

    Raises:
        ModelFileError: there is no such file, or it is not an instrument that timbrekit can play.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"There is no file {path}. Train an instrument first: timbrekit tone train.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it looks like something else
            content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("it does not say that it is one")
        ranges = Ranges(tuple(map(float, content["pitch"])), tuple(map(float, content["loudness"])))
        instrument = Instrument(ranges, int(content["hidden"]))
        instrument.load_state_dict(content["weights"])
        if not all(bool(values.isfinite().all()) for values in instrument.state_dict().values()):
            raise ValueError("some of its numbers are not finite")
        return instrument.eval(), json.loads(content["about"])
    except Exception as error:  # torch's reader stumbles over a stranger's bytes in many ways
        raise ModelFileError(
            f"{path.name} is not an instrument of timbrekit tone ({type(error).__name__}). Give the tone.pt that "
            "timbrekit tone train wrote; if it is that, train again with this version."
        ) from error
