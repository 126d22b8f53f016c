"""``timbrekit drum``: its options; hits in, a preset and stems out."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

from timbrekit.commands import arguments
from timbrekit.commands.output import OK, finish, keep, quiet_or_say


def add_command(choices: Any) -> None:
    """Add ``drum`` to what ``ArgumentParser.add_subparsers`` returned."""
    words = "turn one to eight hits of your own drum into an instrument to train"
    parser = arguments.add_command(choices, "drum", "drum.drum", words)
    words = "a sound file with one stroke; up to eight, soft to hard"
    parser.add_argument("hits", type=Path, nargs="+", metavar="HIT", help=words)
    words = "preset file to write, which train takes as --preset"
    parser.add_argument("--out", type=Path, required=True, help=words)
    words = "hits of another drum: one more parameter leads from the one drum to the other"
    parser.add_argument("--blend", type=Path, nargs="+", default=[], metavar="HIT", help=words)
    words = "also write modes, noise, onset and their sum as WAV"
    parser.add_argument("--stems", type=Path, metavar="DIR", help=words)


def drum(options: argparse.Namespace) -> int:
    from timbrekit.drums import make_drum, write_stems
    from timbrekit.presets import save_preset
    from timbrekit.synth.drum import SILENT_DB

    for hit in (*options.hits, *options.blend):
        keep(hit, options.out)
    talk = quiet_or_say(options)
    began = time.perf_counter()
    made = make_drum(options.hits, options.out.stem, talk, options.blend)
    talk("Measuring")
    figures = made.figures()
    save_preset(made.preset, options.out)
    written = []
    if options.stems:
        written = [str(path) for path in write_stems(made, options.stems)]
    drum = made.drum
    modes = int((drum.level > SILENT_DB).any(0).sum())
    talk(f"{drum.kind.capitalize()}: {modes} modes, noise in {len(drum.noise_slope)} bands.")
    blended = {}
    if drum.other:
        theirs = int((drum.other.level > SILENT_DB).any(0).sum())
        pairs = modes + theirs - len(drum.frequency)
        talk(f"Blended with a {drum.other.kind} of {theirs} modes, {pairs} of which are paired.")
        blended = {"blended_with": {"class": drum.other.kind, "modes": theirs, "paired": pairs}}
    talk(
        f"Spectral loss {figures['mss']:.2f}, where two noises of the same model differ by {figures['mss_floor']:.2f}; "
        f"log spectral distance {figures['lsd']:.2f} ({figures['lsd_floor']:.2f})."
    )
    talk(f"Train with it: timbrekit train RECORDING --preset {shlex.quote(str(options.out))} --out FOLDER")
    finish(
        options,
        {
            "preset": str(options.out),
            "class": drum.kind,
            "hits": len(options.hits),
            "modes": modes,
            **figures,
            **blended,
            "stems": written,
            "seconds": time.perf_counter() - began,
        },
    )
    return OK
