"""Run an experiment: in this process, in several, or on a Dask cluster. joblib hands out the groups of models."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, parallel_config

from timbrekit.errors import OutputError, TrainingError, first_line
from timbrekit.experiment.drums import Drum
from timbrekit.experiment.measure import Source, measure_played, measure_row
from timbrekit.experiment.plan import Group, Job, Plan, all_groups, load_presets
from timbrekit.experiment.results import Record, add_records, read_models, record_of
from timbrekit.experiment.rows import ROWS
from timbrekit.experiment.table import write_tables
from timbrekit.files import atomic_path
from timbrekit.presets import Preset
from timbrekit.training.fast.train import Variant


def run_experiment(
    plan: Plan,
    folder: str | Path,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda words: None,
) -> Path:
    """Train and measure all models of a plan, and write the tables.

    ``models.csv`` is rewritten whole after every group of models, by this process alone: workers only read the drums.
    Models that it already holds are not run again, so an experiment that was stopped goes on where it was.

    Args:
        plan: the experiment.
        folder: for the results; made where it is missing.
        jobs: processes on this machine.
        scheduler: address of a Dask scheduler, whose workers do the work instead. They need the same timbrekit, and
            the drums under the same paths.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: called with a few words at each step.

    Returns:
        The Markdown table.

    Raises:
        TimbrekitError: the drums, presets, folder or cluster are not as they should be; see there.
    """
    folder, presets = Path(folder), load_presets(plan)
    models = read_models(folder)
    _check_same(folder, plan, models)
    done = models[list(Job._fields)].itertuples(index=False, name=None)
    groups = all_groups(plan, {Job(*job) for job in done})
    add_records(folder, [])  # a folder that cannot be written should say so before the work
    left = sum(len(group.jobs) for group in groups)
    with _engine(jobs, scheduler) as parallel:
        for words in parallel(delayed(_describe)(drum) for drum in {group.drum: None for group in groups}):
            say(words)
        for group, records, files in parallel(
            delayed(_measure)(group, plan, {job.preset: presets[job.preset] for job in group.jobs}, device)
            for group in groups
        ):
            for name, content in files.items():
                with atomic_path(folder / name) as temporary:
                    temporary.write_bytes(content)
            add_records(folder, records)
            left -= len(group.jobs)
            say(f"{group.drum.name}: {group.row.title}, {len(group.jobs)} done, {left} to come")
    table = write_tables(folder)
    say(f"All models are done. The table is {table}")
    return table


def _check_same(folder: Path, plan: Plan, models: pd.DataFrame) -> None:
    same = ["table", "row", "split", "features", "recipe"]
    for table, key, *made in models[same].drop_duplicates().itertuples(index=False, name=None):
        if table != plan.table:
            raise OutputError(f"{folder} holds results of --table {table}. Choose another folder for these.")
        row = ROWS[table].get(key)
        if made != [plan.split, plan.features, plan.fingerprint(row) if row else made[-1]]:
            raise OutputError(
                f"{folder} holds results that were made with other settings (row {key}). Choose another folder, or "
                "repeat the options of the first run."
            )


def _describe(drum: Drum) -> str:
    """Read a drum, so that one of which nothing can be made is known before any model is trained."""
    files = f"{len(drum.files)} files, " if drum.files else ""
    return f"{drum.name}: {files}{len(drum.prepare().hits)} hits found"


def _measure(
    group: Group, plan: Plan, presets: dict[str, Preset], device: str
) -> tuple[Group, list[Record], dict[str, bytes]]:
    """What a worker does: a group's results, and model files by their names."""
    prepared, row = group.drum.prepare(), group.row
    variants = [Variant(presets[job.preset], job.seed) for job in group.jobs]
    records, files = [], {}
    with parallel_config("sequential"):  # what a worker calls is not to hand out work by joblib again
        if plan.table == "paper":
            source = Source(prepared.hits, prepared.recording.samples, plan.world)
            measured = measure_row(source, row, variants, plan.epochs, plan.iterations, device, plan.split)
            found = [([each], b"") for each in measured]
        else:
            settings = plan.settings(row, device) if row.recipe else None
            test = dict(zip(plan.drums, plan.tests, strict=False)).get(str(group.drum.path))
            found = [measure_played(prepared, row, variant, settings, test) for variant in variants]
    for job, (situations, model) in zip(group.jobs, found, strict=True):
        records += [record_of(plan, job, len(prepared.hits), each) for each in situations]
        if model:
            name = f"{job.drum}-{job.preset}-{job.row}-{job.seed}.pt"
            files[name.replace("/", "-").replace(" ", "-")] = model
    return group, records, files


@contextmanager
def _engine(jobs: int, scheduler: str | None) -> Iterator[Parallel]:
    """joblib on the processes or the cluster asked for, giving results as they come."""
    options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
    killed: tuple[type[Exception], ...] = (BrokenProcessPool, CancelledError)
    try:
        if scheduler is None:
            with Parallel(jobs, **options) as parallel:
                yield parallel
            return
        try:
            from dask.distributed import Client, KilledWorker
        except ImportError as error:
            raise TrainingError(
                'A scheduler needs Dask, which is not installed: pip install "timbrekit[cluster]"'
            ) from error
        killed += (KilledWorker,)
        try:
            client = Client(scheduler, set_as_default=False)
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"No Dask scheduler answers at {scheduler} ({first_line(error)}). Start one with: dask scheduler"
            ) from error
        with client, parallel_config("dask", client=client):
            client.wait_for_workers(1)  # as long as a queue takes
            yield Parallel(pre_dispatch="all", **options)  # for workers that come later, too
    except killed as error:
        raise TrainingError(
            f"A process that trained was killed, perhaps for want of memory ({first_line(error)}). What was done "
            "before is kept: the same command goes on from there, with fewer processes if memory is short."
        ) from error
