"""The table in Markdown, LaTeX and CSV."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrekit.errors import OutputError
from timbrekit.experiment.results import FOLLOWS, SHARD_FILES, Record, read_folder, refuse_played, write_csv
from timbrekit.experiment.rows import ROWS, Row
from timbrekit.experiment.statistics import PAIRED, Difference, Line, summarise, worse_features
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.files import atomic_path

WORLDS = {
    "published": "the paper's: every frame counts, silence too, and one fixed noise",
    "gated": "the plug-in's: silence does not count, and every hit has noise and phases of its own",
}
NONE = "–"
MANY_COLUMNS = 7  # from which a LaTeX table is shrunk to the width of the page
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"±": r"$\pm$", "–": "--"}


@dataclass(frozen=True)
class Grid:
    """A table of texts with a title."""

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def write_tables(folder: str | Path) -> Path:
    """Write ``results.md``, ``results.csv`` and ``results.tex`` from all shards' files in a folder.

    Returns:
        Path of the Markdown table.

    Raises:
        OutputError: there are no results, they do not belong together, or nothing can be written.
    """
    folder = Path(folder)
    refuse_played(folder)
    records = read_folder(folder)
    _check(folder, records)
    lines, grids, remarks = summarise(records), all_grids(records), all_remarks(records)
    for name, text in (("results.md", markdown(grids, remarks)), ("results.tex", latex(grids, remarks))):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    numbers = [_numbers(line) for line in lines]
    write_csv(folder / "results.csv", list(numbers[0]), numbers)
    return folder / "results.md"


def _check(folder: Path, records: Sequence[Record]) -> None:
    if not records:
        raise OutputError(
            f"There are no results in {folder}: no file {SHARD_FILES} with a line in it. Run the shards first, or "
            "name the folder that they wrote to."
        )
    recipes: dict[str, str] = {}
    for record in records:
        if recipes.setdefault(record["row"], record["recipe"]) != record["recipe"]:
            raise OutputError(
                f"The results in {folder} do not belong together: some of the row {record['row']} were made with "
                "other settings. Keep the shards of one experiment in a folder of their own."
            )
    strange = sorted({record["row"] for record in records} - set(ROWS))
    if strange or len({record["features"] for record in records}) > 1:
        what = f"there is no row {strange[0]}" if strange else "they were measured with different features"
        raise OutputError(f"The results in {folder} make no table: {what}. Move the wrong files away.")


def all_grids(records: Sequence[Record]) -> list[Grid]:
    """The table as the paper has it, its statistics, and means by drum and preset."""
    lines = summarise(records)
    units = [f"{name} ({unit})" for name, unit in zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True)]
    return [
        Grid(
            "Mean absolute error on held-out hits, mean ± standard deviation over hits",
            ("", *units, "mean ratio", "models"),
            tuple((line.row.title, *_errors(line), f"{line.ratio:.3f}", str(line.models)) for line in lines),
        ),
        Grid(
            "Mean ratio against the paper's MLP: paired difference ± standard error, and what is left of MLP's "
            "distance to direct optimisation",
            ("", "difference", "pairs", "distance left"),
            tuple(
                (
                    line.row.title,
                    _difference(line.against_mlp),
                    str(line.against_mlp.pairs) if line.against_mlp else NONE,
                    NONE if line.gap is None else f"{line.gap:.2f}",
                )
                for line in lines
            ),
        ),
        Grid(
            "Rank correlation of what is played",
            ("", "loudness, with the hit's", "loudness, with the onset's", "brightness, with the hit's"),
            tuple((line.row.title, *(f"{rank:.2f}" for rank in line.follows)) for line in lines),
        ),
        *(_means_by(records, column, lines) for column in ("drum", "preset")),
    ]


def _errors(line: Line) -> list[str]:
    return [f"{mean:#.3g} ± {spread:#.2g}" for mean, spread in zip(line.errors, line.spreads, strict=True)]


def _difference(difference: Difference | None, digits: int = 3) -> str:
    if difference is None:
        return NONE
    error = "?" if math.isnan(difference.error) else f"{difference.error:.{digits}f}"
    return f"{difference.mean:+.{digits}f} ± {error}"


def _means_by(records: Sequence[Record], column: str, lines: Sequence[Line]) -> Grid:
    rows = [line.row for line in lines]
    names = sorted({record[column] for record in records})

    def mean(name: str, row: Row) -> str:
        ratios = [r["error_ratio"] for r in records if r[column] == name and r["row"] == row.key]
        return f"{np.mean(ratios):.2f}" if ratios else NONE

    return Grid(
        f"Mean ratio by {column}",
        (column, *(row.title for row in rows)),
        tuple((name, *(mean(name, row) for row in rows)) for name in names),
    )


def all_remarks(records: Sequence[Record]) -> list[str]:
    """What the tables do not say by themselves, a sentence each."""
    drums, presets, seeds = (
        sorted({record[key] for record in records}) for key in ("drum", "preset", "seed")
    )
    hits = {record["drum"]: record["hits"] for record in records}
    remarks = [
        f"Drums: {len(drums)} ({sum(hits.values())} hits); presets: {len(presets)}; seeds: {len(seeds)}. Sound and "
        f"features are {WORLDS[records[0]['features']]}. Mean ratio: error over that of the preset unchanged, mean of "
        "the features and models.",
    ]
    for ours, paper in PAIRED:
        worse = worse_features(records, ours, paper)
        if worse is None:
            continue
        listed = "; ".join(f"{name} ({_difference(each)})" for name, each in worse.items()) or "in no feature"
        remarks.append(f"{ours.title} is worse than {paper.title} by more than a standard error: {listed}.")
    expected = len(drums) * len(presets) * len(seeds)
    short = [line for line in summarise(records) if line.models < expected]
    if short:
        counts = ", ".join(f"{line.row.title} {line.models}" for line in short)
        remarks.append(f"Incomplete: of {expected} models each there are {counts}.")
    return remarks


def markdown(grids: Sequence[Grid], remarks: Sequence[str]) -> str:
    """A Markdown document."""
    parts = ["\n\n".join(remarks)]
    for grid in grids:
        rows = [grid.head, ["---"] * len(grid.head), *grid.lines]
        table = "\n".join("| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in rows)
        parts.append(f"## {grid.title}\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _markdown_cell(text: str) -> str:
    return re.sub(r"([\\|*_`<\[])", r"\\\1", text)


def latex(grids: Sequence[Grid], remarks: Sequence[str]) -> str:
    """Tables to ``\\input``; they need the packages booktabs and graphicx."""
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.", *map(_latex_remark, remarks)]
    for grid in grids:
        wide = len(grid.head) > MANY_COLUMNS
        rows = [" & ".join(map(escape_latex, row)) + r" \\" for row in grid.lines]
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering",
                    rf"\caption{{{escape_latex(grid.title)}.}}",
                    *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
                    rf"\begin{{tabular}}{{l{'r' * (len(grid.head) - 1)}}}",
                    r"\toprule",
                    " & ".join(map(escape_latex, grid.head)) + r" \\",
                    r"\midrule",
                    *rows,
                    r"\bottomrule",
                    r"\end{tabular}" + ("}" if wide else ""),
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def _latex_remark(text: str) -> str:
    return "% " + text


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is; a number's sign becomes a real minus."""
    escaped = "".join(LATEX.get(letter, letter) for letter in text)
    return re.sub(r"^([+-][\d.]+)", r"$\1$", escaped)


def _numbers(line: Line) -> dict[str, object]:
    against = line.against_mlp
    numbers: dict[str, object] = {
        "row": line.row.key,
        "title": line.row.title,
        "models": line.models,
        "mean_ratio": line.ratio,
        "difference_to_mlp": against.mean if against else "",
        "standard_error": against.error if against and against.pairs > 1 else "",
        "pairs": against.pairs if against else 0,
        "distance_left": "" if line.gap is None else line.gap,
    }
    numbers |= dict(zip(FOLLOWS, line.follows, strict=True))
    numbers |= {f"error {n}": v for n, v in zip(TIMBRE_FEATURES, map(float, line.errors), strict=True)}
    return numbers | {
        f"spread {n}": v for n, v in zip(TIMBRE_FEATURES, map(float, line.spreads), strict=True)
    }
