"""The models' results on disk: ``models.csv``, a line a model and situation.

Columns: ``table, drum, row, preset, seed`` say which model; ``situation`` how it was measured (``Measured``); ``split``
and ``features`` how hits were held out and measured, and ``recipe`` a fingerprint of all that decides the result;
``epochs`` of training (iterations of the direct search), ``seconds`` of it; ``hits`` of the drum, ``test_hits`` of
them in this line. ``error_ratio`` is the mean of the seven features' ratios to the preset left alone,
``first_8_error_ratio`` that of a take's first hits, ``follows_onset`` the Spearman correlation of the transient's
played loudness with what is heard of it at the hit's onset, ``image`` the correlation of distances in an auditory image
(``timbrekit.results.auditory_image``), of unseen playing. Then for each timbre feature ``error``, the mean absolute
error in its unit, ``spread``, the standard deviation over hits, ``unchanged``, the error of the preset left alone on
the same hits, ``ratio``, one over the other, and ``rank``, the Spearman correlation of played with intended.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timbrekit.errors import OutputError, first_line
from timbrekit.experiment.measure import Measured
from timbrekit.experiment.plan import Job, Plan
from timbrekit.experiment.rows import ROWS
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.files import atomic_path
from timbrekit.plugin.as_played import rank_correlations

FILE = "models.csv"
KINDS = ("error", "spread", "unchanged", "ratio", "rank")
COLUMNS: dict[str, type] = {
    **dict.fromkeys(("table", "drum", "row", "preset"), str),
    **dict.fromkeys(("seed", "epochs", "hits", "test_hits"), int),
    **dict.fromkeys(("situation", "split", "features", "recipe"), str),
    **dict.fromkeys(("seconds", "error_ratio", "first_8_error_ratio", "follows_onset", "image"), float),
    **{f"{kind} {name}": float for kind in KINDS for name in TIMBRE_FEATURES},
}
Record = dict[str, Any]  # a line of the file


def record_of(plan: Plan, job: Job, hits: int, measured: Measured) -> Record:
    """A line of the file."""
    played, intended, heard = measured.played, measured.intended, measured.heard
    by_kind = {
        "error": measured.errors.mean(0),
        "spread": measured.errors.std(0),
        "unchanged": np.abs(intended).mean(0),
        "ratio": measured.ratio_per_feature,
        "rank": rank_correlations(played, intended),
    }
    by_feature = {
        f"{kind} {name}": float(number)
        for kind, numbers in by_kind.items()
        for name, number in zip(TIMBRE_FEATURES, numbers, strict=True)
    }
    return {
        **job._asdict(),
        "table": plan.table,
        "situation": measured.situation,
        "split": plan.split,
        "features": plan.features,
        "recipe": plan.fingerprint(ROWS[plan.table][job.row]),
        "hits": hits,
        "test_hits": measured.test_hits,
        "epochs": measured.epochs,
        "seconds": round(measured.seconds, 3),
        "error_ratio": measured.error_ratio,
        "first_8_error_ratio": measured.first_hits_error_ratio,
        "follows_onset": None if heard is None else rank_correlations(played[:, :1], heard[:, None])[0],
        "image": measured.image,
        **by_feature,
    }


def read_models(folder: Path) -> pd.DataFrame:
    """The lines of a folder's file; none where there is no file.

    Raises:
        OutputError: it is not such a file, or the folder holds results of timbrekit 0.x.
    """
    _refuse_old(folder)
    path = folder / FILE
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    # of texts none: a drum may be called NA
    empty = {name: "" for name, kind in COLUMNS.items() if kind is float}
    try:
        models = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=empty)
        if list(models) != list(COLUMNS):
            raise ValueError("its columns are others")
        return models.astype(COLUMNS)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} does not hold results of this version of timbrekit ({first_line(error)}). Move it away, or choose "
            "another folder."
        ) from error


def _refuse_old(folder: Path) -> None:
    table = folder / "results.csv"
    played = table.is_file() and table.read_bytes().startswith(b"recording,preset,what,")
    old = [*sorted(folder.glob("results-*-of-*.csv")), *([table] if played else ())]
    if old:
        raise OutputError(
            f"{old[0]} holds results of timbrekit 0.x, which are neither continued nor made into tables any more. "
            "Choose another folder; the tables that lie there stay as they are."
        )


def add_records(folder: Path, records: Sequence[Record]) -> None:
    """Write lines into a folder's file beside those that it holds, whole or not at all.

    Raises:
        OutputError: it cannot be written; as :func:`read_models`.
    """
    lines = [*read_models(folder).to_dict("records"), *records]
    models = pd.DataFrame(lines, columns=list(COLUMNS))
    write_csv(folder / FILE, models.drop_duplicates([*Job._fields, "situation"]))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, encoding="utf-8")
