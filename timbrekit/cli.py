"""The command line: ``timbrekit …``. Thin: here the arguments, in ``commands`` what is done with them.

Help, usage errors and everything else about the arguments is answered without importing torch.
"""

import argparse
import atexit
import functools
import gc
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from timbrekit import __version__
from timbrekit.commands import drum, experiment, export, tone
from timbrekit.commands.arguments import add_command, add_device, add_rate, whole
from timbrekit.commands.output import BAD_INPUT, INTERRUPTED, OK
from timbrekit.errors import TimbrekitError, TimbrekitWarning
from timbrekit.plugin.knobs import HOLD, NEURALITY, RETRIGGER, TRIGGER
from timbrekit.training.names import DEFAULT_MODELS, LISTENERS, MODEL_NAMES, RECIPES

MODEL = "model.pt, as train writes it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, 2 on bad input (one line on stderr), 130 on Ctrl-C. Wrong arguments raise SystemExit(2).
    """
    # Or Python searches all of torch for garbage before it ends: seconds on a busy machine.
    atexit.register(gc.freeze)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a character shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
            return _function(options.run)(options)
    except TimbrekitError as error:
        print(f"timbrekit: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("timbrekit: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again at exit
        return OK


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options. Each parsed command has the name of its function in ``run``."""
    parser = _Parser(prog="timbrekit", description="Turn a minute of drumming into an instrument.")
    parser.add_argument("--version", action="version", version=f"timbrekit {__version__}")
    choices = parser.add_subparsers(required=True, metavar="COMMAND")

    train = add_command(choices, "train", "train", "train a model on a recording")
    train.add_argument("recording", type=Path, help="about a minute of one drum; most audio formats")
    train.add_argument(
        "--preset", default="snare-1", help="a preset's name, or a preset file (default: snare-1)"
    )
    train.add_argument("--out", type=Path, required=True, help="folder for the model and its report")
    train.add_argument("--name", help="of the instrument (default: the recording's and the preset's)")
    train.add_argument(
        "--test",
        type=Path,
        metavar="RECORDING",
        help="other playing on the same drum to measure the model on (default: the end of the recording, held out)",
    )
    train.add_argument(
        "--model", choices=MODEL_NAMES, help=f"size of the network (default: {DEFAULT_MODELS['timbrekit']})"
    )
    train.add_argument(
        "--recipe",
        choices=RECIPES,
        default=RECIPES[0],
        help="how to train: timbrekit's way (default), or the paper's",
    )
    train.add_argument(
        "--listener",
        choices=LISTENERS,
        default=LISTENERS[0],
        help="torchdrum: hears the first 5 ms, for every host (default); mel: listens on while a hit rings and "
        "corrects the sound, for the page and nn~",
    )
    train.add_argument(
        "--epochs", type=whole(1), help="times through all hits (default: as the recipe has it)"
    )
    train.add_argument("--seed", type=whole(0), default=0, help="of everything random (default: %(default)s)")
    add_device(train)
    add_rate(train, of_daw=True)
    train.add_argument(
        "--bounds",
        action="store_true",
        help="also compute how well this preset could follow at best (a minute more)",
    )
    _detector_arguments(train, "what suits the recording")

    measure = add_command(
        choices, "measure", "measure.measure", "how well does a model follow playing it has not heard?"
    )
    measure.add_argument("model", type=Path, help=MODEL)
    measure.add_argument("recording", type=Path, help="other playing on the same drum, at the same gain")
    measure.add_argument(
        "--trained-on", type=Path, required=True, metavar="RECORDING", help="that the model was trained on"
    )

    rehearse = add_command(choices, "rehearse", "rehearse", "hear what the plug-in will play")
    rehearse.add_argument("model", type=Path, help=MODEL)
    rehearse.add_argument("recording", type=Path, help="of drumming, the trained one or any other")
    rehearse.add_argument("output", type=Path, help="WAV file to write")
    rehearse.add_argument("--trace", type=Path, help="write every step as .npz")
    rehearse.add_argument(
        "--sensitivity", type=float, default=1.0, help=f"{NEURALITY.title}: 0 to 4 (default: %(default)s)"
    )
    rehearse.add_argument(
        "--dry-wet",
        type=float,
        default=1.0,
        help="0 to 1, how much of it is the instrument; the rest is the recording (default: %(default)s)",
    )
    rehearse.add_argument(
        "--seed", type=whole(0), default=0, help="of the instrument's noise (default: %(default)s)"
    )
    add_rate(rehearse, of_daw=False)
    rehearse.add_argument("--primer", type=Path, help="sound sent through the plug-in first")
    _detector_arguments(rehearse, "what the model was trained with")

    onsets = add_command(choices, "onsets", "onsets", "show what the plug-in would trigger on")
    onsets.add_argument("recording", type=Path, help="of drumming")
    add_rate(onsets, of_daw=False)
    _detector_arguments(onsets, "as the plug-in opens")

    add_command(choices, "presets", "presets", "list the presets")

    instruments = add_command(
        choices, "instruments", "instruments.instruments", "list your instruments with their verdicts"
    )
    instruments.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(),
        help="searched with all folders below it (default: this one)",
    )

    check = add_command(choices, "check", "check", "is a model file ready for the plug-in?")
    check.add_argument("model", type=Path, help="any model file for TorchDrum")

    inspect = add_command(choices, "inspect", "inspect", "show what is wrong with a recording")
    inspect.add_argument("recording", type=Path, help="that you think of training on")
    add_rate(inspect, of_daw=True)
    _detector_arguments(inspect, "what suits the recording")

    page = add_command(choices, "page", "page", "write a model as a page that plays in any browser")
    page.add_argument("model", type=Path, help=MODEL)
    page.add_argument("--out", type=Path, required=True, help="file to write, such as play.html")

    export.add_command(choices)
    tone.add_commands(choices)
    drum.add_command(choices)
    experiment.add_command(choices)
    return parser


class _Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line, as every other wrong input."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"timbrekit: {_one_line(message)}. See {self.prog} --help.\n")


def _function(name: str) -> Callable[[argparse.Namespace], int]:
    """A function of ``timbrekit.commands``. Looked up when it is called: Ctrl-C while torch loads is for main."""
    module, _, function = f"timbrekit.commands.{name}".rpartition(".")
    return getattr(importlib.import_module(module), function)


def _detector_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    words = f"Without any of them: {default}. With some, the others are as the plug-in opens."
    group = parser.add_argument_group("the plug-in's onset controls", words)
    group.add_argument("--on-threshold", type=float, metavar="DB", help=TRIGGER.title)
    group.add_argument("--off-threshold", type=float, metavar="DB", help=RETRIGGER.title)
    group.add_argument("--hold", type=int, metavar="SAMPLES", help=HOLD.title)


def _show_warning(usual: Callable[..., None], message: Warning | str, *more: Any) -> None:
    """Ours in one line, as errors are; those of other packages as usual, with the place that they come from."""
    if isinstance(message, TimbrekitWarning):
        print(f"timbrekit: {_one_line(message)}", file=sys.stderr)
    else:
        usual(message, *more)


def _one_line(words: object) -> str:
    return " ".join(str(words).split())


if __name__ == "__main__":
    raise SystemExit(main())
