"""The published comparison in small: the rows of ``timbrekit.experiment`` trained on one take, measured on another."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from timbrekit.experiment.rows import DIRECT, UNCHANGED, Row, World, WorldName, find_rows
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.notebook.recording_panel import find_sample
from timbrekit.plugin.as_played import Followed
from timbrekit.presets import Preset
from timbrekit.recording.hits import Hits, cut_windows
from timbrekit.results.report import measure_held_out
from timbrekit.training.bounds import optimize_directly
from timbrekit.training.fast.train import train
from timbrekit.training.published import SEARCH
from timbrekit.training.split import Split
from timbrekit.training.take import Take, make_take

COMPARED = (UNCHANGED.key, DIRECT.key, "linear", "mlp", "mlp-2048", "mlp-large", "ours")
SECOND_SCORE = 1809  # seed of what the sample's drummer plays another time


@dataclass(frozen=True)
class Compared:
    """One row of the comparison, over the hits of the other take."""

    name: str
    followed: Followed

    @property
    def ratios(self) -> NDArray[np.float32]:
        """``(7,)`` mean errors over those of the preset alone."""
        return self.followed.ratio_per_feature

    def row(self) -> dict[str, str]:
        """The mean ratio first, then mean ± standard deviation of each feature's error, as cells of a table."""
        errors = np.abs(self.followed.played - self.followed.intended)
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

    def take(self, row: Row, world: World, against: Take | None = None) -> Take:
        """As a row's mapping hears it, and the world measures it."""
        windows = None
        if row.window != self.hits.windows.shape[1]:
            windows = cut_windows(self.samples, self.hits.triggers, row.window)
        return make_take(self.hits, world.features(self.hits.sample_rate), windows, against)


@dataclass(frozen=True)
class Unheard(Take):
    """Another take as a plug-in hears it that knows the ranges of the one trained on."""

    trained_on: Take

    @cached_property
    def minimum(self) -> Tensor:
        return self.trained_on.minimum

    @cached_property
    def maximum(self) -> Tensor:
        return self.trained_on.maximum


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
    world: WorldName = "gated",
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
        world: how the synthesiser sounds and is measured.
        progress: called with the name of what is computed next.
    """
    compared, measured_in = [], World(world)
    for row in find_rows(tuple(rows)):
        progress(row.title)
        take = trained_on.take(row, measured_in)
        other = test.take(row, measured_in, take)
        unheard = Unheard(**{part.name: getattr(other, part.name) for part in fields(Take)}, trained_on=take)
        compared.append(
            Compared(row.title, _follow(row, take, unheard, preset, epochs, iterations, measured_in))
        )
    return compared


def _follow(
    row: Row, take: Take, unheard: Unheard, preset: Preset, epochs: int, iterations: int, world: World
) -> Followed:
    intended, every = unheard.intended.numpy(), np.arange(len(unheard))
    if row == UNCHANGED:
        return Followed(np.zeros_like(intended), intended)
    if row == DIRECT:
        search = {**SEARCH, "iterations": iterations, "gated": world.gated, "fresh_noise": world.gated}
        return Followed(optimize_directly(unheard, preset, every, **search), intended)
    trained = train(take, preset, world.settings(row, epochs, "auto", "random"))
    if trained.interrupted:
        raise KeyboardInterrupt  # half-trained models are not for a table
    nothing = np.array([], np.int64)
    of_unheard = replace(trained, split=Split(nothing, nothing, every))
    with torch.no_grad():
        return measure_held_out(
            unheard, of_unheard, preset, world.features(take.hits.sample_rate), world.gated
        )
