"""``timbrekit experiment``: its options, held against one another, then the plan that they ask for."""

import argparse
from pathlib import Path
from typing import Any

from timbrekit.commands import arguments
from timbrekit.commands.arguments import whole
from timbrekit.commands.output import OK, finish, quiet_or_say
from timbrekit.errors import OutputError

# Options that only one of the tables has, or only a run of either.
PLAYED_ONLY = ("recipes", "models", "no_bounds", "test")
PAPER_ONLY = ("rows", "features", "iterations", "batch")
RUN_ONLY = ("recordings", "presets", "seeds", "first_seed", "epochs", "out", "jobs", "scheduler")


def add_command(choices: Any) -> None:
    """Add ``experiment`` to what ``ArgumentParser.add_subparsers`` returned."""
    parser = arguments.add_command(
        choices,
        "experiment",
        "experiment.experiment",
        "repeat the paper's table, or compare what the plug-in plays",
    )
    parser.add_argument(
        "recordings", type=Path, nargs="*", help="recordings, and folders with a folder of hits for each drum"
    )
    parser.add_argument(
        "--table",
        choices=("paper", "played"),
        default="paper",
        help="paper: errors on held-out hits, all sizes (default); played: errors of whole takes in the plug-in",
    )
    parser.add_argument("--out", type=Path, help="folder; an experiment in it is continued")
    parser.add_argument(
        "--presets",
        help="names, separated by commas (default: the paper's five, or snare-1 to snare-3 as played)",
    )
    parser.add_argument("--seeds", type=whole(1), help="how many of each (default: 1)")
    parser.add_argument(
        "--first-seed", type=whole(0), help="number of the first one (default: 0); each holds out other hits"
    )
    parser.add_argument("--epochs", type=whole(1), help="default: as each recipe has it")
    arguments.add_device(parser)
    parser.add_argument("--jobs", type=whole(1), metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster that does the work, such as tcp://head:8786"
    )
    parser.add_argument("--shard", help=argparse.SUPPRESS)  # of 0.x
    parser.add_argument(
        "--merge", type=Path, metavar="FOLDER", help="only make the tables again of the models that are there"
    )
    paper = parser.add_argument_group("the paper's table")
    paper.add_argument("--rows", help="of the table, separated by commas (default: all)")
    paper.add_argument(
        "--features",
        choices=("published", "gated"),
        help="published: the paper's world (default); gated: the plug-in's, in which silence does not count",
    )
    paper.add_argument(
        "--iterations", type=whole(0), help="of direct optimisation (default: 1000, as published)"
    )
    paper.add_argument("--batch", type=whole(1), help="models trained together (default: 8)")
    played = parser.add_argument_group("as played")
    played.add_argument(
        "--test",
        type=Path,
        nargs="+",
        metavar="RECORDING",
        help="other playing on the same drums, one for each recording, for what is unseen (default: the takes' ends)",
    )
    played.add_argument("--recipes", help="names, separated by commas (default: timbrekit,published)")
    played.add_argument("--models", help="names, separated by commas (default: each recipe's own)")
    played.add_argument("--no-bounds", action="store_true", help="leave out what preset and onsets allow")


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
