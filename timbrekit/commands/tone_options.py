"""``timbrekit tone …``: its commands and their options. What they do is in ``timbrekit.commands.tone``."""

import argparse
from pathlib import Path
from typing import Any

from timbrekit.commands.arguments import add_command, add_device, whole

HELP = "turn minutes of an instrument into one that you play with anything"
MODEL = "tone.pt, as tone train writes it"
STEPS = 2000
LOUDNESS = ("fit", "as-is")
HOSTS = ("page", "nn-tilde")
DEVICES = ("auto", "cpu", "cuda")


def add_commands(choices: Any) -> None:
    """Add ``tone`` with its own commands to the parser's commands.

    Args:
        choices: what ``ArgumentParser.add_subparsers`` returned.
    """
    tone = choices.add_parser("tone", help=HELP, description=HELP[0].upper() + HELP[1:] + ".")
    commands = tone.add_subparsers(required=True, metavar="COMMAND")

    train = add_command(commands, "train", "tone.train", "train an instrument on a recording")
    train.add_argument("recording", type=Path, help="one instrument or voice, one note at a time")
    train.add_argument("--out", type=Path, required=True, help="folder for tone.pt and its report")
    train.add_argument("--steps", type=whole(1), default=STEPS, help="of training (default: %(default)s)")
    train.add_argument("--seed", type=whole(0), default=0, help="of everything random (default: 0)")
    add_device(train, DEVICES)

    play = add_command(commands, "play", "tone.play", "play an instrument with a recording of something else")
    play.add_argument("model", type=Path, help=MODEL)
    play.add_argument("input", type=Path, help="recording of something with one pitch at a time")
    play.add_argument("output", type=Path, help="WAV file, 48 kHz")
    play.add_argument(
        "--transpose", type=_semitones, default=0.0, metavar="N",
        help="semitones, after the input was brought to the instrument's range by octaves",
    )  # fmt: skip
    play.add_argument(
        "--loudness", choices=LOUDNESS, default="fit",
        help="fit: soft and loud become the instrument's (default); as-is: as loud as the input",
    )  # fmt: skip
    play.add_argument("--seed", type=whole(0), default=0, help="of the noise in the sound")

    export = add_command(commands, "export", "tone.export", "write an instrument as a page or for nn~")
    export.add_argument("model", type=Path, help=MODEL)
    export.add_argument("--to", choices=HOSTS, help="default: by the ending of --out, .html or .ts")
    export.add_argument("--out", type=Path, required=True, help="file to write")


def _semitones(text: str) -> float:
    value = float(text)
    if not -48 <= value <= 48:
        raise argparse.ArgumentTypeError(f"{text} is out of range: give -48 to 48 semitones")
    return value
