"""``timbrekit drum …``: its options. What it does is in ``timbrekit.commands.drum``."""

from pathlib import Path
from typing import Any

from timbrekit.commands import arguments


def add_command(choices: Any) -> None:
    """Add ``drum`` to the parser's commands.

    Args:
        choices: what ``ArgumentParser.add_subparsers`` returned.
    """
    words = "turn one to eight hits of your own drum into an instrument to train"
    parser = arguments.add_command(choices, "drum", "drum.drum", words)
    parser.add_argument(
        "hits",
        type=Path,
        nargs="+",
        metavar="HIT",
        help="a sound file with one stroke; up to eight, soft to hard",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="preset file to write, which train takes as --preset"
    )
    parser.add_argument(
        "--blend",
        type=Path,
        nargs="+",
        default=[],
        metavar="HIT",
        help="hits of another drum: one more parameter leads from the one drum to the other",
    )
    parser.add_argument(
        "--stems", type=Path, metavar="DIR", help="also write modes, noise, onset and their sum as WAV"
    )
