"""The models' results on disk: CSV files, one line a model, each shard its own.

Columns: ``drum, row, preset, seed`` say which model; ``features`` the world and ``recipe`` a fingerprint of how it was
trained and measured; ``epochs`` of training (iterations of the direct search), ``seconds`` of computing, ``hits`` of
the drum, ``test_hits`` of them held out. ``error_ratio`` is the mean of the seven features' ratios to the preset left
alone. ``follows_loudness, follows_onset, follows_brightness`` are Spearman correlations over the held-out hits (see
``Measured.follows``). Then for each timbre feature ``error``, the mean absolute error in its unit, ``spread``, the
standard deviation over hits, and ``unchanged``, the error of the preset left alone on the same hits.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.errors import OutputError
from timbrekit.experiment.measure import Measured
from timbrekit.experiment.plan import Job
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.files import atomic_path

SHARD_FILES = "results-*-of-*.csv"
FOLLOWS = ("follows_loudness", "follows_onset", "follows_brightness")
TEXTS = ("drum", "row", "preset", "features", "recipe")
WHOLE = ("seed", "epochs", "hits", "test_hits")
COLUMNS = (
    *("drum", "row", "preset", "seed", "features", "recipe", "epochs", "seconds", "hits", "test_hits"),
    "error_ratio",
    *FOLLOWS,
    *(f"{kind} {name}" for kind in ("error", "spread", "unchanged") for name in TIMBRE_FEATURES),
)
Record = dict[str, Any]  # a line of a file: texts, whole numbers and numbers by ``COLUMNS``


def shard_path(folder: Path, number: int, of: int) -> Path:
    return folder / f"results-{number}-of-{of}.csv"


def job_of(record: Record) -> Job:
    return Job(record["drum"], record["row"], record["preset"], record["seed"])


def record_of(job: Job, features: str, recipe: str, hits: int, measured: Measured) -> Record:
    """A line of the file."""
    numbers = np.stack([measured.errors.mean(0), measured.errors.std(0), np.abs(measured.intended).mean(0)])
    values = (
        *(job.drum, job.row, job.preset, job.seed, features, recipe),
        *(measured.epochs, round(measured.seconds, 3), hits, measured.test_hits),
        measured.error_ratio,
        *measured.follows,
        *map(float, numbers.flatten()),
    )
    return dict(zip(COLUMNS, values, strict=True))


def read_records(path: Path) -> list[Record]:
    """The lines of a file; none where there is no file.

    Raises:
        OutputError: it is not such a file.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("its columns are others")
            return [_typed(line) for line in reader]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise OutputError(
            f"{path} does not hold results of this version of timbrekit ({error}). Move it away, or choose another "
            "folder."
        ) from error


def _typed(line: dict[str, str]) -> Record:
    return {
        name: text if name in TEXTS else int(text) if name in WHOLE else float(text)
        for name, text in line.items()
    }


def refuse_played(folder: Path) -> None:
    """See that no other experiment's results would be overwritten.

    Raises:
        OutputError: the folder holds a table of what is played.
    """
    path = folder / "results.csv"
    if path.exists() and "situation" in path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]:
        raise OutputError(
            f"{path} holds results of --table played. Choose another folder for the paper's table."
        )


def read_folder(folder: Path) -> list[Record]:
    """The lines of all shards' files, each model once.

    Raises:
        OutputError: as :func:`read_records`.
    """
    records: dict[Job, Record] = {}
    for path in sorted(folder.glob(SHARD_FILES)):
        for record in read_records(path):
            records.setdefault(job_of(record), record)
    return list(records.values())


def write_csv(path: Path, columns: Sequence[str], records: Iterable[Record]) -> None:
    """Write lines, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)
