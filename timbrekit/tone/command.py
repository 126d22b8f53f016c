"""``timbrekit tone …``: its commands and their options. What they do is in ``timbrekit.commands.tone``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = 2000
LOUDNESS = ("fit", "as-is")
HOSTS = ("page", "nn-tilde")
LARGEST_NUMBER = 2**31 - 1


def add_commands(choices: Any) -> None:
    """Add ``tone`` with its own commands to the parser's commands.

    Args:
        choices: what ``ArgumentParser.add_subparsers`` returned.
    """
    help_text = "turn minutes of an instrument into one that you play with anything"
    tone = choices.add_parser("tone", help=help_text, description=_sentence(help_text))
    commands = tone.add_subparsers(required=True, metavar="COMMAND")

    train = _command(commands, "train", "tone.train", "train an instrument on a recording")
    train.add_argument("recording", type=Path, help="one instrument or voice, one note at a time")
    train.add_argument("--out", type=Path, required=True, help="folder for tone.pt and its report")
    train.add_argument("--steps", type=_whole(1), default=STEPS, help="of training (default: %(default)s)")
    train.add_argument("--seed", type=_whole(0), default=0)

    play = _command(commands, "play", "tone.play", "play an instrument with a recording of something else")
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

    export = _command(commands, "export", "tone.export", "write an instrument as a page or for nn~")
    export.add_argument("model", type=Path)
    export.add_argument("--to", choices=HOSTS, help="default: by the ending of --out, .html or .ts")
    export.add_argument("--out", type=Path, required=True)


def _command(choices: Any, name: str, run: str, help_text: str) -> argparse.ArgumentParser:
    parser = choices.add_parser(name, help=help_text, description=_sentence(help_text))
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= LARGEST_NUMBER:
            raise argparse.ArgumentTypeError(f"{text} is out of range: give {least} to {LARGEST_NUMBER}")
        return value

    parse.__name__ = "whole number"
    return parse


def _semitones(text: str) -> float:
    value = float(text)
    if not -48 <= value <= 48:
        raise argparse.ArgumentTypeError(f"{text} is out of range: give -48 to 48 semitones")
    return value
