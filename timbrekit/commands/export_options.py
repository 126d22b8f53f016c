"""``timbrekit export …``: its options. What it does is in ``timbrekit.commands.export``."""

from pathlib import Path
from typing import Any

from timbrekit.commands import arguments


def add_command(choices: Any) -> None:
    """Add ``export`` to the parser's commands.

    Args:
        choices: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = arguments.add_command(
        choices, "export", "export.export", "write a model, or its hits, for other hosts"
    )
    parser.add_argument("model", type=Path, help="model.pt, as train writes it")
    parser.add_argument(
        "--to",
        choices=("nn-tilde", "flucoma", "midi"),
        required=True,
        help="nn~ in Max and Pure Data; FluCoMa; or a MIDI file of a recording's hits",
    )
    parser.add_argument(
        "--recording",
        type=Path,
        help="of drumming, for --to midi: its hits, with what the model makes of them",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write")
