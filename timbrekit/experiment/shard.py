"""Run an experiment, whole or a shard of it: what the command line and cluster schedulers call."""

from collections.abc import Callable
from pathlib import Path

from timbrekit.errors import OutputError
from timbrekit.experiment.measure import Source, measure_row
from timbrekit.experiment.plan import Group, Job, Plan, all_groups, load_presets, shard_of
from timbrekit.experiment.results import (
    COLUMNS,
    job_of,
    read_folder,
    read_records,
    record_of,
    refuse_played,
    shard_path,
    write_csv,
)
from timbrekit.experiment.table import write_tables
from timbrekit.training.fast.train import Variant

BATCH = 8  # models of a row and drum that are trained together and written to disk at once


def run_shard(
    plan: Plan,
    folder: str | Path,
    shard: tuple[int, int] = (1, 1),
    batch: int = BATCH,
    device: str = "auto",
    say: Callable[[str], None] = lambda words: None,
) -> Path | None:
    """Train and measure the models of one shard, and write the tables once every shard is done.

    Each shard keeps its own ``results-NUMBER-of-NUMBER.csv`` in the folder, rewritten whole after every group of
    models. Models that any file of the folder already holds are not run again: a shard that was stopped goes on where
    it was, whether it is cut as before or not. All shards need the same plan and batch.

    Args:
        plan: the experiment.
        folder: for the results; made where it is missing.
        shard: its number, from 1, and how many there are.
        batch: models trained together.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: called with a few words at each step.

    Returns:
        The Markdown table, or None as long as models of other shards are missing.

    Raises:
        TimbrekitError: the drums, presets or folder are not as they should be; see there.
    """
    folder = Path(folder)
    path = shard_path(folder, *shard)
    presets = load_presets(plan)
    groups = all_groups(plan, batch)
    refuse_played(folder)
    fingerprints = {group.row.key: plan.fingerprint(group.row) for group in groups}
    done: set[Job] = set()
    for record in read_folder(folder):
        recipe = fingerprints.get(record["row"], record["recipe"])
        if (record["features"], record["recipe"]) != (plan.features, recipe):
            raise OutputError(
                f"{folder} holds results that were made with other settings (row {record['row']}). Choose another "
                "folder, or repeat the options of the first run."
            )
        done.add(job_of(record))
    records = read_records(path)
    write_csv(path, COLUMNS, records)  # a folder that cannot be written should say so before the work
    sources: dict[str, Source] = {}
    for group in shard_of(groups, *shard):
        jobs = [job for job in group.jobs if job not in done]
        if not jobs:
            continue
        if group.drum.name not in sources:
            sources = {group.drum.name: _prepare(group, plan, say)}  # one at a time: a minute takes 30 MB
        source = sources[group.drum.name]
        say(f"{group.drum.name}: {group.row.title}, {len(jobs)} of {len(presets) * plan.seeds}")
        variants = [Variant(presets[job.preset], job.seed) for job in jobs]
        measured = measure_row(source, group.row, variants, plan.epochs, plan.iterations, device)
        recipe, hits = fingerprints[group.row.key], len(source.take())
        records += [
            record_of(job, plan.features, recipe, hits, each)
            for job, each in zip(jobs, measured, strict=True)
        ]
        write_csv(path, COLUMNS, records)
    finished = {job_of(record) for record in read_folder(folder)}
    missing = [job for group in groups for job in group.jobs if job not in finished]
    if missing:
        say(f"{len(missing)} models of other shards are still to come; then the tables are written.")
        return None
    table = write_tables(folder)
    say(f"All models are done. The table is {table}")
    return table


def _prepare(group: Group, plan: Plan, say: Callable[[str], None]) -> Source:
    prepared = group.drum.prepare()
    files = f"{len(group.drum.files)} files, " if group.drum.files else ""
    say(f"{group.drum.name}: {files}{len(prepared.hits)} hits found")
    return Source(prepared.hits, prepared.recording.samples, plan.world)
