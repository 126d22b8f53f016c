"""Named presets: small JSON files in physical units, with damping. A user's own file works the same."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.errors import PresetError
from timbrekit.files import write_json
from timbrekit.synth import SNARE808, find_synth, parameters_of
from timbrekit.synth.base import Parameter, Synth

# a preset is about 1 KB, one with a drum of eight hits up to 150; more is another file
MAX_FILE_BYTES = 512 * 1024
DAMPING_RANGE = (0.0, 1.0, "")  # lowest, highest, unit


@dataclass(frozen=True)
class Preset:
    """A sound of the synthesiser, and how far each of its parameters may be moved.

    ``values``: physical units by key, in the parameter table's order. ``damping``: factor in [0, 1] on the
    modulation of each parameter; those left out are the table's. ``synth``: the synthesiser's name.
    """

    name: str
    title: str
    values: dict[str, float]
    description: str = ""
    damping: dict[str, float] = field(default_factory=dict)
    synth: str = SNARE808
    drum: Mapping[str, Any] | None = None  # of the synthesiser "drum": what was analysed

    def __post_init__(self) -> None:
        damping = {p.key: self.damping.get(p.key, p.damping) for p in self.parameters}
        object.__setattr__(self, "damping", damping)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The synthesiser's table."""
        return parameters_of(self.synth, self.drum)

    def instrument(self) -> Synth:
        """The synthesiser that plays it."""
        return find_synth(self.synth, self.drum)

    def physical(self) -> np.ndarray:
        """``(parameters,)`` float64 in physical units, in the parameter table's order."""
        return np.array([self.values[p.key] for p in self.parameters])

    def normalized(self) -> np.ndarray:
        """``(parameters,)`` float32 in [0, 1], in the parameter table's order."""
        return np.array([p.to_normalized(self.values[p.key]) for p in self.parameters], np.float32)

    def damping_vector(self) -> np.ndarray:
        """``(parameters,)`` float32 in [0, 1]."""
        return np.array([self.damping[p.key] for p in self.parameters], np.float32)

    def to_json(self) -> dict[str, Any]:
        content = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "synth": self.synth,
            "values": self.values,
            "damping": self.damping,
        }
        return content if self.drum is None else content | {"drum": dict(self.drum)}


def preset_names() -> list[str]:
    """Names of the presets that ship with timbrekit, snares first."""
    folder = resources.files(__package__)
    names = sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".json"))
    return sorted(names, key=lambda name: "snare" not in name)


def load_preset(name_or_path: str | Path) -> Preset:
    """A shipped preset by name (``"snare-1"``), or a user's own JSON file by path.

    Raises:
        PresetError: no such preset or file, not a preset, a key is missing, unknown, or out of its range.
    """
    text = str(name_or_path)
    if text in preset_names():
        source = resources.files(__package__).joinpath(f"{text}.json")
        return parse_preset(json.loads(source.read_text(encoding="utf-8")), text, text)
    path = Path(name_or_path)
    try:
        if not path.is_file():
            raise PresetError(
                f"There is no preset or preset file called {text!r}. Presets that ship with timbrekit: "
                f"{', '.join(preset_names())}."
            )
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PresetError(f"{path.name} is not a preset: it is larger than {MAX_FILE_BYTES // 1024} KB.")
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repetition)
    except OSError as error:
        raise PresetError(f"Cannot read the preset {text[:200]!r}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{path.name} is not a preset: it is not readable as JSON ({error}).") from error
    return parse_preset(content, path.name, path.stem)


def parse_preset(content: Any, source: str, name: str) -> Preset:
    """Check and convert the content of a preset file. ``source`` names it in messages.

    Raises:
        PresetError: as :func:`load_preset`.
    """
    if not isinstance(content, dict) or not isinstance(content.get("values"), dict):
        raise PresetError(f'{source} is not a preset: it needs a "values" entry with the parameters.')
    unknown = sorted(set(content) - {"name", "title", "description", "synth", "values", "damping", "drum"})
    if unknown:
        raise PresetError(
            f"{source}: {unknown[0][:40]!r} is not part of a preset. Remove it, or check its spelling."
        )
    try:
        synth = content.get("synth", SNARE808)  # presets of 0.1 do not say
        drum = content.get("drum")
        parameters = parameters_of(synth, drum)
    except PresetError as error:
        raise PresetError(f"{source}: {error}") from error
    ranges = {p.key: (p.minimum, p.maximum, p.unit) for p in parameters}
    values = _numbers(content["values"], source, "values", ranges)
    missing = [p.key for p in parameters if p.key not in values]
    if missing:
        raise PresetError(
            f"{source}: the value of {missing[0]!r} is missing. Every one of the {len(parameters)} has to be there."
        )
    given = content.get("damping", {})
    if not isinstance(given, dict):
        raise PresetError(
            f'{source}: "damping" has to hold a number from 0 to 1 for each parameter it names.'
        )
    damping = _numbers(given, source, "damping", dict.fromkeys(ranges, DAMPING_RANGE))
    texts = {key: content.get(key, default) for key, default in (("title", name), ("description", ""))}
    for key, text in texts.items():
        if not isinstance(text, str) or len(text) > 500 or not text.isprintable():
            raise PresetError(f"{source}: {key!r} has to be one line of text, of at most 500 characters.")
    return Preset(_safe_name(name), texts["title"], values, texts["description"], damping, synth, drum)


def save_preset(preset: Preset, path: str | Path) -> Path:
    """Write a preset as JSON, whole or not at all. Loaded again, it is named after its file.

    Raises:
        PresetError: the preset is not one that could be loaded again; nothing is written.
        OutputError: the file cannot be written.
    """
    parse_preset(preset.to_json(), f"The preset {preset.name!r}", preset.name)
    write_json(path, preset.to_json())
    return Path(path)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. The last of two equal keys would win silently, and be the wrong one half of the time."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{repeated[:40]!r} stands in it more than once")
    return content


def _numbers(
    given: dict, source: str, entry: str, ranges: dict[str, tuple[float, float, str]]
) -> dict[str, float]:
    """Those of an entry by key, in the order of ``ranges``: lowest, highest, unit."""
    for key, value in given.items():
        if key not in ranges:
            raise PresetError(
                f"{source}: {str(key)[:40]!r} in {entry!r} is not a parameter. The parameters are {', '.join(ranges)}."
            )
        low, high, unit = ranges[key]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:  # NaN is in no range
            shown = repr(value) if is_number else json.dumps(value, default=repr)
            shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
            raise PresetError(
                f"{source}: {key!r} in {entry!r} is {shown}; it has to be a number from "
                f"{low:g} to {high:g} {unit}".rstrip()
                + "."
            )
    return {key: float(given[key]) for key in ranges if key in given}


def _safe_name(name: str) -> str:
    """Lower case with hyphens, as the shipped ones."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "preset"
