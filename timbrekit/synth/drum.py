"""A drum as numbers: what :mod:`timbrekit.synth.drum_analysis` found in its hits, and the knobs to play it with.

Hits share the frequencies and decays of their modes. Levels and phases each has its own, with straight lines between
over the strength of the stroke. ``…_slope`` says how levels go on beyond the softest and the hardest: by how many dB,
for every dB that the whole hit is louder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbrekit.errors import PresetError
from timbrekit.synth.base import Parameter
from timbrekit.synth.modes import MOST_MODES
from timbrekit.synth.noise_bands import BANDS, NODES, SHAPE_HZ

SILENT_DB = -200.0
MOST_HITS = 8
ONSET_RATE = 48_000  # Hz
LONGEST_ONSET = 2400  # samples
KINDS = ("kick", "snare", "tom", "cymbal", "other")
# For each array: over what it runs, and the lowest and highest value it may hold.
SHAPES: dict[str, tuple[tuple[str, ...], float, float]] = {
    "loudness": (("hits",), -120, 20),
    "frequency": (("modes",), 1, 48_000),
    "level": (("hits", "modes"), SILENT_DB, 60),
    "phase": (("hits", "modes"), -40, 40),
    "decay": (("modes",), 0, 2000),
    "gliding": (("modes",), 0, 1),
    "level_slope": (("modes",), -5, 5),
    "noise_level": (("hits", "bands", "nodes"), SILENT_DB, 60),
    "noise_slope": (("bands",), -5, 5),
    "late_slope": (("bands",), -5, 5),
    "noise_shape": (("shape",), -300, 60),
    "onset": (("hits", "onset"), -4, 4),
}


@dataclass(frozen=True, eq=False)
class Drum:
    """One drum. Levels in dB of full scale, decays in nepers a second."""

    kind: str  # one of KINDS
    seconds: float  # that the reference hit was recorded for
    reference: int  # the hit that the preset plays
    glide_amount: float
    glide_time: float  # s
    loudness: NDArray  # (hits,) dB, of the first 100 ms
    frequency: NDArray  # (modes,) Hz
    level: NDArray  # (hits, modes)
    phase: NDArray  # (hits, modes) radians, without jumps from a hit to the next louder one
    decay: NDArray  # (modes,)
    gliding: NDArray  # (modes,) 0 or 1
    level_slope: NDArray  # (modes,)
    noise_level: NDArray  # (hits, 20, nodes)
    noise_slope: NDArray  # (20,), soon after the onset …
    late_slope: NDArray  # (20,), … and late
    noise_shape: NDArray  # (513,) dB, from 0 to 24 kHz
    onset: NDArray  # (hits, samples) at 48 kHz: what neither modes nor noise play
    other: "Drum | None" = None  # that it is blended with, its modes in the same order (``drum_blend``)

    @property
    def main_mode(self) -> int:
        """Index of the mode that carries most energy."""
        return int(np.argmax(self.level[self.reference] - 10 * np.log10(self.decay)))

    @property
    def main_frequency(self) -> float:
        """Hz of that mode; 200 where nothing rings."""
        if not len(self.frequency):
            return 200.0
        return float(self.frequency[self.main_mode])

    def parameters(self) -> tuple[Parameter, ...]:
        """The knobs, with the ranges of this drum."""
        both = np.concatenate([drum.loudness for drum in (self, self.other) if drum])
        softest, hardest = float(np.floor(both.min() - 6)), float(np.ceil(both.max() + 6))
        strike = Parameter("strike", "Strike", "dB", softest, hardest, 1.0, velocity=True)
        blend = (Parameter("blend", "Blend", "%", 0.0, 100.0, 1.0),) if self.other else ()
        return (*(Parameter(*row) for row in KNOBS), strike, *blend)

    def values(self) -> dict[str, float]:
        """The preset: the reference hit as recorded; half way to it from that of the other drum, where there is one."""
        amount, time = self.glide
        glide = {"glide.amount": amount, "glide.time": time}
        blend = {"blend": 50.0} if self.other else {}
        return NEUTRAL | glide | {"strike": float(self.loudness[self.reference])} | blend

    @property
    def glide(self) -> tuple[float, float]:
        """Semitones and ms, as the knobs have them."""
        steps = 12 * np.log2(1 + self.glide_amount)
        return float(np.clip(steps, 0, 36)), float(np.clip(1000 * self.glide_time, 2, 400))

    def to_json(self) -> dict[str, Any]:
        """Plain values; arrays as texts of numbers with blanks between, so that a file of it stays readable."""
        content: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name == "other":
                content |= {} if value is None else {"other": value.to_json()}
                continue
            if name in SHAPES:
                digits = {"onset": 6, "noise_shape": 1, "noise_level": 2}.get(name, 5)
                content[name] = _as_text(np.round(np.asarray(value, float), digits))
            else:
                content[name] = value
        return content


# Key, title, unit, lowest, highest, damping of the modulation.
KNOBS = (
    ("pitch", "Pitch", "semitones", -12.0, 12.0, 0.1),
    ("glide.amount", "Pitch glide", "semitones", 0.0, 36.0, 0.3),
    ("glide.time", "Glide time", "ms", 2.0, 400.0, 0.3),
    ("modes.level", "Ringing level", "dB", -40.0, 12.0, 1.0),
    ("modes.brightness", "Ringing brightness", "dB/octave", -6.0, 6.0, 1.0),
    ("modes.decay", "Ringing decay", "%", 20.0, 250.0, 1.0),
    ("modes.tilt", "Damping of the highs", "", -1.0, 1.0, 1.0),
    ("noise.level", "Noise level", "dB", -40.0, 12.0, 1.0),
    ("noise.colour", "Noise colour", "dB/octave", -6.0, 6.0, 1.0),
    ("noise.decay", "Noise decay", "%", 20.0, 250.0, 1.0),
    ("noise.late", "Late noise", "dB", -40.0, 12.0, 1.0),
    ("onset.level", "Onset level", "dB", -40.0, 12.0, 1.0),
    ("onset.colour", "Onset colour", "dB/octave", -6.0, 6.0, 1.0),
    ("drive", "Drive", "dB", -36.0, 24.0, 1.0),
    ("level", "Level", "dB", -40.0, 12.0, 1.0),
)
NEUTRAL = dict.fromkeys((row[0] for row in KNOBS), 0.0) | {
    "modes.decay": 100.0,
    "noise.decay": 100.0,
    "drive": -36.0,
}


def parse_drum(content: Any, source: str) -> Drum:
    """Check and convert the ``drum`` of a preset file. ``source`` names it in messages.

    Raises:
        PresetError: something is missing, of another shape, or out of range.
    """
    if isinstance(content, Mapping) and "decay_slope" in content:
        raise PresetError(
            f"{source}: an earlier version of timbrekit made its drum, which this one does not play. "
            "Analyse the hits again: timbrekit drum HIT... --out FILE."
        )
    names = [field.name for field in fields(Drum) if field.name != "other"]
    if not isinstance(content, Mapping) or set(content) - {"other"} != set(names):
        raise PresetError(
            f"{source}: its drum has to hold exactly {', '.join(names)}. Analyse the hits again."
        )
    if content["kind"] not in KINDS:
        raise PresetError(f"{source}: the drum's kind has to be one of {', '.join(KINDS)}.")
    values: dict[str, Any] = {"kind": content["kind"]}
    for name, low, high in (("seconds", 0.01, 60), ("glide_amount", -0.5, 10), ("glide_time", 0.001, 2)):
        values[name] = float(_array(content[name], name, 0, low, high, source))
    sizes = {"bands": BANDS, "nodes": len(NODES), "shape": len(SHAPE_HZ)}
    if content.get("other") is not None:
        values["other"] = other = parse_drum(content["other"], source)
        if other.other is not None:
            raise PresetError(f"{source}: a drum that is blended with a blend is not read.")
        sizes["modes"] = len(other.frequency)
    most = {"hits": MOST_HITS, "modes": 2 * MOST_MODES, "onset": LONGEST_ONSET}
    for name, (axes, low, high) in SHAPES.items():
        values[name] = array = _array(content[name], name, len(axes), low, high, source)
        for axis, size in zip(axes, array.shape, strict=True):
            if (
                size != sizes.setdefault(axis, size)
                or size > most.get(axis, size)
                or (axis == "hits" and not size)
            ):
                raise PresetError(f"{source}: the drum's {name!r} has a length that does not fit the others.")
    reference = content["reference"]
    if not isinstance(reference, int) or not 0 <= reference < sizes["hits"]:
        raise PresetError(
            f"{source}: the drum's 'reference' has to be the number of one of its hits, from 0 on."
        )
    return Drum(reference=reference, **values)


def _as_text(array: NDArray) -> str | list[str]:
    if array.ndim > 1:
        return [_as_text(row) for row in array]
    return " ".join(f"{value + 0.0:.8g}" for value in array)  # + 0.0: no -0


def _numbers(text: Any) -> list:
    if isinstance(text, list):
        return [_numbers(each) for each in text]
    return [float(number) for number in text.split()]


def _array(given: Any, name: str, dimensions: int, low: float, high: float, source: str) -> NDArray:
    try:
        rows = [given] if dimensions == 1 else given
        if dimensions:
            array = np.array([_numbers(row) for row in rows])
            array = array[0] if dimensions == 1 else array
        else:
            array = np.asarray(given, float)
    except (AttributeError, TypeError, ValueError, OverflowError):
        array = np.array([np.nan] * 2)
    if array.ndim != dimensions or not np.all((array >= low) & (array <= high)):
        raise PresetError(f"{source}: the drum's {name!r} has to hold numbers from {low:g} to {high:g}.")
    return array
