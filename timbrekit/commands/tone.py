"""``timbrekit tone train``, ``play`` and ``export``: their options, and what they do."""

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrekit.commands.arguments import add_command, add_device, whole
from timbrekit.commands.output import INTERRUPTED, OK, finish, interruptible, keep, quiet_or_say

HELP = "turn minutes of an instrument into one that you play with anything"
MODEL_HELP = "tone.pt, as tone train writes it"


def add_commands(choices: Any) -> None:
    """Add ``tone`` with its own commands to what ``ArgumentParser.add_subparsers`` returned."""
    tone = choices.add_parser("tone", help=HELP, description=HELP[0].upper() + HELP[1:] + ".")
    commands = tone.add_subparsers(required=True, metavar="COMMAND")

    train = add_command(commands, "train", "tone.train", "train an instrument on a recording")
    train.add_argument("recording", type=Path, help="one instrument or voice, one note at a time")
    train.add_argument("--out", type=Path, required=True, help="folder for tone.pt and its report")
    train.add_argument("--steps", type=whole(1), default=2000, help="of training (default: %(default)s)")
    train.add_argument("--seed", type=whole(0), default=0, help="of everything random (default: 0)")
    add_device(train, ("auto", "cpu", "cuda"))

    play = add_command(commands, "play", "tone.play", "play an instrument with a recording of something else")
    play.add_argument("model", type=Path, help=MODEL_HELP)
    play.add_argument("input", type=Path, help="recording of something with one pitch at a time")
    play.add_argument("output", type=Path, help="WAV file, 48 kHz")
    play.add_argument(
        "--transpose", type=_semitones, default=0.0, metavar="N",
        help="semitones, after the input was brought to the instrument's range by octaves",
    )  # fmt: skip
    play.add_argument(
        "--loudness", choices=("fit", "as-is"), default="fit",
        help="fit: soft and loud become the instrument's (default); as-is: as loud as the input",
    )  # fmt: skip
    play.add_argument("--seed", type=whole(0), default=0, help="of the noise in the sound")

    export = add_command(commands, "export", "tone.export", "write an instrument as a page or for nn~")
    export.add_argument("model", type=Path, help=MODEL_HELP)
    export.add_argument(
        "--to", choices=("page", "nn-tilde"), help="default: by the ending of --out, .html or .ts"
    )
    export.add_argument("--out", type=Path, required=True, help="file to write")


def _semitones(text: str) -> float:
    value = float(text)
    if not -48 <= value <= 48:
        raise argparse.ArgumentTypeError(f"{text} is out of range: give -48 to 48 semitones")
    return value


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
    with interruptible():
        trained, _, about = make_instrument(listened, options.out, settings, _progress(options))
    model = options.out / MODEL
    talk(about["verdict"])
    talk(
        f"Everything is in {options.out}. Play it: timbrekit tone play {shlex.quote(str(model))} INPUT OUT.wav"
    )
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
