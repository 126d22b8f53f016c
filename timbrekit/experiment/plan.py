"""What an experiment consists of, and how it is cut into shards for several processes or machines."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from timbrekit.errors import PresetError, TrainingError
from timbrekit.experiment.drums import Drum, find_drums
from timbrekit.experiment.rows import DIRECT, ROWS, UNCHANGED, Row, World, WorldName, find_rows
from timbrekit.presets import Preset, load_preset
from timbrekit.training.published import SEARCH

PAPER_PRESETS = ("snare-1", "snare-2", "snare-3", "open-snare", "noisy-snare")


@dataclass(frozen=True)
class Plan:
    """All models of a table: every row of it for every drum, preset and seed. Plain values: travels to any process."""

    drums: tuple[str, ...]  # recordings and folders of hits
    presets: tuple[str, ...] = PAPER_PRESETS
    seeds: int = 1  # how many; a seed decides the first weights and which hits are held out
    first_seed: int = 0  # others than those that a setting was chosen by tell whether it holds
    rows: tuple[str, ...] = tuple(ROWS)
    features: WorldName = "published"  # see ``timbrekit.experiment.rows.World``
    epochs: int | None = None  # of training; None: as each recipe has it
    iterations: int = SEARCH["iterations"]  # of the direct search

    @property
    def world(self) -> World:
        return World(self.features)

    def fingerprint(self, row: Row) -> str:
        """Equal for models of one row that may stand in one table: the same recipe in the same world."""
        if row == UNCHANGED:
            recipe = ""
        elif row == DIRECT:
            recipe = repr({**SEARCH, "iterations": self.iterations})
        else:
            recipe = repr(replace(self.world.settings(row, self.epochs, "cpu"), seed=0))
        return hashlib.sha256(f"{self.features} {recipe}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Job:
    """One model, or what stands in for one."""

    drum: str
    row: str
    preset: str
    seed: int


@dataclass(frozen=True)
class Group:
    """Jobs that are done together: one row of one drum."""

    drum: Drum
    row: Row
    jobs: tuple[Job, ...]

    @property
    def mark(self) -> str:
        """The same wherever the group is planned, and in no order that rows or drums have."""
        return hashlib.sha256(repr((self.drum.name, self.row.key, self.jobs)).encode()).hexdigest()


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


def all_groups(plan: Plan, batch: int) -> list[Group]:
    """Every job of an experiment, at most ``batch`` of a row and drum together.

    Raises:
        TimbrekitError: a drum, preset or row is not there.
    """
    names = list(load_presets(plan))
    groups = []
    for drum in find_drums(plan.drums):
        for row in find_rows(plan.rows):
            seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
            jobs = [Job(drum.name, row.key, name, seed) for name in names for seed in seeds]
            groups += [Group(drum, row, tuple(jobs[i : i + batch])) for i in range(0, len(jobs), batch)]
    return groups


def shard_of(groups: Sequence[Group], number: int, of: int) -> list[Group]:
    """The groups of shard ``number`` of ``of``, those of a drum together.

    Long and short rows are shuffled among the shards, always in the same way.
    """
    shuffled = sorted(groups, key=lambda group: group.mark)
    return sorted(shuffled[number - 1 :: of], key=lambda group: (group.drum.name, group.mark))


def parse_shard(text: str) -> tuple[int, int]:
    """``"2/8"`` as (2, 8).

    Raises:
        TrainingError: it is not of that form, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise TrainingError(
            f"{text!r} is not a shard. Give its number and how many there are: 1/8 to 8/8 for eight."
        )
    return number, of
