"""Pictures of hits, timbre and training in one calm style. Every function draws data on the axes it is given.

Figures are made by :func:`new_figure`, never by pyplot: nothing global changes, nothing needs a display.
Colours are from the palette of Okabe and Ito (2008), which people with any colour vision can tell apart; shapes
and labels say the same once more.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from timbrekit.features import TIMBRE_FEATURES
from timbrekit.files import atomic_path
from timbrekit.synth.base import Parameter
from timbrekit.training.names import MEL

if TYPE_CHECKING:  # matplotlib takes a second to import; `timbrekit onsets` has no need of it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from timbrekit.plugin.as_played import AsPlayed
    from timbrekit.training.take import Take
    from timbrekit.training.train import Trained

BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, INK, GREY, PALE = "#56B4E9", "#CC79A7", "#333333", "#8A8A8A", "#E6E6E6"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)

STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.4,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
}
DPI = 110
COLOURS = 128  # of a picture; enough for the grey of a spectrogram and smooth edges
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "handletextpad": 0.4}
COLUMNS = 1600  # of a drawn waveform; more than the pixels of a notebook's width
LOUDNESS, BRIGHTNESS = 0, 2  # rows of TIMBRE_FEATURES that span the pictured timbre space


def new_figure(
    width: float = 8.0,
    height: float = 3.0,
    rows: int = 1,
    columns: int = 1,
    mosaic: Sequence[Sequence[str]] | None = None,
    **grid: Any,
) -> tuple["Figure", Any]:
    """A figure in timbrekit's style and its axes.

    Args:
        width, height: inches.
        rows, columns: of the grid of axes.
        mosaic: names of axes instead of a plain grid, as ``Figure.subplot_mosaic`` takes them.
        grid: passed on to matplotlib (``sharex``, ``height_ratios`` …).

    Returns:
        The figure, and one ``Axes``, an array of them, or a dict of them by name.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        if mosaic is None:
            return figure, figure.subplots(rows, columns, **grid)
        return figure, figure.subplot_mosaic(mosaic, **grid)


def set_title(ax: "Axes", words: str, above: float = 0.0) -> None:
    """A title at the left, in the style's size, so many points above what stands there otherwise."""
    ax.set_title(words, loc="left", fontsize=STYLE["axes.titlesize"], color=INK, pad=6 + above)


def to_png(figure: "Figure") -> bytes:
    """The figure as a PNG file of few colours, a third of the usual size. The same data give the same bytes."""
    import matplotlib
    from PIL import Image  # comes with matplotlib

    with matplotlib.rc_context(STYLE):  # some of the style is looked up only when drawing
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(COLOURS).save(buffer, "PNG", dpi=(DPI, DPI))
    return buffer.getvalue()


def plot_hits(
    ax: "Axes",
    samples: ArrayLike,
    sample_rate: int,
    kept: ArrayLike,
    dropped: ArrayLike = (),
    missed: ArrayLike = (),
) -> None:
    """The waveform with its hits: kept (blue lines), dropped (crosses), missed by the detector (triangles).

    Args:
        samples: ``(samples,)`` full scale ±1.
        sample_rate: Hz.
        kept, dropped, missed: sample indices.
    """
    samples = np.asarray(samples, np.float32)
    kept, dropped, missed = (np.asarray(marks, float) / sample_rate for marks in (kept, dropped, missed))
    time, low, high = _outline(samples, sample_rate)
    peak = float(np.abs(samples).max(initial=0)) or 1.0
    ax.vlines(kept, -peak, peak, colors=SKY, linewidth=0.7, alpha=0.6, zorder=1)
    ax.fill_between(time, low, high, color=INK, linewidth=0.3, zorder=2)
    ax.plot([], [], "|", color=BLUE, markersize=9, markeredgewidth=1.5, label=f"hit, kept ({len(kept)})")
    if len(kept):
        ax.plot(kept, np.full(len(kept), 1.14 * peak), "|", color=BLUE, markersize=6, markeredgewidth=1.2)
    for marks, shape, colour, label in (
        (dropped, "x", ORANGE, "heard, but too close to another"),
        (missed, "v", VERMILION, "not heard"),
    ):
        if len(marks):
            heights = np.full(len(marks), 1.14 * peak)
            ax.plot(
                marks, heights, shape, color=colour, markersize=6, label=f"{label} ({len(marks)})", zorder=3
            )
    ax.set(xlim=(0, max(len(samples) / sample_rate, 1e-3)), ylim=(-1.1 * peak, 1.22 * peak))
    ax.set(xlabel="time (s)", ylabel="level (full scale = 1)")
    ax.grid(False)
    set_title(ax, "Hits")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=3, **LEGEND)


