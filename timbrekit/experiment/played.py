"""What comes out of the plug-in: drums x presets x recipes x sizes x seeds, trained, played and measured by the same
code. docs/lab_notes/as_played.md was made with it."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbrekit.errors import OutputError, TrainingError
from timbrekit.experiment.drums import find_drums
from timbrekit.experiment.results import write_csv
from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import write_model
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.files import atomic_path
from timbrekit.mapping import MODEL_NAMES, ModelName
from timbrekit.plugin.as_played import AsPlayed, error_ratio, measure_as_played, rank_correlations
from timbrekit.plugin.primer import make_primer
from timbrekit.presets import Preset, load_preset
from timbrekit.results.report import measure_held_out
from timbrekit.synth import find_synth
from timbrekit.training.bounds import optimize_directly, predict_from_onsets
from timbrekit.training.fast.train import train
from timbrekit.training.published import as_exported, published_preset, published_windows
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take
from timbrekit.workflow import Prepared

BOUNDS = ("direct", "onset information")
RECIPES = ("timbrekit", "published")
PRESETS = ("snare-1", "snare-2", "snare-3")


@dataclass(frozen=True)
class Row:
    """One measurement: a recording, a preset, a recipe or bound, a situation."""

    recording: str
    preset: str
    what: str  # a recipe's name, with that of its model where it is not the default one; or a bound's
    seed: int
    situation: str
    error_ratio: float
    first_8_error_ratio: float | None
    ratios: tuple[float, ...]  # (7,)
    rank_correlations: tuple[float, ...]  # (7,)

    def record(self) -> dict[str, Any]:
        """A flat record for a CSV file."""
        flat = {
            name: getattr(self, name)
            for name in (
                "recording",
                "preset",
                "what",
                "seed",
                "situation",
                "error_ratio",
                "first_8_error_ratio",
            )
        }
        flat |= {f"ratio {n}": r for n, r in zip(TIMBRE_FEATURES, self.ratios, strict=True)}
        flat |= {f"rank {n}": r for n, r in zip(TIMBRE_FEATURES, self.rank_correlations, strict=True)}
        return flat


def run_played(
    recordings: Sequence[str | Path],
    presets: Sequence[str],
    out: str | Path,
    recipes: Sequence[str] = RECIPES,
    seeds: Sequence[int] = (0,),
    bounds: bool = True,
    epochs: int | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda words: None,
    models: Sequence[ModelName | None] = (None,),
) -> Path:
    """Measure every combination and write ``results.csv`` and ``results.md`` into a folder.

    The CSV is rewritten whole after every model; combinations that it already holds are not run again, so that an
    experiment that was stopped goes on where it was.

    Args:
        recordings: recordings, and folders of single hits.
        presets: names or files.
        out: the folder.
        recipes: of ``RECIPES``.
        seeds: of training.
        bounds: also compute ``BOUNDS``.
        epochs: of training; as each recipe has it by default.
        device: see ``timbrekit.training.settings.make_settings``.
        say: called with a few words before each model.
        models: sizes of the mapping; None for that of each recipe.

    Returns:
        Path of the Markdown table.

    Raises:
        TimbrekitError: as ``find_drums``, ``Drum.prepare`` and ``training.fast.train``; no such recipe, model or
            preset; the folder holds other results.
    """
    named = [model for model in models if model]
    for kind, names, known in (("recipe", recipes, RECIPES), ("model", named, MODEL_NAMES)):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise TrainingError(f"There is no {kind} {unknown[0]!r}. The {kind}s are {', '.join(known)}.")
    out = Path(out)
    rows = _read(out / "results.csv")
    done = {(r["recording"], r["preset"], r["what"], str(r["seed"])) for r in rows}
    for drum in find_drums(recordings):
        prepared = drum.prepare()
        take = make_take(prepared.hits)
        for name in presets:
            preset = load_preset(name)
            all_settings = [
                make_settings(recipe, model, epochs, seed, device)
                for recipe, model, seed in product(recipes, models, seeds)
            ]
            jobs: list[tuple[str, Settings | None]] = [
                (_label(settings), settings) for settings in all_settings
            ]
            jobs += [(bound, None) for bound in BOUNDS] if bounds else []
            for what, settings in jobs:
                seed = settings.seed if settings else 0
                if (drum.name, preset.name, what, str(seed)) in done:
                    continue
                say(f"{drum.name}, {preset.name}: {what}, seed {seed}")
                if settings is None:
                    found = [_bound(drum.name, preset, what, take)]
                else:
                    found = _model(drum.name, preset, prepared, take, settings, out)
                rows += [row.record() for row in found]
                _write(out / "results.csv", rows)
    with atomic_path(out / "results.md") as temporary:
        temporary.write_text(markdown_table(rows), encoding="utf-8")
    return out / "results.md"


def _label(settings: Settings) -> str:
    usual = make_settings(settings.recipe, device="cpu").model
    return settings.recipe if settings.model == usual else f"{settings.recipe} {settings.model}"


def _model(
    name: str, preset: Preset, prepared: Prepared, take: Take, settings: Settings, out: Path
) -> list[Row]:
    samples, hits = prepared.recording.samples, prepared.hits
    source, sound = take, preset
    if settings.recipe == "published":
        source, sound = published_windows(hits, samples), published_preset(preset)
    trained = train(source, sound, settings)
    if trained.interrupted:  # half-trained models are not for a table
        raise KeyboardInterrupt
    if settings.recipe == "published":
        trained = as_exported(trained)
    held_out = measure_held_out(take, trained, preset)
    metadata = build_metadata(
        trained.mapping, preset, hits.sample_rate, hits.settings, take.minimum, take.maximum
    )
    file_name = f"{name}-{preset.name}-{_label(settings)}-{settings.seed}.pt".replace("/", "-").replace(
        " ", "-"
    )
    model, synth = write_model(trained.mapping, metadata, out / file_name).module, find_synth(preset.synth)
    cold = measure_as_played(model, samples, take, synth=synth)
    primer = make_primer(samples, hits.sample_rate, hits.settings)
    played = {
        "second pass": measure_as_played(
            model, samples, take, initial_ranges=cold.rehearsal.ranges, synth=synth, static=cold.static
        ),
        "after primer": measure_as_played(model, samples, take, primer=primer.samples, synth=synth),
        "cold": cold,
    }
    key = (name, preset.name, _label(settings), settings.seed)
    rows = [_row(key, "held out", held_out.played, held_out.intended, None)]
    return rows + [_played_row(key, situation, measured) for situation, measured in played.items()]


def _bound(name: str, preset: Preset, what: str, take: Take) -> Row:
    reached = (
        optimize_directly(take, preset, np.arange(len(take)))
        if what == "direct"
        else predict_from_onsets(take)
    )
    return _row((name, preset.name, what, 0), "bound", reached, take.intended.numpy(), None)


def _played_row(key: tuple[str, str, str, int], situation: str, measured: AsPlayed) -> Row:
    return _row(key, situation, measured.played, measured.intended, measured.first_hits_error_ratio)


def _row(
    key: tuple[str, str, str, int], situation: str, played: NDArray, intended: NDArray, first: float | None
) -> Row:
    ratios = error_ratio(played, intended)
    correlations = rank_correlations(played, intended)
    return Row(
        *key,
        situation,
        float(ratios.mean()),
        first,
        tuple(map(float, ratios)),
        tuple(map(float, correlations)),
    )


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """One line per recording, preset, recipe or bound and situation; means over presets below."""
    short = ["loud. tr.", "loud. su.", "centr. tr.", "centr. su.", "flat. tr.", "flat. su.", "temp. c."]
    lines = [
        "| recording | preset | what | situation | mean ratio | first 8 | ratio: "
        + ", ".join(short)
        + " | rank corr.: same |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(_line(row["recording"], row["preset"], row["what"], row["situation"], [row]))
    lines += ["", "Means over presets and seeds:", "", *lines[:2]]
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["recording"], row["what"], row["situation"]), []).append(row)
    for (recording, what, situation), members in groups.items():
        lines.append(_line(recording, f"mean of {len(members)}", what, situation, members))
    return "\n".join(lines) + "\n"


def _line(recording: str, preset: str, what: str, situation: str, rows: Sequence[dict[str, Any]]) -> str:
    def mean(key: str) -> float:
        return float(np.mean([float(row[key]) for row in rows]))

    first = "" if rows[0]["first_8_error_ratio"] in (None, "") else f"{mean('first_8_error_ratio'):.2f}"
    ratios = " ".join(f"{mean(f'ratio {name}'):.2f}" for name in TIMBRE_FEATURES)
    ranks = " ".join(f"{mean(f'rank {name}'):.2f}" for name in TIMBRE_FEATURES)
    cells = recording, preset, what, situation, f"{mean('error_ratio'):.3f}", first, ratios, ranks
    return f"| {' | '.join(map(str, cells))} |"


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "situation" not in (reader.fieldnames or ()):
            raise OutputError(f"{path} holds another experiment's results. Choose another folder for these.")
        return list(reader)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_csv(path, list(rows[0]), rows)
