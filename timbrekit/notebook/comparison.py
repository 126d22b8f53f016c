"""The published comparison in small: the table of ``timbrekit.experiment`` for one take, one preset and one seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbrekit.experiment.measure import Measured, Source, measure_row
from timbrekit.experiment.rows import UNCHANGED, World, WorldName, find_rows
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.presets import Preset
from timbrekit.recording.hits import Hits
from timbrekit.training.fast.train import Variant

COMPARED = (UNCHANGED.key, "direct", "linear", "mlp", "mlp-2048", "mlp-large", "ours")


@dataclass(frozen=True)
class Compared:
    """One row of the comparison, over the hits held out for testing."""

    name: str
    measured: Measured

    @property
    def ratios(self) -> NDArray[np.float32]:
        """``(7,)`` mean errors over those of the preset alone."""
        return self.measured.ratio_per_feature

    def row(self) -> dict[str, str]:
        """Mean ± standard deviation of each feature's error, and the mean ratio, as cells of a table."""
        titles = [
            f"{name} ({unit})" for name, unit in zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True)
        ]
        means, spreads = self.measured.errors.mean(0), self.measured.errors.std(0)
        cells = [f"{mean:#.3g} ± {spread:#.2g}" for mean, spread in zip(means, spreads, strict=True)]
        named = dict(zip(titles, cells, strict=True))
        return {"": self.name, "mean ratio": f"{self.measured.error_ratio:.2f}", **named}


def compare(
    hits: Hits,
    samples: NDArray[np.float32],
    preset: Preset,
    rows: Sequence[str] = COMPARED,
    epochs: int = 40,
    iterations: int = 100,
    world: WorldName = "gated",
    progress: Callable[[str], None] = lambda words: None,
) -> list[Compared]:
    """Train each row's model on the same hits and measure all on the same held-out hits.

    Args:
        hits: at least 5, so that some can be held out.
        samples: ``(samples,)`` the recording that they are from.
        preset: to modulate.
        rows: of the table; see ``timbrekit.experiment.rows``.
        epochs: of training each; the paper has 250.
        iterations: of the direct search, which looks at the held-out hits themselves: a bound. The paper has 1000.
        world: how the synthesiser sounds and is measured.
        progress: called with the name of what is computed next.
    """
    source = Source(hits, samples, World(world))
    compared = []
    for row in find_rows(tuple(rows)):
        progress(row.title)
        measured = measure_row(source, row, [Variant(preset)], epochs, iterations)
        compared.append(Compared(row.title, measured[0]))
    return compared
