"""From the models' results to the paper's table: its numbers."""

import numpy as np
import pandas as pd

from timbrekit.experiment.rows import AS_PUBLISHED, BASELINE, DIRECT, OURS, OURS_LARGE, PAPER_LARGE, ROWS, Row
from timbrekit.features import TIMBRE_FEATURES

# Our recipe and the paper's: its mapping that plays, and that of the same size.
PAIRED = ((OURS, BASELINE), (OURS, AS_PUBLISHED), (OURS_LARGE, PAPER_LARGE))
SMALLEST_GAP = 1e-9  # between MLP and direct optimisation; below, no share of it means anything
# Of the transient, as a player notices it: loudness with the hit's and with what its onset tells, brightness.
FOLLOWS = {
    "follows_loudness": "rank loudness transient",
    "follows_onset": "follows_onset",
    "follows_brightness": "rank centroid transient",
}


def summarise(models: pd.DataFrame) -> pd.DataFrame:
    """A line for each row of the table, over all its models, in the table's order.

    ``error`` and ``spread`` of each feature are mean and standard deviation over all hits, in its unit.
    ``difference_to_mlp`` is that of the mean ratio, paired. ``distance_left`` is 0 where direct optimisation stands
    and 1 where the paper's MLP does. NaN where there is no number.
    """
    rows = [row for row in ROWS["paper"].values() if (models["row"] == row.key).any()]
    return pd.DataFrame([_line(models, row) for row in rows])


def paired(models: pd.DataFrame, row: Row, other: Row, column: str = "error_ratio") -> pd.Series:
    """``row - other`` of a column, for each drum, preset and seed that both have. ``sem()`` is its standard error."""
    wide = models.pivot(index=["drum", "preset", "seed"], columns="row", values=column)
    both = wide.reindex(columns=[row.key, other.key]).dropna()
    return both[row.key] - both[other.key]


def worse_features(models: pd.DataFrame, ours: Row, paper: Row) -> dict[str, pd.Series] | None:
    """The features that our recipe follows worse than the paper's, by more than the standard error of the paired
    difference of mean absolute errors. None where no model can be paired."""
    differences = {name: paired(models, ours, paper, f"error {name}") for name in TIMBRE_FEATURES}
    if not len(differences[TIMBRE_FEATURES[0]]):
        return None
    return {name: each for name, each in differences.items() if each.mean() > each.sem()}  # False of NaN


def _line(models: pd.DataFrame, row: Row) -> dict[str, object]:
    mine = models[models["row"] == row.key]
    means, spreads = (mine[[f"{kind} {name}" for name in TIMBRE_FEATURES]] for kind in ("error", "spread"))
    errors, squares = (
        np.average(each, axis=0, weights=mine["test_hits"])
        for each in (means, spreads.to_numpy() ** 2 + means.to_numpy() ** 2)
    )
    against = paired(models, row, BASELINE) if row != BASELINE else pd.Series(dtype=float)
    return {
        "row": row.key,
        "title": row.title,
        "models": len(mine),
        "mean_ratio": mine["error_ratio"].mean(),
        "difference_to_mlp": against.mean(),
        "standard_error": against.sem(),
        "pairs": len(against),
        "distance_left": _distance_left(models, row),
        **{name: mine[column].mean() for name, column in FOLLOWS.items()},
        **dict(zip(means, errors, strict=True)),
        **dict(zip(spreads, np.sqrt((squares - errors**2).clip(min=0)), strict=True)),
    }


def _distance_left(models: pd.DataFrame, row: Row) -> float:
    wide = models.pivot(index=["drum", "preset", "seed"], columns="row", values="error_ratio")
    keys = [row.key, BASELINE.key, DIRECT.key]
    reached, baseline, bound = wide.reindex(columns=keys).dropna().mean()
    return (reached - bound) / (baseline - bound) if abs(baseline - bound) > SMALLEST_GAP else np.nan
