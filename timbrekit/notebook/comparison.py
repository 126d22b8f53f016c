"""The published comparison in small: mappings of several sizes against the preset alone and the bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbrekit.bounds import optimize_directly
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.mapping import ModelName
from timbrekit.presets import Preset
from timbrekit.report import measure_held_out
from timbrekit.settings import make_settings
from timbrekit.split import split_hits
from timbrekit.take import Take
from timbrekit.train import train

PRESET_ALONE, DIRECT = "preset alone", "direct optimisation"
COMPARED: tuple[ModelName, ...] = ("linear", "mlp", "mlp-large")


@dataclass(frozen=True)
class Compared:
    """One row of the comparison, over the hits held out for testing."""

    name: str
    played: NDArray[np.float32]  # (n, 7) differences from the preset
    intended: NDArray[np.float32]  # (n, 7) differences from the reference hit

    @property
    def errors(self) -> NDArray[np.float32]:
        """``(n, 7)`` absolute errors, in the features' units."""
        return np.abs(self.played - self.intended)

    @property
    def ratios(self) -> NDArray[np.float32]:
        """``(7,)`` mean errors over those of the preset alone."""
        return self.errors.mean(0) / np.maximum(np.abs(self.intended).mean(0), 1e-6)

    def row(self) -> dict[str, str]:
        """Mean ± standard deviation of each feature's error, and the mean ratio, as cells of a table."""
        titles = [
            f"{name} ({unit})" for name, unit in zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True)
        ]
        means, spreads = self.errors.mean(0), self.errors.std(0)
        cells = [f"{mean:#.3g} ± {spread:#.2g}" for mean, spread in zip(means, spreads, strict=True)]
        named = dict(zip(titles, cells, strict=True))
        return {"": self.name, **named, "mean ratio": f"{self.ratios.mean():.2f}"}


def compare(
    take: Take,
    preset: Preset,
    models: Sequence[ModelName] = COMPARED,
    epochs: int = 20,
    iterations: int = 60,
    progress: Callable[[str], None] = lambda words: None,
) -> list[Compared]:
    """Train each model on the same hits and measure all on the same held-out hits.

    Args:
        take: at least 5 hits, so that some can be held out.
        preset: to modulate.
        models: sizes of the mapping.
        epochs: of training each; the paper has 250.
        iterations: of the direct optimisation, which looks at the held-out hits themselves: a bound.
        progress: called with the name of what is computed next.
    """
    test = split_hits(take.timbre[:, 0], take.reference).test
    intended = take.intended[test].numpy()
    rows = [Compared(PRESET_ALONE, np.zeros_like(intended), intended)]
    for model in models:
        progress(model)
        # Without the sketch: every mapping starts at the preset, as in the paper.
        trained = train(take, preset, replace(make_settings(model=model, epochs=epochs), sketch=False))
        held_out = measure_held_out(take, trained, preset)
        rows.append(Compared(model, held_out.played, held_out.intended))
    progress(DIRECT)
    rows.append(Compared(DIRECT, optimize_directly(take, preset, test, iterations), intended))
    return rows
