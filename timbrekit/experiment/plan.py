"""What an experiment consists of: plain values, and the groups of models that they ask for."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import NamedTuple

from timbrekit.errors import PresetError
from timbrekit.experiment.drums import Drum, find_drums
from timbrekit.experiment.rows import DIRECT, ROWS, Row, TableName, World, WorldName, find_rows, played_rows
from timbrekit.presets import Preset, load_preset
from timbrekit.training.published import SEARCH
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings, SplitName

PAPER_PRESETS = ("snare-1", "snare-2", "snare-3", "open-snare", "noisy-snare")
# What ``Plan`` has otherwise for what the plug-in plays of whole takes.
PLAYED = {
    "table": "played",
    "presets": PAPER_PRESETS[:3],
    "rows": played_rows(),
    "features": "gated",
    "batch": 1,
    "split": "contiguous",
}


@dataclass(frozen=True)
class Plan:
    """All models of a table: every row of it for every drum, preset and seed. Plain values: travels to any process.

    ``Plan(drums)`` is the paper's table, ``Plan(drums, **PLAYED)`` that of what the plug-in plays.
    """

    drums: tuple[str, ...]  # recordings and folders of hits
    table: TableName = "paper"
    # other recordings, in the drums' order, for what is unseen; () takes the drums' ends
    tests: tuple[str, ...] = ()
    presets: tuple[str, ...] = PAPER_PRESETS
    rows: tuple[str, ...] = tuple(ROWS["paper"])
    seeds: int = 1  # how many; a seed decides the first weights and which hits are held out
    first_seed: int = 0  # others than those that a setting was chosen by tell whether it holds
    split: SplitName = "random"  # how hits are held out: as published
    features: WorldName = "published"  # see ``timbrekit.experiment.rows.World``
    epochs: int | None = None  # of training; None: as each recipe has it
    iterations: int = SEARCH["iterations"]  # of the paper's direct search
    batch: int = 8  # models of a row and drum that are trained together and written to disk at once

    @property
    def world(self) -> World:
        return World(self.features)

    def settings(self, row: Row, device: str) -> Settings:
        """How a row's models are trained. As played, a recipe is left as it comes to the plug-in."""
        if self.table == "played":
            settings = make_settings(row.recipe, row.model, self.epochs, device=device)
            return replace(settings, split="whole" if self.tests else self.split)
        return self.world.settings(row, self.epochs, device, self.split)

    def fingerprint(self, row: Row) -> str:
        """Equal for models of one row that may stand in one table: the same recipe in the same world."""
        recipe = repr(replace(self.settings(row, "cpu"), seed=0)) if row.recipe else ""
        if row == DIRECT and self.table == "paper":
            recipe = repr({**SEARCH, "iterations": self.iterations})
        words = f"{self.table} {self.split} {self.features} {recipe} {self.tests or ''}".rstrip()
        return hashlib.sha256(words.encode()).hexdigest()[:12]


class Job(NamedTuple):
    """One model, or what stands in for one."""

    drum: str
    row: str
    preset: str
    seed: int


class Group(NamedTuple):
    """Jobs that are done together: of one row and drum."""

    drum: Drum
    row: Row
    jobs: list[Job]


def load_presets(plan: Plan) -> dict[str, Preset]:
    """The presets by the names that results are kept by.

    Raises:
        PresetError: one is not there, or two are called alike.
    """
    presets: dict[str, Preset] = {}
    for preset in map(load_preset, plan.presets):
        if presets.setdefault(preset.name, preset) != preset:
            raise PresetError(
                f"Two presets are called {preset.name}. Rename one of the files: results are kept by name."
            )
    return presets


def all_groups(plan: Plan, done: Container[Job] = ()) -> list[Group]:
    """The jobs of an experiment that are not done yet, at most ``plan.batch`` together.

    Raises:
        TimbrekitError: a drum, preset or row is not there.
    """
    names, groups = list(load_presets(plan)), []
    for drum in find_drums(plan.drums):
        for row in find_rows(plan.rows, plan.table):
            seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
            if plan.table == "played" and row.recipe is None:
                seeds = range(1)  # bounds and yardsticks: no seed decides anything
            jobs = [Job(drum.name, row.key, name, seed) for name in names for seed in seeds]
            jobs = [job for job in jobs if job not in done]
            groups += [Group(drum, row, jobs[i : i + plan.batch]) for i in range(0, len(jobs), plan.batch)]
    return groups
