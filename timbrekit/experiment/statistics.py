"""From the models' results to the table's numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbrekit.experiment.results import FOLLOWS, Record
from timbrekit.experiment.rows import AS_PUBLISHED, BASELINE, DIRECT, OURS, OURS_SMALL, PAPER_LARGE, ROWS, Row
from timbrekit.features import TIMBRE_FEATURES

# Our recipe and the paper's: its mapping that plays, and that of the same size.
PAIRED = ((OURS, BASELINE), (OURS, AS_PUBLISHED), (OURS, PAPER_LARGE), (OURS_SMALL, BASELINE))
SMALLEST_GAP = 1e-9  # between MLP and direct optimisation; below, no share of it means anything

Place = tuple[str, str, int]  # drum, preset and seed: what two rows are paired by


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences over drums, presets and seeds, and its standard error."""

    mean: float
    error: float  # NaN of a single pair
    pairs: int

    @property
    def is_worse(self) -> bool:
        """Larger than 0 by more than its standard error."""
        return self.mean > self.error  # False where that is NaN


@dataclass(frozen=True)
class Line:
    """One line of the table: a row over all its models."""

    row: Row
    models: int
    errors: NDArray[np.float64]  # (7,) mean absolute error over all test hits of all models
    spreads: NDArray[np.float64]  # (7,) standard deviation over the same
    ratio: float  # mean of the models' error ratios
    follows: tuple[float, ...]  # means of the models' rank correlations, as ``FOLLOWS``
    against_mlp: Difference | None  # of the error ratio; None where no model can be paired
    gap: float | None  # 0 where direct optimisation stands, 1 where the paper's MLP does


def summarise(records: Sequence[Record]) -> list[Line]:
    """The table's lines, in its order."""
    by_row = {row.key: _by_place(records, row) for row in ROWS.values()}
    return [_line(row, by_row) for row in ROWS.values() if by_row[row.key]]


def worse_features(records: Sequence[Record], ours: Row, paper: Row) -> dict[str, Difference] | None:
    """The features that our recipe follows worse than the paper's, by more than the standard error of the paired
    difference of mean absolute errors. None where no model can be paired."""
    mine, theirs = _by_place(records, ours), _by_place(records, paper)
    differences = {name: paired(mine, theirs, f"error {name}") for name in TIMBRE_FEATURES}
    if None in differences.values():
        return None
    return {name: difference for name, difference in differences.items() if difference.is_worse}


def paired(these: dict[Place, Record], those: dict[Place, Record], column: str) -> Difference | None:
    """``these - those`` of a column, over the places that both have."""
    differences = [these[place][column] - those[place][column] for place in these if place in those]
    if not differences:
        return None
    count = len(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return Difference(float(np.mean(differences)), error, count)


def _by_place(records: Sequence[Record], row: Row) -> dict[Place, Record]:
    chosen = [record for record in records if record["row"] == row.key]
    chosen.sort(key=lambda record: (record["drum"], record["preset"], record["seed"]))
    return {(record["drum"], record["preset"], record["seed"]): record for record in chosen}


def _line(row: Row, by_row: dict[str, dict[Place, Record]]) -> Line:
    places = by_row[row.key]
    models = list(places.values())
    hits = np.array([model["test_hits"] for model in models], float)
    means = np.array([[model[f"error {name}"] for name in TIMBRE_FEATURES] for model in models])
    spreads = np.array([[model[f"spread {name}"] for name in TIMBRE_FEATURES] for model in models])
    errors = np.average(means, axis=0, weights=hits)
    variance = np.average(spreads**2 + means**2, axis=0, weights=hits) - errors**2
    return Line(
        row=row,
        models=len(models),
        errors=errors,
        spreads=np.sqrt(variance.clip(min=0)),
        ratio=float(np.mean([model["error_ratio"] for model in models])),
        follows=tuple(float(np.mean([model[name] for model in models])) for name in FOLLOWS),
        against_mlp=None if row == BASELINE else paired(places, by_row[BASELINE.key], "error_ratio"),
        gap=_gap(places, by_row[BASELINE.key], by_row[DIRECT.key]),
    )


def _gap(row: dict[Place, Record], mlp: dict[Place, Record], direct: dict[Place, Record]) -> float | None:
    shared = [place for place in row if place in mlp and place in direct]
    if not shared:
        return None
    ratios = [[each[place]["error_ratio"] for place in shared] for each in (row, mlp, direct)]
    reached, baseline, bound = np.mean(ratios, axis=1)
    return float((reached - bound) / (baseline - bound)) if abs(baseline - bound) > SMALLEST_GAP else None
