"""The tables in Markdown, LaTeX and CSV."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from timbrekit.errors import OutputError
from timbrekit.experiment.results import FILE, read_models, write_csv
from timbrekit.experiment.rows import ROWS
from timbrekit.experiment.statistics import FOLLOWS, PAIRED, summarise, worse_features
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES
from timbrekit.files import atomic_path

WORLDS = {
    "published": "the paper's: every frame counts, silence too, and one fixed noise",
    "gated": "the plug-in's: silence does not count, and every hit has noise and phases of its own",
}
NONE = "–"
SHORT = "loud. tr., loud. su., centr. tr., centr. su., flat. tr., flat. su., temp. c."  # TIMBRE_FEATURES
MANY_COLUMNS = 7  # from which a LaTeX table is shrunk to the width of the page
Grid = tuple[str, pd.DataFrame]  # a table of texts, with its title


def write_tables(folder: str | Path) -> Path:
    """Write ``results.md``, ``results.csv`` and ``results.tex`` of the models that are in a folder.

    Returns:
        Path of the Markdown table.

    Raises:
        OutputError: there are no results, they do not belong together, or nothing can be written.
    """
    folder = Path(folder)
    models = read_models(folder)
    _check(folder, models)
    models = models.sort_values(["drum", "preset", "seed"], kind="stable")  # whichever process was done first
    if models["table"].iloc[0] == "played":
        lines, grids, remarks = _played_means(models, ["drum", "row", "situation"]), played_grids(models), []
    else:
        lines = summarise(models)
        grids, remarks = paper_grids(models, lines), paper_remarks(models, lines)
    for name, text in (("results.md", markdown(grids, remarks)), ("results.tex", latex(grids, remarks))):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_csv(folder / "results.csv", lines)
    return folder / "results.md"


def _check(folder: Path, models: pd.DataFrame) -> None:
    if models.empty:
        raise OutputError(
            f"There are no results in {folder}: no file {FILE} with a line in it. Run the experiment first, or name "
            "the folder that it wrote to."
        )
    recipes = models.groupby("row")["recipe"].nunique()
    if recipes.max() > 1 or models[["table", "features", "split"]].nunique().max() > 1:
        raise OutputError(
            f"The results in {folder} do not belong together: some of the row {recipes.idxmax()} were made with other "
            "settings. Keep each experiment in a folder of its own."
        )
    strange = sorted(set(models["row"]) - set(ROWS.get(models["table"].iloc[0], ())))
    if strange:
        raise OutputError(f"The results in {folder} make no table: there is no row {strange[0]}.")


def paper_grids(models: pd.DataFrame, lines: pd.DataFrame) -> list[Grid]:
    """The table as the paper has it, its statistics, and means by drum and preset."""
    errors, against, ranks = (pd.DataFrame({"": lines["title"]}) for _ in range(3))
    for name, unit in zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True):
        both = zip(lines[f"error {name}"], lines[f"spread {name}"], strict=True)
        errors[f"{name} ({unit})"] = [f"{mean:#.3g} ± {spread:#.2g}" for mean, spread in both]
    errors["mean ratio"] = lines["mean_ratio"].map("{:.3f}".format)
    errors["models"] = lines["models"].astype(str)
    against["difference"] = list(map(_difference, lines["difference_to_mlp"], lines["standard_error"]))
    against["pairs"] = [str(pairs or NONE) for pairs in lines["pairs"]]
    against["distance left"] = lines["distance_left"].map(_number)
    heads = "loudness, with the hit's", "loudness, with the onset's", "brightness, with the hit's"
    for head, column in zip(heads, FOLLOWS, strict=True):
        ranks[head] = lines[column].map(_number)
    grids = [
        ("Mean absolute error on held-out hits, mean ± standard deviation over hits", errors),
        (
            "Mean ratio against the paper's MLP: paired difference ± standard error, and what is left of MLP's "
            "distance to direct optimisation",
            against,
        ),
        ("Rank correlation of what is played", ranks),
    ]
    for column in ("drum", "preset"):
        means = models.pivot_table(index=column, columns="row", values="error_ratio", aggfunc="mean")
        means = means[lines["row"]].set_axis(lines["title"], axis=1).map(_number)
        grids.append((f"Mean ratio by {column}", means.reset_index()))
    return grids


def played_grids(models: pd.DataFrame) -> list[Grid]:
    """Means over presets and seeds, and every model in every situation."""
    grids = []
    for title, keys in (
        ("Means over presets and seeds", ["drum", "row", "situation"]),
        ("Every model", ["drum", "preset", "row", "seed", "situation"]),
    ):
        means = _played_means(models, keys)
        grid = means[keys].astype(str).rename(columns={"drum": "recording", "row": "what"})
        grid["mean ratio"] = means["error_ratio"].map("{:.3f}".format)
        grid["first 8"] = means["first_8_error_ratio"].map(_number)
        grid["image"] = means["image"].map(_number)
        for head, kind in ((f"ratio: {SHORT}", "ratio"), ("rank corr.: same", "rank")):
            columns = means[[f"{kind} {name}" for name in TIMBRE_FEATURES]]
            grid[head] = [" ".join(map(_number, values)) for values in columns.to_numpy()]
        grids.append((title, grid))
    return grids


def _played_means(models: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    kinds = [f"{kind} {name}" for kind in ("ratio", "rank") for name in TIMBRE_FEATURES]
    alike = models.groupby(keys, sort=False)
    means = alike[["error_ratio", "first_8_error_ratio", "image", *kinds]].mean()
    means.insert(0, "models", alike.size())
    return means.reset_index()


def _number(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}"


def _difference(mean: float, error: float) -> str:
    if pd.isna(mean):
        return NONE
    return f"{mean:+.3f} ± {'?' if pd.isna(error) else f'{error:.3f}'}"


def paper_remarks(models: pd.DataFrame, lines: pd.DataFrame) -> list[str]:
    """What the paper's tables do not say by themselves, a sentence each."""
    drums, presets, seeds = models[["drum", "preset", "seed"]].nunique()
    hits = models.groupby("drum")["hits"].first().sum()
    remarks = [
        f"Drums: {drums} ({hits:.0f} hits); presets: {presets}; seeds: {seeds}. Sound and features are "
        f"{WORLDS[models['features'].iloc[0]]}. Mean ratio: error over that of the preset unchanged, mean of the "
        "features and models."
    ]
    for ours, paper in PAIRED:
        worse = worse_features(models, ours, paper)
        if worse is None:
            continue
        listed = "; ".join(f"{name} ({_difference(each.mean(), each.sem())})" for name, each in worse.items())
        remarks.append(
            f"{ours.title} is worse than {paper.title} by more than a standard error: {listed or 'in no feature'}."
        )
    expected = drums * presets * seeds
    short = lines[lines["models"] < expected]
    if len(short):
        counts = ", ".join(f"{line.title} {line.models}" for line in short.itertuples())
        remarks.append(f"Incomplete: of {expected} models each there are {counts}.")
    return remarks


