"""A drum's model as one HTML file that plays in a browser: `timbrekit page MODEL --out play.html`.

The instrument is in ``page/drum/core.js``, the synthesisers' voices, and ``page/drum/player.js``, which says what a
voice is and holds their list; what surrounds it is every page's (``page_file``).
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.errors import ModelFileError, OutputError, first_line
from timbrekit.export.model_file import MEL, listener_of, problem_with_host, synth_of
from timbrekit.export.page_file import FURNITURE, PageKind, script_json, write_page
from timbrekit.synth import DRUM, parameters_of

MAXIMUM_BYTES = 200_000  # a page is mailed and kept beside the model; more means something went in by mistake
DRUM_PAGE = PageKind(
    folder=FURNITURE / "drum",
    core=(
        *("core.js", "fourier.js", "updates.js"),
        *("drum_tables.js", "drum_numbers.js", "drum_stroke.js", "drum.js", "snare808.js", "ringing808.js"),
        *("listener.js", "looks.js", "player.js"),
    ),
    names=("Player", "kept", "seededNoise", "onsetFeatures", "answerDelays"),
    scripts=("pictures.js", "pads.js", "loop.js", "midi.js", "page.js"),
    headphones="Microphone or audio interface. Wear headphones: loudspeakers would make the drum trigger itself.",
    save="Save what it becomes",
)

# What the page reads of a model's metadata. Provenance that it does not show stays out of the file.
MODEL_KEYS = "name date sample_rate preset parameters network onset_features detector".split()


def build_page(metadata: dict[str, Any], out: str | Path) -> Path:
    """Write the live page of a model.

    Args:
        metadata: content of the model file's "timbrekit.json", as `model_file.read_metadata` gives it.
        out: the HTML file to write, whole or not at all.

    Returns:
        The path written.

    Raises:
        ModelFileError: the metadata lack what the page needs, or hold a number that is not finite.
        OutputError: the page would be larger than `MAXIMUM_BYTES`, or cannot be written.
    """
    content = render_page(metadata)
    # What is as large as the recording asks for.
    most = MAXIMUM_BYTES + sum(
        len(script_json(metadata[name])) for name in ("drum", "looks") if metadata.get(name)
    )
    if len(content) > most:
        raise OutputError(
            f"The page for {metadata['name']!r} would be {len(content)} bytes; the limit is {most}. "
            "Its network is too large to carry in a page: train with --model mlp and try again."
        )
    return write_page(content, out)


def render_page(metadata: dict[str, Any]) -> str:
    """The page's HTML. Raises `ModelFileError` as `build_page` does."""
    model = page_model(metadata)
    return DRUM_PAGE.render(str(model["name"]), model)


def page_model(metadata: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's metadata that the page carries, checked. Raises `ModelFileError`."""
    missing = [key for key in MODEL_KEYS if key not in metadata]
    if missing:
        raise ModelFileError(
            f"The model's metadata lack {', '.join(missing)}, which the live page needs. "
            "Export the model again with this version of timbrekit."
        )
    problem = problem_with_host(metadata, "page")
    if problem:
        raise ModelFileError(f"The page cannot be written. {problem}")
    try:
        return _checked(metadata)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelFileError(
            f"The model's metadata cannot be written into a page ({type(error).__name__}: {first_line(error)}). Export "
            "the model again."
        ) from error


def _checked(metadata: dict[str, Any]) -> dict[str, Any]:
    model = {"synth": synth_of(metadata), **{key: metadata[key] for key in MODEL_KEYS}}
    table = parameters_of(synth_of(metadata), metadata.get("drum"))  # refuses a damaged drum
    if [parameter["key"] for parameter in model["parameters"]] != [parameter.key for parameter in table]:
        raise ValueError(f"its parameters are not those of {synth_of(metadata)}")
    if synth_of(metadata) == DRUM:
        model["drum"] = metadata["drum"]
    if listener_of(metadata) == MEL:
        looks = dict(metadata["looks"])
        if "weights" not in looks:
            raise ValueError("its looks have no weights")
        model |= {"listener": MEL, "looks": looks}
    if not model["sample_rate"] > 0 or not all(
        model["detector"][key] >= 0 for key in ("on_threshold", "off_threshold", "hold")
    ):
        raise ValueError("its sample rate or detector is none")
    absent = [p["key"] for p in model["parameters"] if p["key"] not in model["preset"]["values"]]
    if absent:
        raise ModelFileError(
            f"The model's preset has no value for {', '.join(absent)}. "
            "Export the model again with a full preset."
        )
    for layer in model["network"]["layers"]:
        for name in ("weight", "bias"):
            if layer.get(name) is not None and not _all_finite(layer[name]):
                raise ModelFileError(
                    f"The network's {layer['type']} layer holds a {name} that is not a finite number; "
                    "it would silence the instrument. Train the model again."
                )
    script_json(model)  # refuses what is not finite
    return model


def _all_finite(floats: str) -> bool:
    """Whether base64 of little-endian 32-bit floats holds finite numbers only."""
    return bool(np.isfinite(np.frombuffer(base64.b64decode(floats), "<f4")).all())
