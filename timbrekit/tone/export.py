"""Write an instrument for nn~, the object that runs TorchScript in Max and Pure Data: one file with its state.

Audio goes in; three signals come out: the sound, the pitch heard and the loudness heard.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from timbrekit.export.nn_tilde.script import (
    NN_OPERATORS,
    PROOF_BLOCKS,
    check_sound,
    check_suffix,
    load_as_nn_tilde,
    play_in_blocks,
    scripted,
)
from timbrekit.files import atomic_path
from timbrekit.tone.instrument import Instrument, load_instrument
from timbrekit.tone.pitch import HOP, RATE, hear
from timbrekit.tone.sample import note
from timbrekit.tone.stream import ATTRIBUTES, Stream, latency_ms
from timbrekit.tone.synth import white_noise

TOLERANCE = 1e-4  # between the file's sound and the instrument's, full scale 1
DESCRIPTION = "timbrekit_tone.json"  # in the file
# Beyond what a drum's file calls: spectra, the search for a period, the GRU. Each is older than libtorch 2.1 by its
# release notes; none reads files or prints.
TONE_OPERATORS = (
    NN_OPERATORS
    | {
        f"aten::{name}"
        for name in """
    __and__ addcmul amax amin argmax conj empty exp2 fft_irfft flip floordiv gather gru index index_put_ nonzero round
    sin_ unflatten unfold uniform_ view_as_complex view_as_real
    """.split()
    }
    | {"prim::abs"}
)


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
    check_suffix(out)
    instrument, about = load_instrument(model)
    about |= {"sample_rate": RATE, "latency_ms": latency_ms()}
    content = scripted(Stream(instrument), DESCRIPTION, about)
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
        _prove(temporary, instrument)
    return out


def _prove(path: Path, instrument: Instrument) -> None:
    """Load the file as nn~ does, call it as nn~ does, and hold it against the instrument."""
    module = load_as_nn_tilde(path, ATTRIBUTES, TONE_OPERATORS)
    sound = proof_material(instrument)
    expected = instrument.play(hear(sound)).numpy()
    white = white_noise(1, len(sound) // HOP, torch.Generator().manual_seed(0))
    played = play_in_blocks(module, sound, hops_of(white[0]), PROOF_BLOCKS)[0][HOP:]
    check_sound(played, expected[: len(played)], TOLERANCE, "the instrument")


def hops_of(white: torch.Tensor) -> Callable[[int, int], torch.Tensor]:
    """Noise ``(hops, 514)``, a row for each hop that is completed, as ``play_in_blocks`` takes it."""
    return lambda start, end: white[start // HOP : end // HOP]


def proof_material(instrument: Instrument) -> np.ndarray:
    """Two notes of the instrument's range with a pause between them, 0.7 s: (n,) float32."""
    low, high = instrument.ranges.pitch
    random = np.random.default_rng(0)
    first, second = (note(pitch, 44 * HOP, 0.5, random) for pitch in (low + 2, (low + high) / 2))
    return np.concatenate([first, np.zeros(44 * HOP), second]).astype(np.float32)