def markdown(grids: Sequence[Grid], remarks: Sequence[str]) -> str:
    """A Markdown document."""
    parts = list(remarks)
    for title, grid in grids:
        rows = [list(grid), *grid.to_numpy().tolist()]
        head, *lines = ("| " + " | ".join(map(_markdown_cell, row)) + " |" for row in rows)
        parts += [f"## {title}", "\n".join([head, "| --- " * len(grid.columns) + "|", *lines])]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(text: str) -> str:
    return re.sub(r"([\\|*_`<\[])", r"\\\1", text)


def latex(grids: Sequence[Grid], remarks: Sequence[str]) -> str:
    """Tables to ``\\input``; they need the packages booktabs and graphicx."""
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.", *(f"% {each}" for each in remarks)]
    for title, grid in grids:
        width = len(grid.columns)
        text = grid.to_latex(
            index=False, escape=True, column_format="l" + "r" * (width - 1), caption=f"{title}."
        )
        if width > MANY_COLUMNS:
            text = text.replace("\\begin{tabular}", "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}")
            text = text.replace("\\end{tabular}", "\\end{tabular}}")
        text = text.replace("\\begin{table}", "\\begin{table}\n\\centering")
        # a number's sign becomes a real minus
        parts.append(re.sub(r"(?<=& )([+-][\d.]+)", r"$\1$", text).replace("±", r"$\pm$").replace(NONE, "--"))
    return "\n\n".join(parts)
