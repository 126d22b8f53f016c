"""The published comparison in small: the rows of ``timbrekit.experiment`` trained on one take, measured on another."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbrekit.experiment.measure import Measured, Source, measure_row
from timbrekit.experiment.rows import DIRECT, UNCHANGED, World, find_rows
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.notebook.recording_panel import find_sample
from timbrekit.presets import Preset
from timbrekit.recording.hits import Hits
from timbrekit.training.fast.train import Variant

COMPARED = (UNCHANGED.key, DIRECT.key, "linear", "mlp", "mlp-2048", "mlp-large", "ours")
SECOND_SCORE = 1809  # seed of what the sample's drummer plays another time


@dataclass(frozen=True)
class Compared:
    """One row of the comparison, over the hits of the other take."""

    name: str
    followed: Measured

    @property
    def ratios(self) -> NDArray[np.float32]:
        """``(7,)`` mean errors over those of the preset alone."""
        return self.followed.ratio_per_feature

    def row(self) -> dict[str, str]:
        """The mean ratio first, then mean ± standard deviation of each feature's error, as cells of a table."""
        errors = self.followed.errors
        titles = [
            f"{name} ({unit})" for name, unit in zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True)
        ]
        pairs = zip(errors.mean(0), errors.std(0), strict=True)
        cells = [f"{mean:#.3g} ± {spread:#.2g}" for mean, spread in pairs]
        named = dict(zip(titles, cells, strict=True))
        return {"": self.name, "mean ratio": f"{self.followed.error_ratio:.2f}", **named}


@dataclass(frozen=True)
class Recorded:
    """A recording and its hits."""

    samples: NDArray[np.float32]  # (samples,)
    hits: Hits


def second_take() -> NDArray[np.float32]:
    """Another minute of the sample's drum, ``(samples,)`` at 48 kHz; some ten seconds of computing.

    Raises:
        TimbrekitError: what the sample is made with is not on this computer.
    """
    folder = str(Path(find_sample()).resolve().parent)
    sys.path.insert(0, folder)
    try:
        samples, _ = importlib.import_module("make_samples").perform(SECOND_SCORE)
    finally:
        sys.path.remove(folder)
    return samples.astype(np.float32) / 32768


def compare(
    trained_on: Recorded,
    test: Recorded,
    preset: Preset,
    rows: Sequence[str] = COMPARED,
    epochs: int = 40,
    iterations: int = 100,
    progress: Callable[[str], None] = lambda words: None,
) -> list[Compared]:
    """Train each row's model on one take and measure all on every hit of another take of the same drum.

    Args:
        trained_on: at least 5 hits.
        test: at the same gain.
        preset: to modulate.
        rows: of the table; see ``timbrekit.experiment.rows``.
        epochs: of training each; the paper has 250.
        iterations: of the direct search, which looks at the test's hits themselves: a bound. The paper has 1000.
        progress: called with the name of what is computed next.
    """
    drum, other = (Source(each.hits, each.samples, World("gated")) for each in (trained_on, test))
    compared = []
    for row in find_rows(tuple(rows)):
        progress(row.title)
        (followed,) = measure_row(drum, row, [Variant(preset)], epochs, iterations, test=other)
        compared.append(Compared(row.title, followed))
    return compared
