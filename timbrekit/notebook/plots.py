"""Pictures that only the notebooks show. Style and colours: ``timbrekit.results.plots``."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import stft

from timbrekit.results.plots import BLUE, LEGEND, SERIES, new_figure, set_title, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST_HZ, HIGHEST_HZ = 30.0, 20_000.0
SPECTRUM_SIZE = 16_384  # samples; 3 Hz a bin at 48 kHz
THIRD_OF_AN_OCTAVE = 2 ** (1 / 6)  # from the middle of a band to its edge
DYNAMIC_RANGE_DB = 70.0
SPECTROGRAM_WINDOW = 1024  # samples
SPECTROGRAM_COLUMNS = 1200


def smoothed_spectrum(sound: ArrayLike, sample_rate: int) -> tuple[NDArray, NDArray]:
    """Power spectrum averaged over third-octave bands.

    Args:
        sound: ``(samples,)``; the first ``SPECTRUM_SIZE`` are looked at.
        sample_rate: Hz.

    Returns:
        ``(200,)`` band centres in Hz, evenly spaced by pitch, and ``(200,)`` levels in dB, 0 the strongest band.
    """
    sound = np.asarray(sound, float)[:SPECTRUM_SIZE]
    power = np.abs(np.fft.rfft(sound, SPECTRUM_SIZE)) ** 2
    total = np.concatenate([[0], np.cumsum(power)])
    centres = np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, sample_rate / 2.3), 200)
    to_bin = SPECTRUM_SIZE / sample_rate
    low = np.floor(centres / THIRD_OF_AN_OCTAVE * to_bin).astype(int)
    high = np.ceil(centres * THIRD_OF_AN_OCTAVE * to_bin).astype(int)
    bands = (total[high + 1] - total[low]) / (high + 1 - low)
    return centres, 10 * np.log10(np.maximum(bands / max(bands.max(), 1e-20), 1e-10))


def plot_spectrum(ax: "Axes", sounds: dict[str, ArrayLike], sample_rate: int) -> None:
    """Spectra of sounds by label, each relative to its strongest band."""
    for colour, (label, sound) in zip(SERIES, sounds.items(), strict=False):
        frequencies, levels = smoothed_spectrum(sound, sample_rate)
        ax.plot(frequencies, levels, color=colour, label=label)
    ax.set_xscale("log")
    ticks = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]
    ax.set_xticks(ticks, ["50", "100", "200", "500", "1k", "2k", "5k", "10k", "20k"])
    ax.minorticks_off()
    ax.set(xlim=(LOWEST_HZ, HIGHEST_HZ), ylim=(-DYNAMIC_RANGE_DB, 4))
    ax.set(xlabel="frequency (Hz)", ylabel="level (dB, strongest = 0)")
    if len(sounds) > 1:
        ax.legend(loc="best", **LEGEND)


def plot_sound(ax: "Axes", sound: ArrayLike, sample_rate: int) -> None:
    """The waveform of half a second of one hit."""
    sound = np.asarray(sound, float)[: sample_rate // 2]
    ax.plot(1000 * np.arange(len(sound)) / sample_rate, sound, color=BLUE, linewidth=0.7)
    ax.set(xlim=(0, 500), ylim=(-1.05, 1.05), xlabel="time (ms)", ylabel="level (full scale = 1)")


def plot_spectrogram(
    ax: "Axes",
    sound: ArrayLike,
    sample_rate: int,
    start: float = 0.0,
    title: str = "",
    darkest: float | None = None,
) -> float:
    """Level over time and frequency, dark where loud, over 70 dB; ``start`` in s is where the time axis begins.

    Returns:
        The level in dB that is darkest: its own loudest, unless one is given.
    """
    sound = np.asarray(sound, np.float32)
    step = max(128, len(sound) // SPECTROGRAM_COLUMNS)
    window = max(SPECTROGRAM_WINDOW, step)
    frequencies, times, values = stft(sound, sample_rate, nperseg=window, noverlap=window - step)
    level = 20 * np.log10(np.maximum(np.abs(values), 1e-9))
    top = float(level.max()) if darkest is None else darkest
    heard = frequencies >= LOWEST_HZ
    ax.pcolormesh(
        times + start,
        frequencies[heard],
        level[heard],
        cmap="Greys",
        vmin=top - DYNAMIC_RANGE_DB,
        vmax=top,
        shading="nearest",
        rasterized=True,
    )
    ax.set_yscale("log")
    ax.set_yticks([100, 300, 1000, 3000, 10_000], ["100", "300", "1k", "3k", "10k"])
    ax.minorticks_off()
    ax.set(ylim=(60, min(HIGHEST_HZ, sample_rate / 2)), xlim=(start, start + len(sound) / sample_rate))
    ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
    ax.grid(False)
    if title:
        set_title(ax, title)
    return top


def spectrogram_pair(sounds: dict[str, ArrayLike], sample_rate: int, start: float = 0.0) -> bytes:
    """PNG of the spectrograms of two sounds, by title, above each other."""
    figure, axes = new_figure(9, 4.6, 2, 1, sharex=True)
    for ax, (title, sound) in zip(axes, sounds.items(), strict=True):
        plot_spectrogram(ax, sound, sample_rate, start, title)
    axes[0].set_xlabel("")
    return to_png(figure)


def plot_envelopes(ax: "Axes", curves: dict[str, tuple[ArrayLike, ArrayLike]], x: str, y: str) -> None:
    """Curves by label, as ``(x, y)``, with axis labels."""
    for colour, (label, (across, up)) in zip(SERIES, curves.items(), strict=False):
        ax.plot(across, up, color=colour, label=label)
    ax.set(xlabel=x, ylabel=y)
    ax.legend(loc="best", **LEGEND)
