"""What all commands share: exit statuses, what is said on the way, the bar, the JSON at the end, Ctrl-C."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timbrekit.errors import OutputError

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130  # exit statuses
BAR_WIDTH = 24


def keep(kept: str | Path, output: Path) -> None:
    """Refuse to write ``output`` over a file that was read."""
    if output.exists() and Path(kept).exists() and os.path.samefile(kept, output):
        raise OutputError(
            f"{output} is what is read, and would be overwritten. Give the result another name."
        )


def finite(value: Any) -> Any:
    """``value`` as JSON can hold it: a stranger's file may hold numbers that are none."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(words: str) -> None:
    print(words, flush=True)


def quiet_or_say(options: argparse.Namespace) -> Callable[[str], None]:
    """What tells of each step: nothing with ``--json``, whose one object stands alone."""
    return say if not options.json else lambda words: None


def finish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(result, allow_nan=False), flush=True)


class Bar:
    """A progress bar on a terminal, with the time left."""

    def __init__(self, visible: bool):
        self.visible = visible

    def __call__(self, epoch: Any) -> None:
        if not self.visible:
            return
        filled = round(BAR_WIDTH * epoch.number / epoch.of)
        end = "\n" if epoch.number == epoch.of else ""
        sys.stderr.write(
            f"\r  [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {epoch.number}/{epoch.of}, "
            f"loss {epoch.validation_loss:.3f}, {epoch.seconds_left:.0f} s left   {end}"
        )
        sys.stderr.flush()


class Interruptible:
    """Lets the first Ctrl-C end training early and keep its best; the second one stops everything."""

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGINT, self._first)

    def _first(self, number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, self.before)
        raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self.before)
