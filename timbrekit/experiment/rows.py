"""The rows of the paper's table, and the world that they are compared in."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from timbrekit.errors import TrainingError
from timbrekit.features import ONSET_WINDOW, TimbreFeatures
from timbrekit.mapping import ModelName
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings

LONG_WINDOW = 2048  # samples; more than the plug-in has heard when it plays
WorldName = Literal["published", "gated"]
WORLDS: tuple[str, ...] = get_args(WorldName)


@dataclass(frozen=True)
class Row:
    """A way of playing the hits that the table compares."""

    key: str  # as options and CSV files name it
    title: str
    model: ModelName | None = None  # None: no network
    window: int = ONSET_WINDOW  # samples from which the onset features are taken
    ours: bool = False  # timbrekit's recipe instead of the paper's
    as_published: bool = False  # trained with one fixed noise and the published damping whatever the world


UNCHANGED = Row("preset", "Preset unchanged")
DIRECT = Row("direct", "Direct optimisation")
BASELINE = Row("mlp", "MLP", "mlp")  # that the paper plays with: all others are compared with it
AS_PUBLISHED = Row("mlp-as-published", "MLP, published noise and damping", "mlp", as_published=True)
OURS, OURS_SMALL = (
    Row("ours", "timbrekit", Settings.model, ours=True),
    Row("ours-mlp", "timbrekit MLP", "mlp", ours=True),
)
PAPER_LARGE = Row("mlp-large", "MLP large", "mlp-large")
ROWS: dict[str, Row] = {
    row.key: row
    for row in (
        UNCHANGED,
        DIRECT,
        Row("linear", "Linear", "linear"),
        Row("linear-2048", "Linear 2048", "linear", LONG_WINDOW),
        BASELINE,
        AS_PUBLISHED,
        Row("mlp-2048", "MLP 2048", "mlp", LONG_WINDOW),
        PAPER_LARGE,
        Row("mlp-large-2048", "MLP large 2048", "mlp-large", LONG_WINDOW),
        OURS,
        OURS_SMALL,
    )
}


def find_rows(keys: tuple[str, ...]) -> list[Row]:
    """Rows by their keys, in the table's order.

    Raises:
        TrainingError: there is no such row.
    """
    unknown = [key for key in keys if key not in ROWS]
    if unknown:
        raise TrainingError(f"There is no row {unknown[0]!r}. The rows are {', '.join(ROWS)}.")
    return [row for row in ROWS.values() if row.key in keys]


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

    @property
    def fresh_noise(self) -> bool:
        return self.gated

    def features(self, sample_rate: int) -> TimbreFeatures:
        return TimbreFeatures(sample_rate, gated=self.gated)

    def settings(self, row: Row, epochs: int | None = None, device: str = "auto") -> Settings:
        """How a row's models are trained in this world: its recipe, but for what the world decides.

        In the paper's world its recipe hears all frames of the sustain, ours every fourth, as in the plug-in's.

        The paper's recipe with this project's damping (but for the row that says otherwise), and with the centring that
        it trains with kept in the trained mapping: what its export loses on the way to the plug-in is not what the
        table is about.
        """
        recipe = "timbrekit" if row.ours else "published"
        settings = make_settings(recipe, row.model, epochs, device=device)
        return replace(
            settings,
            features=self.name,
            thinned=self.gated or row.ours,
            fresh_noise=self.fresh_noise and not row.as_published,
        )
