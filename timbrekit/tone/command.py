"""``timbrekit tone train`` and ``timbrekit tone play``: arguments, what is done with them, and what is said.

Nothing here imports torch before a command runs.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrekit.errors import OutputError

OK, INTERRUPTED = 0, 130
MODEL, UNFINISHED = "tone.pt", "unfinished.pt"
STEPS = 2000
LOUDNESS = ("fit", "as-is")
LARGEST_SEED = 2**31 - 1


def add_commands(choices: Any) -> None:
    """Add ``tone`` with its own commands to the parser's commands.

    Args:
        choices: what ``ArgumentParser.add_subparsers`` returned.
    """
    help_text = "turn minutes of an instrument into one that you play with anything"
    tone = choices.add_parser("tone", help=help_text, description=_sentence(help_text))
    commands = tone.add_subparsers(required=True, metavar="COMMAND")

    train = _command(commands, "train", run_train, "train an instrument on a recording")
    train.add_argument("recording", type=Path, help="one instrument or voice, one note at a time")
    train.add_argument("--out", type=Path, required=True, help=f"folder for {MODEL} and its report")
    train.add_argument("--steps", type=_whole(1), default=STEPS, help="of training (default: %(default)s)")
    train.add_argument("--seed", type=_whole(0), default=0)

    play = _command(commands, "play", run_play, "play an instrument with a recording of something else")
    play.add_argument("model", type=Path)
    play.add_argument("input", type=Path)
    play.add_argument("output", type=Path, help="WAV file, 48 kHz")
    play.add_argument(
        "--transpose", type=_semitones, default=0.0, metavar="N",
        help="semitones, after the input was brought to the instrument's range by octaves",
    )  # fmt: skip
    play.add_argument(
        "--loudness", choices=LOUDNESS, default="fit",
        help="fit: soft and loud become the instrument's (default); as-is: as loud as the input",
    )  # fmt: skip
    play.add_argument("--seed", type=_whole(0), default=0, help="of the noise in the sound")

    nn_tilde = _command(commands, "export", run_export, "write an instrument for nn~ in Max and Pure Data")
    nn_tilde.add_argument("model", type=Path)
    nn_tilde.add_argument("--out", type=Path, required=True, help="file that ends in .ts")


def run_train(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe, read_recording
    from timbrekit.tone.findings import tone_findings
    from timbrekit.tone.instrument import save_instrument
    from timbrekit.tone.measure import measure_held_out
    from timbrekit.tone.pitch import hear
    from timbrekit.tone.report import about_training, write_report
    from timbrekit.tone.train import Settings, prepare, train

    talk = _talk(options)
    for name in (MODEL, "report.json", "report.png", UNFINISHED):
        _keep(options.recording, options.out / name)
    began = time.perf_counter()
    talk(f"Listening to {options.recording.name}")
    recording = read_recording(options.recording)
    heard = hear(recording.samples)
    findings = tone_findings(recording, heard)
    for line in describe(findings):
        talk(f"  {line}")
    lesson = prepare(recording.samples, heard)
    trained = train(
        lesson, Settings(steps=options.steps, seed=options.seed), _progress(options), options.out / UNFINISHED
    )
    measured = measure_held_out(trained.instrument, lesson)
    seconds = time.perf_counter() - began
    about = about_training(
        trained, lesson, measured, seconds, recording.name, [asdict(finding) for finding in findings]
    )
    about = {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in about.items()
    }
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
    _finish(options, {"model": str(model), "seconds": seconds} | {key: about[key] for key in keys})
    return INTERRUPTED if trained.interrupted else OK


def run_play(options: argparse.Namespace) -> int:
    from timbrekit.recording import describe
    from timbrekit.tone.pitch import RATE
    from timbrekit.tone.play import play_file

    for read in (options.model, options.input):
        _keep(read, options.output)
    played = play_file(
        options.model, options.input, options.output, options.transpose, options.loudness, options.seed
    )
    talk = _talk(options)
    for line in describe(played.findings):
        talk(f"  {line}")
    moved = f", moved by {played.octaves:+d} octaves" if played.octaves else ""
    talk(f"{len(played.samples) / RATE:.1f} s of sound in {options.output}{moved}")
    result = {"output": str(options.output), "seconds": len(played.samples) / RATE, "octaves": played.octaves}
    _finish(options, result | {"findings": [asdict(finding) for finding in played.findings]})
    return OK


def run_export(options: argparse.Namespace) -> int:
    from timbrekit.tone.export import write_nn_tilde

    _keep(options.model, options.out)
    write_nn_tilde(options.model, options.out)
    _talk(options)(f"Wrote {options.out}")
    _finish(options, {"output": str(options.out)})
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


def _command(choices: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser = choices.add_parser(name, help=help_text, description=_sentence(help_text))
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= LARGEST_SEED:
            raise argparse.ArgumentTypeError(f"{text} is out of range: give {least} to {LARGEST_SEED}")
        return value

    parse.__name__ = "whole number"
    return parse


def _semitones(text: str) -> float:
    value = float(text)
    if not -48 <= value <= 48:
        raise argparse.ArgumentTypeError(f"{text} is out of range: give -48 to 48 semitones")
    return value


def _keep(read: Path, output: Path) -> None:
    """Refuse to write ``output`` over a file that is read."""
    if output.exists() and read.exists() and os.path.samefile(read, output):
        raise OutputError(
            f"{output} is what is read, and would be overwritten. Give the result another name."
        )


def _talk(options: argparse.Namespace) -> Callable[[str], None]:
    return (lambda words: None) if options.json else (lambda words: print(words, flush=True))


def _finish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(result, allow_nan=False), flush=True)
