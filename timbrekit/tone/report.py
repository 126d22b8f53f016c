"""What came of training, in numbers, a picture and words."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrekit.files import atomic_path, write_json
from timbrekit.results.plots import BLUE, ORANGE, VERMILION, new_figure, set_title, to_png
from timbrekit.tone.instrument import Instrument
from timbrekit.tone.measure import Measured
from timbrekit.tone.pitch import HOP, RATE
from timbrekit.tone.stream import latency_ms
from timbrekit.tone.train import Lesson, Trained

GOOD_CENTS, GOOD_OCTAVES, GOOD_RANK = 20.0, 0.02, 0.95
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


def write_report(folder: Path, trained: Trained, lesson: Lesson, about: dict[str, Any]) -> None:
    """Write report.json and report.png into ``folder``.

    Raises:
        OutputError: they cannot be written.
    """
    write_json(folder / "report.json", about)
    with atomic_path(folder / "report.png") as temporary:
        temporary.write_bytes(picture(trained, lesson))


def about_training(
    trained: Trained, lesson: Lesson, measured: Measured, seconds: float, recording: str, findings: list[dict]
) -> dict[str, Any]:
    """Everything the report says, as JSON."""
    ranges = lesson.ranges
    return {
        "recording": recording,
        "seconds": seconds,
        "steps": trained.history[-1].number if trained.history else 0,
        "interrupted": trained.interrupted,
        "spectral_loss": measured.spectral_loss,
        "pitch_cents_median": measured.pitch_cents_median,
        "octave_error_share": measured.octave_error_share,
        "loudness_rank": measured.loudness_rank,
        "pitch_range": list(ranges.pitch),
        "loudness_range": list(ranges.loudness),
        "held_out_seconds": sum(end - start for start, end in lesson.parts["test"]) * HOP / RATE,
        "sample_rate": RATE,
        "latency_ms": latency_ms(),
        "findings": findings,
        "verdict": verdict(measured),
    }


def picture(trained: Trained, lesson: Lesson) -> bytes:
    """A PNG: spectrograms of a held-out stretch and of the instrument playing it, what it was told, and the losses."""
    start, end = lesson.parts["test"][0]
    end = min(end, start + int(PICTURED_S * RATE / HOP))
    heard = lesson.heard.part(start, end)
    recorded = lesson.samples[start * HOP : end * HOP]
    played = trained.instrument.play(heard)
    figure, axes = new_figure(
        12, 11, mosaic=[["recorded"], ["played"], ["told"], ["losses"]], height_ratios=(1.2, 1.2, 0.8, 0.8)
    )
    loudest = float(_decibels(recorded).max())
    for name, sound, words in (
        ("recorded", recorded, "Recorded, and held back from training"),
        ("played", played, "The instrument, told pitch and loudness of it"),
    ):
        _spectrogram(axes[name], sound, loudest)
        set_title(axes[name], words)
    _controls(axes["told"], heard)
    _losses(axes["losses"], trained)
    return to_png(figure)


def _decibels(sound: torch.Tensor) -> np.ndarray:
    spectrum = torch.stft(sound, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs()
    return (20 * torch.log10(spectrum / 512 + 1e-7)).numpy()


def _spectrogram(ax: Any, sound: torch.Tensor, loudest: float) -> None:
    levels = _decibels(sound)
    bins = int(HIGHEST_HZ / RATE * 2048) + 1
    ax.imshow(
        levels[:bins],
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=loudest - DYNAMICS_DB,
        vmax=loudest,
        extent=(0, len(sound) / RATE, 0, HIGHEST_HZ / 1000),
    )
    ax.set(ylabel="frequency (kHz)")
    ax.grid(False)


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


def _losses(ax: Any, trained: Trained) -> None:
    steps = [entry.number for entry in trained.history]
    ax.plot(steps, [entry.train_loss for entry in trained.history], color=BLUE, label="what it learns from")
    validation = [entry.validation_loss for entry in trained.history]
    ax.plot(steps, validation, color=ORANGE, label="held back to check it")
    if validation:
        best = int(np.argmin(validation))
        ax.plot(steps[best], validation[best], "o", color=VERMILION, label="kept")
    ax.set(xlabel="step", ylabel="spectral loss")
    ax.legend(loc="upper right", frameon=False, fontsize=8.5)
    set_title(ax, "Training")


def describe_instrument(instrument: Instrument) -> str:
    """One line on an instrument's range."""
    low, high = instrument.ranges.pitch
    return f"{_note(low)} to {_note(high)}"


def _note(pitch: float) -> str:
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[round(pitch) % 12]}{round(pitch) // 12 - 1}"
