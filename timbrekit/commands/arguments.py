"""What the parsers of several commands share. Without torch: help and usage errors are answered at once."""

import argparse
from collections.abc import Callable
from typing import Any

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


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + ("" if words.endswith("?") else ".")