def _outline(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time in s, lowest and highest sample of each of at most ``COLUMNS`` stretches."""
    size = max(1, -(-len(samples) // COLUMNS))
    padded = np.pad(samples, (0, -len(samples) % size))
    stretches = padded.reshape(-1, size)
    return np.arange(len(stretches)) * size / sample_rate, stretches.min(1), stretches.max(1)


def plot_timbre_space(ax: "Axes", intended: ArrayLike, played: ArrayLike | None = None) -> None:
    """Where each hit lies in loudness and brightness, and where it is played.

    Differences from the reference hit (the star, at 0, 0). Short arrows mean that the synthesiser follows.

    Args:
        intended: ``(n, 7)`` how each recorded hit differs from the reference hit.
        played: ``(n, 7)`` how each played hit differs from the preset; None draws the recorded ones alone.
    """
    intended = np.asarray(intended, float).reshape(-1, len(TIMBRE_FEATURES))
    x, y = intended[:, BRIGHTNESS], intended[:, LOUDNESS]
    if played is not None:
        played = np.asarray(played, float).reshape(-1, len(TIMBRE_FEATURES))
        u, v = played[:, BRIGHTNESS], played[:, LOUDNESS]
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "dots", "width": 1.0}
        heads = {"headwidth": 8, "headlength": 9, "headaxislength": 8, "minshaft": 1.2, "minlength": 2}
        ax.quiver(x, y, u - x, v - y, color=VERMILION, alpha=0.75, **arrows, **heads)
        ax.plot([], [], ">", color=VERMILION, markersize=6, label="arrowhead: as it is played")
        ax.update_datalim(np.stack([u, v], 1))
    ax.plot(x, y, "o", color=BLUE, markersize=4, label="your hits", zorder=3)
    ax.plot(0, 0, "*", color="black", markersize=12, label="your typical hit", zorder=4)
    ax.set(xlabel="attack: darker  ←  difference in brightness (brightness scale)  →  brighter")
    ax.set(ylabel="softer  ←  difference in loudness (LKFS)  →  louder")
    ax.margins(0.06)
    set_title(ax, "Each hit: as you played it, and as it is played" if played is not None else "Your hits")
    ax.legend(loc="best", **LEGEND)


def plot_losses(
    ax: "Axes", train: Sequence[float], validation: Sequence[float], epochs: int = 0, keeps_best: bool = True
) -> None:
    """Error over the epochs of training: on the hits trained on, and on those held back.

    Where none are held back to choose the epoch, both errors are the same, and one is drawn. The axis reaches as far as
    there will be ``epochs``. The lowest error is marked where training keeps the weights of that epoch.
    """
    done = np.arange(1, max(len(train), len(validation)) + 1)
    ax.plot(done[: len(train)], train, color=BLUE, label="hits it learns from")
    if list(validation) != list(train):
        ax.plot(done[: len(validation)], validation, color=ORANGE, label="hits held back to check it")
    if keeps_best and len(validation) and np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        ax.plot(best + 1, validation[best], "o", color=VERMILION, markersize=6, label="lowest so far")
    ax.set(xlabel="epoch (once through all hits)", ylabel="error (mean over features)", ylim=(0, None))
    last = max(len(done), epochs, 2)
    ax.set(xlim=(1, last), xticks=count_ticks(last))
    set_title(ax, "Training")
    ax.legend(loc="best", **LEGEND)


def count_ticks(last: int) -> list[int]:
    """Whole numbers from 1 to ``last`` in round steps."""
    step = next(size * 10**power for power in range(9) for size in (1, 2, 5) if 8 * size * 10**power >= last)
    return sorted({1, last, *(tick for tick in range(step, last, step) if 2 * (last - tick) > step)})


def plot_feature_errors(ax: "Axes", bars: Mapping[str, ArrayLike]) -> None:
    """Error ratio of each timbre feature, a group of bars per feature. 1: as far off as the unmodulated preset.

    Args:
        bars: label to ``(7,)`` ratios, in the order of ``TIMBRE_FEATURES``.
    """
    places = np.arange(len(TIMBRE_FEATURES))
    width = 0.8 / max(len(bars), 1)
    for index, (label, ratios) in enumerate(bars.items()):
        offset = (index - (len(bars) - 1) / 2) * width
        colour = SERIES[index % len(SERIES)]
        ax.bar(places + offset, np.asarray(ratios, float), width * 0.92, color=colour, label=label)
    ax.axhline(1, color=INK, linewidth=1, linestyle="--", label="preset unchanged")
    ax.set_xticks(places, [name.replace(" ", "\n") for name in TIMBRE_FEATURES])
    ax.set(ylabel="error ratio (0: follows you exactly)", ylim=(0, None))
    ax.grid(False, axis="x")
    columns = 2 if len(bars) < 4 else 4
    set_title(ax, "How far off", above=15 * -(-(len(bars) + 1) // columns))
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.98), ncols=columns, **LEGEND)


def plot_modulation(ax: "Axes", modulation: ArrayLike, parameters: Sequence[Parameter]) -> None:
    """How far each of the parameters is moved at each hit: purple down, orange up, white not at all.

    Args:
        modulation: ``(n, parameters)`` in normalised units: shares of each parameter's range.
        parameters: the synthesiser's table.
    """
    percent = 100 * np.asarray(modulation, float).reshape(-1, len(parameters)).T
    limit = max(float(np.abs(percent).max(initial=0)), 1.0)
    image = ax.imshow(
        percent,
        aspect="auto",
        cmap="PuOr_r",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
        extent=(0.5, max(percent.shape[1], 1) + 0.5, len(parameters) - 0.5, -0.5),
    )
    ax.set_yticks(range(len(parameters)), [parameter.title for parameter in parameters])
    ax.set(xlabel="hit", xticks=count_ticks(max(percent.shape[1], 1)))
    set_title(ax, "What moves, hit by hit")
    ax.grid(False)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("moved by (% of range)", fontsize=STYLE["axes.labelsize"], color=INK)
    bar.ax.tick_params(labelsize=STYLE["ytick.labelsize"], colors=INK)


def save_report_picture(
    path: str | Path,
    samples: ArrayLike,
    take: "Take",
    trained: "Trained",
    errors: Mapping[str, ArrayLike],
    played: "AsPlayed",
    parameters: Sequence[Parameter],
    missed: ArrayLike = (),
) -> None:
    """report.png on one page: the hits, timbre space, losses and errors by feature. Whole or not at all.

    Args:
        samples: ``(samples,)`` the recording.
        errors: error ratios by label, as :func:`plot_feature_errors` has them.
        played: the rehearsal that timbre space shows.
        parameters: the synthesiser's table.
        missed: sample indices of hits that the detector does not hear.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    layout = [["hits", "hits"], ["space", "modulation"], ["losses", "errors"]]
    figure, axes = new_figure(12, 11, mosaic=layout, height_ratios=(0.8, 1.4, 1))
    hits = take.hits
    dropped = [hit.position for hit in hits.dropped]
    plot_hits(axes["hits"], samples, hits.sample_rate, hits.detections, dropped, missed)
    plot_timbre_space(axes["space"], played.intended, played.played)
    plot_modulation(axes["modulation"], played.rehearsal.modulation, parameters)
    history, keeps_best = trained.history, trained.settings.listener != MEL
    losses = [epoch.train_loss for epoch in history], [epoch.validation_loss for epoch in history]
    plot_losses(axes["losses"], *losses, keeps_best=keeps_best)
    plot_feature_errors(axes["errors"], errors)
    with atomic_path(path) as temporary:
        temporary.write_bytes(to_png(figure))
