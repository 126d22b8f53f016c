"""A trained model as one HTML file that plays in a browser: `timbrekit page MODEL --out play.html`.

The file holds everything: the instrument (``page/core.js``, ``page/player.js``), its audio-thread wrapper,
the page around it and the model's numbers. It opens with a double click, offline, and asks for nothing from
the network; its content policy forbids it to.
"""

import base64
import hashlib
import html
import json
import math
import struct
from pathlib import Path
from typing import Any

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.model_file import problem_of_synth
from timbrekit.files import atomic_path

ASSETS = Path(__file__).parent / "page"
MAXIMUM_BYTES = 200_000  # a page is mailed and kept beside the model; more means something went in by mistake

CORE = ("core.js", "player.js")  # no browser globals: the same text runs on the audio thread and in node
CORE_NAMES = ("Player", "seededNoise", "onsetFeatures", "TRIGGER_DELAY")  # used by the page
PAGE = ("instrument.js", "sound.js", "view.js", "messages.js", "inputs.js", "page.js")

# What the page reads of a model's metadata. Provenance that it does not show stays out of the file.
MODEL_KEYS = (
    "name",
    "date",
    "sample_rate",
    "preset",
    "parameters",
    "network",
    "onset_features",
    "detector",
)


def core_source() -> str:
    """The audio core, one JavaScript module: what the page, its audio thread and the tests run."""
    return "\n".join(_asset(name) for name in CORE)


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
    content = render_page(metadata).encode("utf-8")
    if len(content) > MAXIMUM_BYTES:
        raise OutputError(
            f"The page for {metadata['name']!r} would be {len(content)} bytes; the limit is {MAXIMUM_BYTES}. "
            "Its network is too large to carry in a page: train with --model mlp and try again."
        )
    out = Path(out)
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
    return out


def render_page(metadata: dict[str, Any]) -> str:
    """The page's HTML. Raises `ModelFileError` as `build_page` does."""
    model = page_model(metadata)
    core = f"\n{core_source()}\nglobalThis.timbrekitCore = {{ {', '.join(CORE_NAMES)} }};\n"
    page = "\n" + "\n".join(_asset(name) for name in PAGE)
    worklet = "\n" + _asset("worklet.js")
    style = "\n" + _asset("page.css")
    for script in (core, page, worklet):
        if "</script" in script.lower():
            raise AssertionError("a page asset holds a closing script tag")
    policy = "; ".join(
        (
            "default-src 'none'",  # no image, font, frame or request from anywhere
            f"script-src {_hash(core)} {_hash(page)} data: blob:",  # data:, blob: for the audio-thread module
            f"style-src {_hash(style)}",
            "img-src data:",
            "media-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    blocks = {
        "policy": policy,
        "title": html.escape(str(model["name"])),
        "style": style,
        "model": _script_json(model),
        "core": core,
        "worklet": worklet,
        "page": page,
    }
    document = _asset("page.html")
    pieces = document.split("@@")  # text, name, text, name, ... text
    return "".join(blocks[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(block: str) -> str:
    """Content-policy source of an inline block: browsers hash the text between the tags, byte for byte."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode('utf-8')).digest()).decode()}'"


def _script_json(value: Any) -> str:
    """JSON that is safe between script tags: no "<" is left, so nothing in it can close the element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def page_model(metadata: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's metadata that the page carries, checked. Raises `ModelFileError`."""
    missing = [key for key in MODEL_KEYS if key not in metadata]
    if missing:
        raise ModelFileError(
            f"The model's metadata lack {', '.join(missing)}, which the live page needs. "
            "Export the model again with this version of timbrekit."
        )
    problem = problem_of_synth(metadata)
    if problem:
        raise ModelFileError(f"The page cannot be written. {problem}")
    model = {key: metadata[key] for key in MODEL_KEYS}
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
    try:
        _script_json(model)
    except ValueError as error:
        raise ModelFileError(
            f"The model's metadata cannot be written into a page ({error}). Export the model again."
        ) from error
    return model


def _all_finite(floats: str) -> bool:
    """Whether base64 of little-endian 32-bit floats holds finite numbers only."""
    return all(math.isfinite(value) for (value,) in struct.iter_unpack("<f", base64.b64decode(floats)))
