"""An instrument as one HTML file that is played in a browser: by microphone, recording, keys or MIDI.

Its scripts in ``page/`` do what ``pitch``, ``decoder``, ``synth``, ``stream`` and ``play`` do; tests hold them to it.
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrekit.export.page_file import PageKind, write_page
from timbrekit.tone import decoder, pitch, play, synth
from timbrekit.tone.instrument import Instrument, load_instrument

TONE_PAGE = PageKind(
    folder=Path(__file__).parent / "page",
    core=("fourier.js", "listener.js", "decoder.js", "synth.js", "player.js"),
    names=("Player", "kept", "fitTo", "hearing", "clip"),
    scripts=("pictures.js", "keys.js", "page.js"),
    headphones="Microphone or audio interface. Wear headphones: out of loudspeakers, the instrument would hear itself.",
    save="Save what it becomes",
)
# Numbers that the scripts share with Python's modules: they stand there, and travel with the model.
CONSTANTS = {
    pitch: "RATE HOP WINDOW CENTRE COMPARED SHORTEST LONGEST LOWEST_PITCH HIGHEST_PITCH SLACK UNSURE SURE PITCHED "
    "SILENT FLOOR STEP CERTAIN LEAP_HOPS DEEP CERTAIN_DEEP DEEP_HOPS",
    synth: "PARTIALS BANDS LOWEST_BAND_HZ FADE_HZ",
    decoder: "LEAST WIDEST_CORRECTION",
    play: "PLAYABLE WIDEST_SHIFT LEAST_SPREAD ROOM_BESIDE",
}


def build_tone_page(model: str | Path, out: str | Path) -> Path:
    """Write the page of the instrument in ``model``, a file of ``timbrekit tone train``.

    Raises:
        ModelFileError: the model cannot be read.
        OutputError: the page cannot be written.
    """
    return write_page(render_tone_page(*load_instrument(model)), out)


def render_tone_page(instrument: Instrument, about: dict[str, Any]) -> str:
    """The page's HTML. ``about`` is what the instrument's file says of it."""
    model = page_model(instrument, about)
    return TONE_PAGE.render(model["name"], model)


def page_model(instrument: Instrument, about: dict[str, Any]) -> dict[str, Any]:
    """What the page's scripts find under the name ``model``."""
    ranges = instrument.ranges
    constants = {name: getattr(module, name) for module, names in CONSTANTS.items() for name in names.split()}
    return {
        "name": Path(str(about.get("recording", "Instrument"))).stem,
        "sample_rate": pitch.RATE,
        "context": {"sampleRate": pitch.RATE},
        "pitch": ranges.pitch,
        "loudness": ranges.loudness,
        "constants": constants,
        "weights": {name: _base64(values) for name, values in instrument.decoder.state_dict().items()},
        "room": _base64(instrument.response()),
    }


def _base64(values: torch.Tensor) -> str:
    return base64.b64encode(values.detach().numpy().astype(np.dtype("<f4")).tobytes()).decode()
