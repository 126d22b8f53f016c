"""What ``timbrekit tone train``, ``play`` and ``export`` do. Their options are in ``timbrekit.tone.command``."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from timbrekit.commands.output import INTERRUPTED, OK, Interruptible, finish, finite, keep, quiet_or_say

MODEL, UNFINISHED = "tone.pt", "unfinished.pt"


def train(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe, read_recording
    from timbrekit.tone.findings import tone_findings
    from timbrekit.tone.instrument import save_instrument
    from timbrekit.tone.measure import measure_held_out
    from timbrekit.tone.pitch import hear
    from timbrekit.tone.report import about_training, write_report
    from timbrekit.tone.train import Settings, prepare
    from timbrekit.tone.train import train as train_instrument

    talk = quiet_or_say(options)
    for name in (MODEL, "report.json", "report.png", UNFINISHED):
        keep(options.recording, options.out / name)
    began = time.perf_counter()
    talk(f"Listening to {options.recording.name}")
    recording = read_recording(options.recording)
    heard = hear(recording.samples)
    findings = tone_findings(recording, heard)
    for line in describe(findings):
        talk(f"  {line}")
    lesson = prepare(recording.samples, heard)
    settings = Settings(steps=options.steps, seed=options.seed)
    with Interruptible():
        trained = train_instrument(lesson, settings, _progress(options), options.out / UNFINISHED)
    measured = measure_held_out(trained.instrument, lesson)
    seconds = time.perf_counter() - began
    about = about_training(
        trained, lesson, measured, seconds, recording.name, [asdict(finding) for finding in findings]
    )
    about = finite(about)
    model = options.out / MODEL
    save_instrument(model, trained.instrument, about)
    write_report(options.out, trained, lesson, about)
    talk(about["verdict"])
    talk(f"Everything is in {options.out}. Play it: timbrekit tone play {model} INPUT OUT.wav")
    keys = (
        "spectral_loss",
        "pitch_cents_median",
        "octave_error_share",
        "loudness_rank",
        "verdict",
        "findings",
    )
    finish(options, {"model": str(model), "seconds": seconds} | {key: about[key] for key in keys})
    return INTERRUPTED if trained.interrupted else OK


def play(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe
    from timbrekit.tone.pitch import RATE
    from timbrekit.tone.play import play_file

    for read in (options.model, options.input):
        keep(read, options.output)
    played = play_file(
        options.model, options.input, options.output, options.transpose, options.loudness, options.seed
    )
    talk = quiet_or_say(options)
    for line in describe(played.findings):
        talk(f"  {line}")
    moved = f", moved by {played.octaves:+d} octaves" if played.octaves else ""
    talk(f"{len(played.samples) / RATE:.1f} s of sound in {options.output}{moved}")
    result = {"output": str(options.output), "seconds": len(played.samples) / RATE, "octaves": played.octaves}
    finish(options, result | {"findings": [asdict(finding) for finding in played.findings]})
    return OK


def export(options: argparse.Namespace) -> int:
    from timbrekit.tone.export import write_nn_tilde
    from timbrekit.tone.live_page import build_tone_page

    keep(options.model, options.out)
    is_page = options.to == "page" or (options.to is None and options.out.suffix.lower() == ".html")
    (build_tone_page if is_page else write_nn_tilde)(options.model, options.out)
    quiet_or_say(options)(f"Wrote {options.out}")
    finish(options, {"output": str(options.out)})
    return OK


def _progress(options: argparse.Namespace) -> Callable[[Any], None]:
    """A line for each validation, with the time left; on a terminal always the same line."""
    terminal = sys.stderr.isatty()

    def show(progress: Any) -> None:
        if options.json and not terminal:
            return
        last = progress.number == progress.of
        words = (
            f"  step {progress.number} of {progress.of}, loss {progress.validation_loss:.2f}, "
            f"{progress.seconds_left:.0f} s left"
        )
        sys.stderr.write(f"\r{words}   " + ("\n" if last else "") if terminal else words + "\n")
        sys.stderr.flush()

    return show
