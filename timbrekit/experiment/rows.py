"""The rows of both tables, and the world that the paper's are compared in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from timbrekit.errors import TrainingError
from timbrekit.features import ONSET_WINDOW, TimbreFeatures
from timbrekit.mapping import MODEL_NAMES, ModelName
from timbrekit.training.names import DEFAULT_MODELS
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings, SplitName

LONG_WINDOW = 2048  # samples; more than the plug-in has heard when it plays
RECIPES = ("timbrekit", "published")
WorldName = Literal["published", "gated"]
TableName = Literal["paper", "played"]


@dataclass(frozen=True)
class Row:
    """A way of playing the hits that a table compares."""

    key: str  # as options and CSV files name it
    title: str
    recipe: Literal["timbrekit", "published"] | None = None  # None: no network
    model: ModelName | None = None
    window: int = ONSET_WINDOW  # samples from which the onset features are taken
    as_published: bool = False  # trained with one fixed noise and the published damping whatever the world


UNCHANGED = Row("preset", "Preset unchanged")
DIRECT = Row("direct", "Direct optimisation")
LOUDNESS = Row("loudness alone", "Loudness alone")
INFORMATION = Row("onset information", "Onset information")
BASELINE = Row("mlp", "MLP", "published", "mlp")  # that the paper plays with: all others are compared with it
AS_PUBLISHED = replace(
    BASELINE, key="mlp-as-published", title="MLP, published noise and damping", as_published=True
)
PAPER_LARGE = Row("mlp-large", "MLP large", "published", "mlp-large")
OURS = Row("ours", "timbrekit", "timbrekit", Settings.model)
OURS_LARGE = Row("ours-large", "timbrekit MLP large", "timbrekit", "mlp-large")


def _as_played(recipe: str, model: ModelName | None) -> Row:
    usual = DEFAULT_MODELS[recipe]
    name = recipe if model in (None, usual) else f"{recipe} {model}"
    return Row(name, name, recipe, model or usual)


_PAPER = (
    UNCHANGED,
    DIRECT,
    Row("linear", "Linear", "published", "linear"),
    Row("linear-2048", "Linear 2048", "published", "linear", LONG_WINDOW),
    BASELINE,
    AS_PUBLISHED,
    Row("mlp-2048", "MLP 2048", "published", "mlp", LONG_WINDOW),
    PAPER_LARGE,
    Row("mlp-large-2048", "MLP large 2048", "published", "mlp-large", LONG_WINDOW),
    OURS,
    OURS_LARGE,
)
_PLAYED = (*(_as_played(*names) for names in product(RECIPES, MODEL_NAMES)), LOUDNESS, DIRECT, INFORMATION)
ROWS: dict[str, dict[str, Row]] = {
    table: {row.key: row for row in rows} for table, rows in (("paper", _PAPER), ("played", _PLAYED))
}


def find_rows(keys: Sequence[str], table: TableName = "paper") -> list[Row]:
    """Rows by their keys, in the table's order.

    Raises:
        TrainingError: there is no such row.
    """
    _check_known("row", keys, ROWS[table])
    return [row for row in ROWS[table].values() if row.key in keys]


def played_rows(
    recipes: Sequence[str] = RECIPES, models: Sequence[str] = (), bounds: bool = True
) -> tuple[str, ...]:
    """Keys of what is compared as played: every recipe with every model, each recipe's own if none is named; loudness
    alone, and bounds if wanted.

    Raises:
        TrainingError: there is no such recipe or model.
    """
    _check_known("recipe", recipes, RECIPES)
    _check_known("model", models, MODEL_NAMES)
    keys = [_as_played(*names).key for names in product(recipes, models or (None,))]
    return (*keys, LOUDNESS.key, *((DIRECT.key, INFORMATION.key) if bounds else ()))


def _check_known(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise TrainingError(f"There is no {kind} {name!r}. The {kind}s are {', '.join(known)}.")


@dataclass(frozen=True)
class World:
    """How the synthesiser sounds and how everything is measured, in training and after it, for all rows alike.

    *published*: the paper's own. Features in which every frame counts, silence too, and one fixed noise.
    *gated*: the plug-in's. Features in which silence does not count, new noise and phases at every hit.
    """

    name: WorldName = "published"

    @property
    def gated(self) -> bool:
        return self.name == "gated"

    def features(self, sample_rate: int) -> TimbreFeatures:
        return TimbreFeatures(sample_rate, gated=self.gated)

    def settings(
        self, row: Row, epochs: int | None = None, device: str = "auto", split: SplitName = "random"
    ) -> Settings:
        """How a row's models are trained in this world: its recipe, but for what the world decides.

        In the paper's world its recipe hears all frames of the sustain, ours every fourth, as in the plug-in's.

        The paper's recipe with this project's damping (but for the row that says otherwise), and with the centring that
        it trains with kept in the trained mapping: what its export loses on the way to the plug-in is not what the
        table is about.
        """
        return replace(
            make_settings(row.recipe, row.model, epochs, device=device),
            features=self.name,
            thinned=self.gated or row.recipe == "timbrekit",
            fresh_noise=self.gated and not row.as_published,
            split=split,
        )
