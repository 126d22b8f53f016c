"""What all commands share: exit statuses, what is said on the way, the bar, the JSON at the end, Ctrl-C."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from timbrekit.errors import OutputError
from timbrekit.time_left import Ticker, TimeLeft

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130  # exit statuses
BAR_WIDTH = 24
REDRAWN_EVERY_SECONDS = 0.5  # on a terminal
SECONDS_BETWEEN_LINES = 15.0  # elsewhere


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


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def hits_found(prepared: Any) -> str:
    """How many hits there are, and what became of the others."""
    words = f"{counted(len(prepared.hits), 'hit')} found"
    if dropped := len(prepared.hits.dropped):
        words += f"; {dropped} more came too soon after another and will not sound"
    if missed := len(prepared.suggestion.missed) if prepared.suggestion else 0:
        words += f"; about {missed} that an attentive listener would count are not heard"
    return words


def quiet_or_say(options: argparse.Namespace) -> Callable[[str], None]:
    """What tells of each step: nothing with ``--json``, whose one object stands alone."""
    return say if not options.json else lambda words: None


def finish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(result, allow_nan=False), flush=True)


class Bar:
    """How far training is: a bar with the time left on a terminal; elsewhere a line now and then.

    Use as a context around the training, and give it :meth:`stage` and the bar itself.

    Args:
        talk: what tells of each step.
        terminal: whether standard error is one.
        left: what knows how long the rest will take.
        every: s between two lines elsewhere.
    """

    def __init__(
        self,
        talk: Callable[[str], None],
        terminal: bool,
        left: TimeLeft,
        every: float = SECONDS_BETWEEN_LINES,
    ):
        self._talk, self._terminal = talk, terminal
        self._left = left
        self._epoch: Any = None
        self._ticker = Ticker(REDRAWN_EVERY_SECONDS if terminal else every, self._tell)

    def __enter__(self) -> "Bar":
        self._ticker.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._ticker.__exit__(*error)
        self._wipe()

    def stage(self, words: str) -> None:
        """Say what begins."""
        self._wipe()
        self._left.stage(words)
        self._epoch = None
        self._talk(words)

    def __call__(self, epoch: Any) -> None:
        self._epoch = epoch
        self._left.epoch(epoch.number, epoch.of)

    def stopping(self) -> None:
        """Ctrl-C was pressed: say what happens next, if there is something to keep."""
        if self._epoch:
            with suppress(RuntimeError):  # it came amid another word
                self._talk("Stopping. What was reached is kept")

    def _tell(self) -> None:
        epoch, left = self._epoch, self._left.words()
        if not self._terminal:
            done = f"epoch {epoch.number} of {epoch.of}, loss {epoch.validation_loss:.3f}, " if epoch else ""
            self._talk(f"  {done}{left}")
            return
        filled = round(BAR_WIDTH * epoch.number / epoch.of) if epoch else 0
        done = f"{epoch.number}/{epoch.of}, loss {epoch.validation_loss:.3f}, " if epoch else ""
        sys.stderr.write(f"\r  [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}{left}   ")
        sys.stderr.flush()

    def _wipe(self) -> None:
        if self._terminal:
            sys.stderr.write(f"\r{' ' * (BAR_WIDTH + 50)}\r")
            sys.stderr.flush()


@contextmanager
def interruptible(told: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The first Ctrl-C calls ``told`` and ends training early; the second stops everything."""

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        told()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
