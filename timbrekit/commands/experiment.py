"""``timbrekit experiment``: its options held against one another, then the plan that they ask for."""

import argparse
from typing import Any

from timbrekit.commands.output import OK, finish, quiet_or_say
from timbrekit.errors import OutputError

# Options that only one of the tables has, or only a run of either.
PLAYED_ONLY = ("recipes", "models", "no_bounds", "test")
PAPER_ONLY = ("rows", "features", "iterations", "batch")
RUN_ONLY = ("recordings", "presets", "seeds", "first_seed", "epochs", "out", "jobs", "scheduler")


def experiment(options: argparse.Namespace) -> int:
    talk = quiet_or_say(options)
    _check_experiment(options)
    from timbrekit.experiment import run_experiment, write_tables

    if options.merge:
        table = write_tables(options.merge)
        talk(f"The tables are {table} and, beside it, results.csv and results.tex.")
        results = table.with_suffix(".csv")
    else:
        plan = _plan(options)
        jobs = options.jobs or 1
        table = run_experiment(plan, options.out, jobs, options.scheduler, options.device, talk)
        results = table.with_name("models.csv")
    finish(options, {"results": str(results), "table": str(table)})
    return OK


def _check_experiment(options: argparse.Namespace) -> None:
    """Refuse options that would be passed over.

    Raises:
        OutputError: an option of the other table, or none where one is needed.
    """
    if options.shard:
        raise OutputError(
            "There are no shards any more: --jobs N takes N processes of this machine, --scheduler ADDRESS a Dask "
            "cluster. Leave --shard out."
        )
    if options.jobs and options.scheduler:
        raise OutputError("--jobs has no meaning with --scheduler, whose workers do the work. Leave one out.")
    if options.merge:
        other = (*RUN_ONLY, *PAPER_ONLY, *PLAYED_ONLY)
        why = "has no meaning with --merge, which only makes tables"
    elif options.table == "played":
        other, why = PAPER_ONLY, "belongs to --table paper"
    else:
        other, why = PLAYED_ONLY, "belongs to --table played"
    for name in other:
        value = getattr(options, name)
        if value is not None and value is not False and value != []:
            given = "A recording" if name == "recordings" else "--" + name.replace("_", "-")
            raise OutputError(f"{given} {why}. Leave it out.")
    if options.test and len(options.test) != len(options.recordings):
        raise OutputError(
            f"There are {len(options.recordings)} recordings and {len(options.test)} for --test: name one for each, in "
            "the same order."
        )
    folders = [path for path in options.recordings if path.is_dir()] if options.test else []
    if folders:
        raise OutputError(
            f"{folders[0]} is a folder, which may hold many drums; --test needs one recording for each. Leave it out."
        )
    if not options.merge and not (options.recordings and options.out):
        raise OutputError("Name the recordings or folders of hits, and a folder for the results with --out.")


def _plan(options: argparse.Namespace) -> Any:
    from timbrekit.experiment import PLAYED, Plan
    from timbrekit.experiment.rows import RECIPES, played_rows

    def names(text: str | None) -> tuple[str, ...] | None:
        return tuple(text.split(",")) if text else None

    asked = {"presets": names(options.presets), "rows": names(options.rows)}
    for name in ("seeds", "first_seed", "features", "epochs", "iterations", "batch"):
        asked[name] = getattr(options, name)
    defaults: dict[str, Any] = {}
    if options.table == "played":
        recipes, models = names(options.recipes) or RECIPES, names(options.models) or ()
        defaults = {**PLAYED, "rows": played_rows(recipes, models, not options.no_bounds)}
    if options.test:
        asked["tests"] = tuple(map(str, options.test))
    given = {name: value for name, value in asked.items() if value is not None}
    return Plan(tuple(map(str, options.recordings)), **{**defaults, **given})
