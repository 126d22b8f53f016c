"""``python -m tests.by_hand.listening RECORDING OUT.png``: a picture of a take and of what the plug-in makes of it.

Trains with default settings, plays the take as the plug-in does on a second pass, and draws some seconds of both as
spectrograms, one beside the other, and hit by hit how loudness and brightness were meant and played.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import write_model
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.files import atomic_path
from timbrekit.notebook.plots import plot_spectrogram
from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.results.plots import BLUE, GREY, LEGEND, PALE, new_figure, set_title, to_png
from timbrekit.training.fast.train import train
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Trained

SHOWN = {"loudness transient": "louder (dB)", "centroid transient": "brighter"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="snare-1")
    parser.add_argument("--start", type=float, default=20.0, help="of the spectrograms, in s (default: 20)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the spectrograms (default: 6)")
    options = parser.parse_args()
    prepared, preset = prepare(options.recording), load_preset(options.preset)
    take = make_take(prepared.hits)
    trained = train(take, preset, Settings())
    samples = prepared.recording.samples
    with tempfile.TemporaryDirectory() as folder:
        hits = prepared.hits
        ranges = take.minimum, take.maximum
        metadata = build_metadata(trained.mapping, preset, hits.sample_rate, hits.settings, *ranges)
        model = write_model(trained.mapping, metadata, Path(folder) / "model.pt").module
        first = measure_as_played(model, samples, take)
        played = measure_as_played(model, samples, take, initial_ranges=first.rehearsal.ranges)
    png = draw(samples, take, trained, played, options.start, options.seconds)
    with atomic_path(options.out) as temporary:
        temporary.write_bytes(png)
    followed = zip(TIMBRE_FEATURES, played.rank_correlation, strict=True)
    correlations = ", ".join(f"{name} {rank:.2f}" for name, rank in followed)
    print(
        f"{prepared.recording.name}, {preset.name}: error ratio {played.error_ratio:.2f}; ranks: {correlations}"
    )


def draw(
    samples: np.ndarray, take: Take, trained: Trained, played: AsPlayed, start: float, seconds: float
) -> bytes:
    """PNG: spectrograms of some seconds above, every hit's wanted and played differences below."""
    rate = take.hits.sample_rate
    figure, axes = new_figure(
        12, 9, mosaic=[["you", "plugin"], *[[name, name] for name in SHOWN]], height_ratios=(1.6, 1, 1)
    )
    part = slice(round(start * rate), round((start + seconds) * rate))
    plot_spectrogram(axes["you"], samples[part], rate, start, "You")
    plot_spectrogram(axes["plugin"], played.rehearsal.audio[part], rate, start, "The plug-in, following you")
    times = take.hits.triggers / rate
    if len(played.played) != len(times):
        raise SystemExit("The plug-in plays other hits than the take has: nothing to compare one by one.")
    held_out = np.concatenate([trained.split.validation, trained.split.test])
    for name, unit in SHOWN.items():
        ax, column = axes[name], TIMBRE_FEATURES.index(name)
        ax.plot(times, played.intended[:, column], color=GREY, linewidth=3, label="you")
        ax.plot(times, played.played[:, column], color=BLUE, linewidth=1, label="the plug-in")
        ax.plot(
            times[held_out], played.played[held_out, column], "o", color=BLUE, ms=4, label="not trained on"
        )
        ax.axvspan(start, start + seconds, color=PALE, zorder=0)
        ax.set(ylabel=unit, xlim=(0, len(samples) / rate), xlabel="time (s)")
        rank = played.rank_correlation[column]
        set_title(ax, f"{name}, against the reference hit: rank correlation {rank:.2f}")
        ax.legend(loc="upper right", ncols=3, **LEGEND)
    return to_png(figure)


if __name__ == "__main__":
    main()
