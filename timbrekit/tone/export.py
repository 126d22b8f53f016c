"""Write an instrument for nn~, the object that runs TorchScript in Max and Pure Data: one file with its state.

Audio goes in; three signals come out: the sound, the pitch heard and the loudness heard.
"""

import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.files import atomic_path
from timbrekit.tone.instrument import Instrument, load_instrument
from timbrekit.tone.pitch import HOP, RATE, hear
from timbrekit.tone.stream import Stream, latency_ms
from timbrekit.tone.synth import white_noise

SUFFIX = ".ts"  # nn~ looks for no other
FLOAT = 2  # nn~'s code of an attribute's type
ATTRIBUTES = {"transpose": (-48.0, 48.0), "gain": (-40.0, 40.0)}  # semitones, dB
TOLERANCE = 1e-4  # between the file's sound and the instrument's, full scale 1
PROOF_BLOCKS = (64, 256, 100, 4096, 7)  # samples; odd sizes too
DESCRIPTION = "timbrekit_tone.json"  # in the file


class NnStream(Stream):
    """A stream with what nn~ looks for: shapes of its method, attributes, their getters and setters."""

    def __init__(self, instrument: Instrument):
        super().__init__(instrument)
        self.register_buffer("forward_params", torch.tensor([1, 1, 3, 1]))  # [inputs, ratio, outputs, ratio]
        self.forward_input_labels = ["(signal) voice or instrument, at 48 kHz"]
        self.forward_output_labels = [
            "(signal) the instrument",
            "(signal) pitch heard, MIDI semitones, 0 where there is none",
            "(signal) loudness heard, LKFS",
        ]
        self.attribute_names = list(ATTRIBUTES)
        for name in ATTRIBUTES:
            self.register_buffer(f"{name}_params", torch.tensor([FLOAT]))
        self.transpose_limits, self.gain_limits = ATTRIBUTES["transpose"], ATTRIBUTES["gain"]

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["forward"]

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return self.attribute_names

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


def write_nn_tilde(model: str | Path, out: str | Path) -> Path:
    """Write the instrument in ``model`` for nn~; reload it, prove it against the instrument, then put it in place.

    Args:
        model: of ``timbrekit tone train``.
        out: the ``.ts`` file; what was there before stays if anything fails.

    Raises:
        ModelFileError: the model cannot be read, or what was made of it does not play as it does.
        OutputError: the name does not end in ``.ts``, or the file cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != SUFFIX:
        raise OutputError(
            f"nn~ opens files whose names end in {SUFFIX}, and {out.name} does not: "
            f"give {out.with_suffix(SUFFIX).name}."
        )
    instrument, about = load_instrument(model)
    about = about | {"sample_rate": RATE, "latency_ms": latency_ms()}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated in newer torch, and all that nn~ loads
        torch.jit.save(
            torch.jit.script(NnStream(instrument)), buffer, _extra_files={DESCRIPTION: json.dumps(about)}
        )
    with atomic_path(out) as temporary:
        temporary.write_bytes(buffer.getvalue())
        _prove(temporary, instrument)
    return out


def _prove(path: Path, instrument: Instrument) -> None:
    """Load the file as nn~ does, call it as nn~ does, and hold it against the instrument."""
    module = torch.jit.load(str(path), map_location="cpu").eval()
    if module.get_methods() != ["forward"] or module.get_attributes() != list(ATTRIBUTES):
        raise ModelFileError("The file for nn~ does not list its method and attributes.")
    sound = proof_material(instrument)
    white = white_noise(1, len(sound) // HOP, torch.Generator().manual_seed(0))
    heard = hear(sound)
    with torch.inference_mode():
        controls = (values.unsqueeze(0) for values in (heard.pitch, heard.voiced, heard.loudness))
        expected = instrument(*controls, white)[0].numpy()
    played = play_in_blocks(module, sound, white[0], PROOF_BLOCKS)[0][HOP:]
    difference = float(np.abs(played - expected[: len(played)]).max())
    if not difference <= TOLERANCE:  # put this way, NaN does not pass
        raise ModelFileError(
            f"The file for nn~ does not sound as the instrument does: it differs by {difference:.1e} of full scale, "
            f"more than {TOLERANCE:.0e}."
        )


def play_in_blocks(
    module: torch.nn.Module, samples: np.ndarray, white: torch.Tensor, blocks: tuple[int, ...]
) -> np.ndarray:
    """(3, n) output for ``samples`` (n,), given in blocks of these sizes by turns, with noise for each hop."""
    parts: list[torch.Tensor] = []
    start = turn = 0
    with torch.inference_mode():
        while start < len(samples):
            end = min(start + blocks[turn % len(blocks)], len(samples))
            block = torch.from_numpy(samples[start:end])[None, None]
            parts.append(module.play(block, white[start // HOP : max(end // HOP, start // HOP + 1)])[0])
            start, turn = end, turn + 1
    return torch.cat(parts, -1).numpy()


def proof_material(instrument: Instrument) -> np.ndarray:
    """Two notes of the instrument's range with a pause between them, 0.7 s: (n,) float32."""
    low, high = instrument.ranges.pitch
    count = 44 * HOP
    time = np.arange(count) / RATE
    notes = []
    for pitch in (low + 2, (low + high) / 2):
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        notes.append(sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 6)) * 0.1)
    return np.concatenate([notes[0], np.zeros(44 * HOP), notes[1]]).astype(np.float32)


def operators(module: Any) -> set[str]:
    """The operators that a scripted module's methods call."""
    methods = [module._c._get_method(name) for name in module._c._method_names()]
    return {node.kind() for method in methods for node in _nodes(method.inlined_graph)}


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)
