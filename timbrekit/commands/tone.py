"""What ``timbrekit tone train``, ``play`` and ``export`` do. Their options are in ``commands.tone_options``."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from timbrekit.commands.output import INTERRUPTED, OK, Interruptible, finish, keep, quiet_or_say


def train(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe, read_recording
    from timbrekit.tone.make import MODEL, UNFINISHED, Listened, make_instrument
    from timbrekit.tone.train import Settings
    from timbrekit.training.recipes import find_device

    talk = quiet_or_say(options)
    for name in (MODEL, "report.json", "report.png", UNFINISHED):
        keep(options.recording, options.out / name)
    talk(f"Listening to {options.recording.name}")
    listened = Listened.to(read_recording(options.recording))
    for line in describe(listened.findings):
        talk(f"  {line}")
    settings = Settings(steps=options.steps, seed=options.seed, device=find_device(options.device))
    with Interruptible():
        trained, _, about = make_instrument(listened, options.out, settings, _progress(options))
    model = options.out / MODEL
    talk(about["verdict"])
    talk(f"Everything is in {options.out}. Play it: timbrekit tone play {model} INPUT OUT.wav")
    measures = "seconds spectral_loss pitch_cents_median octave_error_share loudness_rank verdict findings"
    finish(options, {"model": str(model)} | {key: about[key] for key in measures.split()})
    return INTERRUPTED if trained.interrupted else OK


def play(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe, read_recording, write_wav
    from timbrekit.tone.instrument import load_instrument
    from timbrekit.tone.pitch import RATE
    from timbrekit.tone.play import play as played_by

    for read in (options.model, options.input):
        keep(read, options.output)
    instrument, _ = load_instrument(options.model)
    samples = read_recording(options.input).samples
    played = played_by(instrument, samples, options.transpose, options.loudness, options.seed)
    write_wav(options.output, played.samples, RATE)
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
