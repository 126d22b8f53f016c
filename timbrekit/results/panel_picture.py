"""TorchDrum's panel as a drawing: where the model is loaded and where each value of the card goes.

Drawn by us after the places of the plug-in's controls: buttons at the left, the onset detector's knobs below the
display, the synthesiser's at the right. It shows where to look, not how the plug-in looks.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from timbrekit.plugin.knobs import DETECTOR, NEURALITY, TRIGGER, Knob
from timbrekit.recording.onsets import KNOB_RANGES
from timbrekit.results.plots import BLUE, GREY, INK, PALE, SKY, VERMILION, new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 960, 550  # of the plug-in's window, in its own pixels
BUTTONS = ("Load", "Save", "Fine Tune", "About")
SYNTH_ROWS = (5, 5, 4)  # knobs of the 14 parameters
TURN = np.deg2rad(270)  # of a knob from its least to its most


def panel_picture(detector: Mapping[str, float], model: str = "model.pt") -> bytes:
    """PNG of the panel with a model's values.

    Args:
        detector: ``on_threshold``, ``off_threshold`` and ``hold``, as a report has them.
        model: name of the file to load.
    """
    figure, ax = new_figure(9.5, 5.4)
    ax.set(xlim=(-2, WIDTH + 2), ylim=(HEIGHT + 2, -34), aspect="equal")
    ax.axis("off")
    ax.text(0, -14, "Where each value goes in TorchDrum (our drawing)", fontsize=11, color=INK)
    _box(ax, 0, 0, WIDTH, HEIGHT, "#F4F6F6", GREY)
    for row, name in enumerate(BUTTONS):
        first = row == 0
        _box(ax, 30, 56 + 45 * row, 114, 27, SKY if first else "white", BLUE if first else GREY)
        ax.text(87, 70 + 45 * row, name, ha="center", va="center", fontsize=9, color=INK if first else GREY)
    _badge(ax, 30, 38, 1)
    ax.text(48, 42, f"open {model[:60]}", fontsize=8.5, color=VERMILION)
    _knob(ax, 87, 350, 34, NEURALITY, 1.0, (0.0, 4.0), 4)
    _box(ax, 218, 56, 330, 250, "white", GREY)
    ax.text(383, 150, "display", ha="center", color=GREY, fontsize=10)
    _badge(ax, 240, 80, 3)
    ax.text(258, 85, "send the primer through, once", fontsize=8.5, color=VERMILION)
    for place, knob, limits in zip((222, 362, 502), DETECTOR, KNOB_RANGES, strict=True):
        _knob(ax, place, 428, 26, knob, detector[knob.key], limits, 2 if knob is TRIGGER else None)
    _box(ax, 583, 29, 342, 490, "white", GREY)
    ax.text(754, 52, "the drum's own knobs: leave them,", ha="center", color=GREY, fontsize=8.5)
    ax.text(754, 70, "the preset comes with the file", ha="center", color=GREY, fontsize=8.5)
    for row, count in enumerate(SYNTH_ROWS):
        for column in range(count):
            _dial(ax, 625 + 64 * column, 150 + 130 * row, 22, 0.5, GREY)
    return to_png(figure)


def _knob(
    ax: "Axes",
    x: float,
    y: float,
    radius: float,
    knob: Knob,
    value: float,
    limits: tuple[float, float],
    badge: int | None,
) -> None:
    """A knob that is to be set, with its name, its value and what it does."""
    low, high = limits
    _dial(ax, x, y, radius, (value - low) / (high - low), BLUE)
    words = f"{value:g} {knob.unit}".strip()
    name = knob.name.replace(" ", "\n")
    ax.text(
        x, y - radius - 26, name, ha="center", fontsize=8.5, color=INK, fontweight="bold", linespacing=1.1
    )
    ax.text(x, y - radius - 8, words, ha="center", fontsize=9.5, color=VERMILION, fontweight="bold")
    for line, part in enumerate(_two_lines(knob.does)):
        ax.text(x, y + radius + 20 + 15 * line, part, ha="center", fontsize=7.5, color=GREY)
    if badge:
        _badge(ax, x - 52, y - radius - 34, badge)


def _two_lines(words: str) -> list[str]:
    parts = words.split()
    half = -(-len(parts) // 2)
    return [" ".join(parts[:half]), " ".join(parts[half:])]


def _dial(ax: "Axes", x: float, y: float, radius: float, share: float, colour: str) -> None:
    from matplotlib.patches import Circle

    angle = TURN * (np.clip(share, 0, 1) - 0.5)
    ax.add_patch(Circle((x, y), radius, facecolor=PALE, edgecolor=colour, linewidth=1.4))
    ax.plot([x, x + radius * np.sin(angle)], [y, y - radius * np.cos(angle)], color=colour, linewidth=2)


def _badge(ax: "Axes", x: float, y: float, number: int) -> None:
    """The number of a step on the card."""
    from matplotlib.patches import Circle

    ax.add_patch(Circle((x, y), 11, facecolor=VERMILION, edgecolor="white", zorder=4))
    ax.text(x, y, str(number), ha="center", va="center_baseline", color="white", fontsize=9, zorder=5)


def _box(ax: "Axes", x: float, y: float, width: float, height: float, fill: str, edge: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=6", facecolor=fill, edgecolor=edge
    )
    ax.add_patch(shape)
