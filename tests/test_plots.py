"""Pictures show the data they were given, the same way on every machine."""

import io

import numpy as np
import pytest
from fresh_process import found_in_a_fresh_process
from matplotlib.image import imread

from timbrekit.plugin.knobs import HOLD, NEURALITY, RETRIGGER, TRIGGER
from timbrekit.results import panel_picture, plots
from timbrekit.synth.parameters import PARAMETERS


@pytest.fixture
def axes():
    return plots.new_figure(6, 3)[1]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_hits_are_drawn_where_they_are_and_counted_in_the_legend(axes):
    samples = np.random.default_rng(0).normal(size=96_000) * 0.1
    plots.plot_hits(
        axes, samples, 48_000, kept=[4_800, 48_000], dropped=[50_000], missed=[60_000, 70_000, 80_000]
    )
    assert labels(axes) == [
        "hit, kept (2)",
        "heard, but too close to another (1)",
        "not heard (3)",
    ]
    drawn = [
        line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() == "|"
    ]
    assert np.allclose(drawn[0], [0.1, 1.0])
    assert axes.get_xlim() == (0.0, 2.0)


def test_the_outline_of_a_long_recording_keeps_its_peaks():
    samples = np.zeros(3_000_001, np.float32)
    samples[1_234_567], samples[2_000_000] = 0.9, -0.7
    time, low, high = plots._outline(samples, 48_000)
    assert len(time) <= plots.COLUMNS
    assert high.max() == np.float32(0.9) and low.min() == np.float32(-0.7)
    assert time[high.argmax()] == pytest.approx(1_234_567 / 48_000, abs=62.5 / plots.COLUMNS)


def test_an_empty_recording_is_drawn_without_complaint(axes):
    plots.plot_hits(axes, np.zeros(0), 48_000, kept=[])
    plots.to_png(axes.figure)


def test_timbre_space_has_an_arrow_from_each_hit_to_what_is_played(axes):
    intended = np.arange(21, dtype=float).reshape(3, 7)
    plots.plot_timbre_space(axes, intended, intended + 1)
    arrows = axes.collections[0]
    assert np.allclose(arrows.U, 1) and np.allclose(arrows.V, 1)
    assert np.allclose(arrows.get_offsets(), intended[:, [plots.BRIGHTNESS, plots.LOUDNESS]])


def test_timbre_space_takes_a_recording_alone(axes):
    plots.plot_timbre_space(axes, np.zeros((4, 7)))
    assert labels(axes) == ["your hits", "your typical hit"]


def test_the_best_epoch_is_marked(axes):
    plots.plot_losses(axes, [3, 2, 1, 0.5], [3, 2, 2.5, 2.6])
    best = next(line for line in axes.lines if line.get_marker() == "o")
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (2, 2)


def test_none_is_marked_where_training_keeps_the_last_weights(axes):
    plots.plot_losses(axes, [3, 2, 1, 1.5], [3, 2, 1, 1.5], keeps_best=False)
    assert labels(axes) == ["hits it learns from"]


def test_epochs_are_whole_numbers_from_1_to_the_last_that_will_be(axes):
    plots.plot_losses(axes, [3, 2, 1, 0.5], [3, 2, 2.5, 2.6], epochs=20)
    assert axes.get_xlim() == (1, 20)
    assert list(axes.get_xticks()) == [1, 5, 10, 15, 20]


@pytest.mark.parametrize(
    "last, ticks",
    [
        (1, [1]),
        (2, [1, 2]),
        (7, [1, 2, 3, 4, 5, 6, 7]),
        (21, [1, 5, 10, 15, 21]),
        (189, [1, 50, 100, 150, 189]),
    ],
)
def test_ticks_of_what_is_counted_begin_at_1_and_are_round(last, ticks):
    assert plots.count_ticks(last) == ticks


def test_every_panel_has_a_title():
    draws = (
        lambda ax: plots.plot_hits(ax, np.zeros(100), 48_000, []),
        lambda ax: plots.plot_timbre_space(ax, np.zeros((4, 7))),
        lambda ax: plots.plot_losses(ax, [1], [1]),
        lambda ax: plots.plot_feature_errors(ax, {"mlp": np.ones(7)}),
        lambda ax: plots.plot_modulation(ax, np.zeros((3, 14)), PARAMETERS),
    )
    for draw in draws:
        ax = plots.new_figure(6, 3)[1]
        draw(ax)
        assert ax.get_title(loc="left")


def test_losses_can_be_drawn_before_the_first_epoch_has_ended(axes):
    plots.plot_losses(axes, [], [])
    plots.to_png(axes.figure)


def test_every_feature_has_a_bar_of_its_height_for_each_model(axes):
    plots.plot_feature_errors(axes, {"linear": np.full(7, 0.5), "mlp": np.linspace(0.1, 0.7, 7)})
    heights = [bar.get_height() for bar in axes.patches]
    assert np.allclose(heights, [0.5] * 7 + list(np.linspace(0.1, 0.7, 7)))
    assert labels(axes) == ["preset unchanged", "linear", "mlp"]


def test_axes_are_labelled_with_units(axes):
    plots.plot_hits(axes, np.zeros(100), 48_000, [])
    assert axes.get_xlabel() == "time (s)" and "full scale" in axes.get_ylabel()


def test_the_same_data_make_the_same_picture():
    def picture():
        figure, ax = plots.new_figure(4, 2)
        plots.plot_losses(ax, [2, 1], [2, 1.5])
        return plots.to_png(figure)

    first = picture()
    assert first == picture()
    assert imread(io.BytesIO(first)).shape[:2] == (2 * plots.DPI, 4 * plots.DPI)


def test_drawing_changes_nothing_global_and_does_not_import_pyplot():
    seen = found_in_a_fresh_process()
    assert seen["style is untouched"] and not seen["pyplot is loaded"]


def test_the_drawn_panel_has_every_knob_with_its_value(monkeypatch):
    drawn = []
    monkeypatch.setattr(panel_picture, "to_png", lambda figure: drawn.append(figure) or b"")
    panel_picture.panel_picture({"on_threshold": 15.5, "off_threshold": 8.5, "hold": 1200}, "Attic.pt")
    (ax,) = drawn[0].axes
    words = " ".join(text.get_text() for text in ax.texts).replace("\n", " ")
    for knob in (TRIGGER, RETRIGGER, HOLD, NEURALITY):
        assert knob.name in words
    for wanted in ("15.5 dB", "8.5 dB", "1200 samples", "open Attic.pt", "Load"):
        assert wanted in words
