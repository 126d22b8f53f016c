"""What came of training, in numbers, a picture and words."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from timbrekit.results.plots import BLUE, ORANGE, VERMILION, new_figure, set_title, to_png
from timbrekit.tone.measure import Measured
from timbrekit.tone.pitch import HOP, PITCHED, RATE, Heard, ranges_of
from timbrekit.tone.stream import latency_ms
from timbrekit.tone.train import Dataset, Progress, Trained

GOOD_CENTS, GOOD_OCTAVES, GOOD_RANK = 20.0, 0.02, 0.95
NAMES = "C C# D D# E F F# G G# A A# B".split()
PICTURED_S = 8.0  # of the held-out part
HIGHEST_HZ = 12_000
DYNAMICS_DB = 80.0  # shown below the loudest


def verdict(measured: Measured) -> str:
    """One or two sentences on how well the instrument follows, for a player."""
    faults = []
    if not measured.pitch_cents_median <= GOOD_CENTS:
        faults.append(f"its pitch is off by {measured.pitch_cents_median:.0f} cents in the median")
    if not measured.octave_error_share <= GOOD_OCTAVES:
        faults.append(f"{measured.octave_error_share:.1%} of what it plays is off by octaves")
    if not measured.loudness_rank >= GOOD_RANK:
        faults.append(f"its loudness follows loosely (rank correlation {measured.loudness_rank:.2f})")
    if not faults:
        return "It follows pitch and loudness on phrases that it never heard. Play it with anything that has one pitch."
    return (
        f"On phrases that it never heard, {' and '.join(faults)}. Look at the notes on the recording first, then train "
        "longer (--steps)."
    )


def about_training(
    trained: Trained, data: Dataset, measured: Measured, seconds: float, recording: str, findings: list[dict]
) -> dict[str, Any]:
    """Everything the report says, as JSON."""
    ranges = data.ranges
    return {
        "recording": recording,
        "seconds": seconds,
        "steps": trained.history[-1].number if trained.history else 0,
        "interrupted": trained.interrupted,
        **{name: value if math.isfinite(value) else None for name, value in asdict(measured).items()},
        "pitch_range": list(ranges.pitch),
        "loudness_range": list(ranges.loudness),
        "held_out_seconds": sum(end - start for start, end in data.parts["test"]) * HOP / RATE,
        "sample_rate": RATE,
        "latency_ms": latency_ms(),
        "findings": findings,
        "verdict": verdict(measured),
    }


def picture(trained: Trained, data: Dataset) -> bytes:
    """A PNG: spectrograms of a held-out stretch and of the instrument playing it, what it was told, and the losses."""
    start, end = data.parts["test"][0]
    end = min(end, start + int(PICTURED_S * RATE / HOP))
    heard = data.heard.part(start, end)
    recorded = data.samples[start * HOP : end * HOP]
    played = trained.instrument.play(heard)
    figure, axes = new_figure(
        12, 11, mosaic=[["recorded"], ["played"], ["told"], ["losses"]], height_ratios=(1.2, 1.2, 0.8, 0.8)
    )
    loudest = float(_decibels(recorded).max())
    draw_spectrogram(axes["recorded"], recorded, "Recorded, and held back from training", loudest)
    draw_spectrogram(axes["played"], played, "The instrument, told pitch and loudness of it", loudest)
    _controls(axes["told"], heard)
    _losses(axes["losses"], trained.history)
    return to_png(figure)


def _decibels(sound: torch.Tensor) -> np.ndarray:
    spectrum = torch.stft(sound, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs()
    return (20 * torch.log10(spectrum / 512 + 1e-7)).numpy()


def draw_spectrogram(
    ax: Any, sound: torch.Tensor | np.ndarray, words: str, loudest: float | None = None
) -> None:
    """A spectrogram of ``(samples,)`` at 48 kHz under a title; ``loudest`` is the dB of the brightest colour."""
    levels = _decibels(torch.as_tensor(sound))
    loudest = float(levels.max()) if loudest is None else loudest
    ax.imshow(
        levels[: int(HIGHEST_HZ / RATE * 2048) + 1],
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=loudest - DYNAMICS_DB,
        vmax=loudest,
        extent=(0, len(sound) / RATE, 0, HIGHEST_HZ / 1000),
    )
    ax.set(ylabel="frequency (kHz)")
    ax.grid(False)
    set_title(ax, words)


def _controls(ax: Any, heard: Any) -> None:
    time = np.arange(len(heard)) * HOP / RATE
    pitch = np.where(heard.voiced > 0.5, heard.pitch, np.nan)
    ax.plot(time, pitch, color=BLUE)
    ax.set(xlim=(0, time[-1]), xlabel="time (s)")
    ax.set_ylabel("pitch (semitones)", color=BLUE)
    right = ax.twinx()
    right.plot(time, heard.loudness, color=ORANGE, linewidth=1)
    right.set_ylabel("loudness (LKFS)", color=ORANGE)
    set_title(ax, "What the instrument is told")


def losses_picture(history: Sequence[Progress]) -> bytes:
    """A PNG of the losses so far."""
    figure, ax = new_figure(9.5, 2.6)
    _losses(ax, history)
    return to_png(figure)


def _losses(ax: Any, history: Sequence[Progress]) -> None:
    steps = [entry.number for entry in history]
    ax.plot(steps, [entry.train_loss for entry in history], color=BLUE, label="what it learns from")
    validation = [entry.validation_loss for entry in history]
    ax.plot(steps, validation, color=ORANGE, label="held back to check it")
    if validation:
        best = int(np.argmin(validation))
        ax.plot(steps[best], validation[best], "o", color=VERMILION, label="kept")
    ax.set(xlabel="step", ylabel="spectral loss")
    ax.legend(loc="upper right", frameon=False, fontsize=8.5)
    set_title(ax, "Training")


def describe_ranges(heard: Heard) -> str:
    """What was played in a recording, e.g. "A3 to C5, -34 to -15 LKFS"."""
    if not bool((heard.voiced > PITCHED).any()):
        return "no pitch"
    ranges = ranges_of(heard)
    low, high = (f"{NAMES[round(pitch) % 12]}{round(pitch) // 12 - 1}" for pitch in ranges.pitch)
    return f"{low} to {high}, soft to loud {ranges.loudness[0]:.0f} to {ranges.loudness[1]:.0f} LKFS"
