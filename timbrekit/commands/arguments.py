"""What the parsers of several commands share. Without torch: help and usage errors are answered at once."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from timbrekit import SAMPLE_RATE
from timbrekit.training.names import DEVICES

LARGEST_NUMBER = 2**31 - 1


def add_command(choices: Any, name: str, run: str, help_text: str) -> argparse.ArgumentParser:
    """Add a command that calls the function ``run`` of ``timbrekit.commands``."""
    parser = choices.add_parser(name, help=help_text, description=_sentence(help_text))
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def whole(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``least`` up to what torch takes as a seed."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= LARGEST_NUMBER:
            raise argparse.ArgumentTypeError(f"{text} is out of range: give {least} to {LARGEST_NUMBER}")
        return value

    parse.__name__ = "whole number"  # argparse says "invalid whole number value"
    return parse


def add_device(parser: argparse.ArgumentParser, devices: Sequence[str] = DEVICES) -> None:
    parser.add_argument(
        "--device", choices=devices, default="auto",
        help="to train on (default: a GPU that works, else the CPU)",
    )  # fmt: skip


def add_rate(parser: argparse.ArgumentParser, of_daw: bool) -> None:
    """``of_daw``: that of the DAW, 48 kHz by default; else the recording's own by default."""
    default, words = SAMPLE_RATE if of_daw else None, "of your DAW (default: %(default)s)"
    words = words if of_daw else "default: the recording's own"
    parser.add_argument("--sample-rate", type=whole(1), default=default, metavar="HZ", help=words)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + ("" if words.endswith("?") else ".")
