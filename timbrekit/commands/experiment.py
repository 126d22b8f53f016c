"""``timbrekit experiment``: its options held against one another, then one of its two tables."""

import argparse
from collections.abc import Callable

from timbrekit.commands.output import OK, finish, quiet_or_say
from timbrekit.errors import OutputError

# Options that only one of the tables has, or only a run of either.
PLAYED_ONLY = ("recipes", "models", "no_bounds")
PAPER_ONLY = ("rows", "features", "iterations", "shard", "batch")
RUN_ONLY = ("recordings", "presets", "seeds", "first_seed", "epochs", "out")


def experiment(options: argparse.Namespace) -> int:
    talk = quiet_or_say(options)
    _check_experiment(options)
    if options.merge:
        from timbrekit.experiment import write_tables

        table = write_tables(options.merge)
        talk(f"The tables are {table} and, beside it, results.csv and results.tex.")
        finish(options, {"table": str(table), "results": str(table.with_suffix(".csv"))})
    elif options.table == "played":
        _run_played(options, talk)
    else:
        _run_paper(options, talk)
    return OK


def _check_experiment(options: argparse.Namespace) -> None:
    """Refuse options that would be passed over.

    Raises:
        OutputError: an option of the other table, or none where one is needed.
    """
    if options.merge:
        other, why = (
            (*RUN_ONLY, *PAPER_ONLY, *PLAYED_ONLY),
            "has no meaning with --merge, which only makes tables",
        )
    elif options.table == "played":
        other, why = PAPER_ONLY, "belongs to --table paper"
    else:
        other, why = PLAYED_ONLY, "belongs to --table played"
    for name in other:
        value = getattr(options, name)
        if value is not None and value is not False and value != []:
            given = "A recording" if name == "recordings" else "--" + name.replace("_", "-")
            raise OutputError(f"{given} {why}. Leave it out.")
    if not options.merge and not (options.recordings and options.out):
        raise OutputError("Name the recordings or folders of hits, and a folder for the results with --out.")


def _run_paper(options: argparse.Namespace, talk: Callable[[str], None]) -> None:
    from timbrekit.experiment import Plan, run_shard
    from timbrekit.experiment.plan import parse_shard
    from timbrekit.experiment.results import shard_path
    from timbrekit.experiment.shard import BATCH

    asked = {
        "presets": options.presets and tuple(options.presets.split(",")),
        "rows": options.rows and tuple(options.rows.split(",")),
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "features": options.features,
        "epochs": options.epochs,
        "iterations": options.iterations,
    }
    plan = Plan(
        tuple(map(str, options.recordings)),
        **{name: value for name, value in asked.items() if value is not None},
    )
    shard = parse_shard(options.shard or "1/1")
    table = run_shard(plan, options.out, shard, options.batch or BATCH, options.device, talk)
    results = shard_path(options.out, *shard)
    finish(options, {"results": str(results), "table": str(table) if table else None})


def _run_played(options: argparse.Namespace, talk: Callable[[str], None]) -> None:
    from timbrekit.experiment.played import PRESETS, RECIPES, run_played

    first_seed = options.first_seed or 0
    table = run_played(
        options.recordings,
        options.presets.split(",") if options.presets else PRESETS,
        options.out,
        options.recipes.split(",") if options.recipes else RECIPES,
        range(first_seed, first_seed + (options.seeds or 1)),
        not options.no_bounds,
        options.epochs,
        options.device,
        talk,
        options.models.split(",") if options.models else (None,),
    )
    talk(f"The table is {table}")
    finish(options, {"table": str(table), "results": str(table.with_name("results.csv"))})
