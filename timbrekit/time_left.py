"""How long training will take yet: one estimate over all its parts, from the warm start to the last rehearsal."""

import threading
import time
from collections.abc import Callable

# Seconds of each part for the sample recording, on one thread of a busy CPU. What counts is how they compare: how fast
# this machine is, is learned from the parts that are done. The keys are the stages that `train_model` tells.
WARM_START, EPOCHS, SECOND_ROUND, BOUNDS = "Training", "epochs", "second round", "Computing the bounds"
PARTS = {
    WARM_START: 23.0,
    EPOCHS: 16.5,
    "Measuring": 2.0,
    "Rehearsing": 6.0,
    "Measuring on playing that it has not heard": 4.0,
    BOUNDS: 60.0,
}
OF_PUBLISHED = PARTS | {EPOCHS: 470.0}  # likewise; it has ten times the epochs, of all frames
OF_MEL = {  # likewise; its epochs are of two rounds, of which the second plays the updates
    WARM_START: 20.0,
    EPOCHS: 11.0,
    SECOND_ROUND: 18.0,
    "Measuring": 1.2,
    "Rehearsing": 1.7,
    "Measuring on playing that it has not heard": 2.4,
    BOUNDS: 60.0,
}
SKIPPED = 0.2  # of what it should take: a warm start so short was none


class TimeLeft:
    """Told of each stage and epoch, knows how long the rest will take.

    Args:
        parts: seconds of each part, as they compare: ``PARTS``, ``OF_PUBLISHED`` or ``OF_MEL``.
        bounds: whether the bounds are computed, too.
        clock: gives seconds.
    """

    def __init__(
        self,
        parts: dict[str, float] = PARTS,
        bounds: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._clock = clock
        self._expected = {name: part for name, part in parts.items() if bounds or name != BOUNDS}
        self._rounds = [name for name in (EPOCHS, SECOND_ROUND) if name in parts]
        self._done: dict[str, float] = {}  # seconds that each part took
        self._part, self._since = WARM_START, clock()
        self._share = 0.0  # of the present part that is done; 0 where it does not tell
        self._told = self._since  # when it told so

    def stage(self, words: str) -> None:
        """A part begins, if it is one; other words are told on the way."""
        if words in self._expected:
            self._begin(words)

    def epoch(self, number: int, of: int) -> None:
        """Epoch ``number`` of ``of`` has ended."""
        each = max(of // len(self._rounds), 1)
        done, number = divmod(number - 1, each)
        part = self._rounds[min(done, len(self._rounds) - 1)]
        if self._part == part:
            self._share, self._told = (number - self._first) / max(each - 1 - self._first, 1), self._clock()
        elif self._part in (WARM_START, *self._rounds):
            self._begin(part)
            self._first = number

    def seconds(self) -> float:
        """That are left, at least 0."""
        parts = list(self._expected)
        pace = self._pace()
        ahead = sum(self._expected[name] for name in parts[parts.index(self._part) + 1 :]) * pace
        gone = self._clock() - self._since
        whole = self._expected[self._part] * pace
        if self._share > 0:
            whole = self._whole()
        return max(whole - gone, 0.1 * gone if self._share == 0 else 0.0) + ahead

    def words(self) -> str:
        """Such as "about 40 s left"."""
        left = self.seconds()
        if left < 3:
            return "almost done"
        if left < 100:
            return f"about {max(round(left / 5) * 5, 5)} s left"
        return f"about {left / 60:.0f} min left"

    def _begin(self, part: str) -> None:
        now = self._clock()
        if part != self._part:
            self._done[self._part] = now - self._since
        self._part, self._since, self._share = part, now, 0.0

    def _whole(self) -> float:
        """Seconds that the present part takes, which has told how much of it is done."""
        return (self._told - self._since) / self._share

    def _pace(self) -> float:
        """Seconds here for one of those above."""
        known = dict(self._done)
        if self._share > 0:
            known[self._part] = self._whole()
        done = {name: took for name, took in known.items() if took > SKIPPED * self._expected[name]}
        expected = sum(self._expected[name] for name in done)
        return sum(done.values()) / expected if expected else 1.0


class Ticker:
    """Calls a function every so often, from a thread of its own, while the block runs."""

    def __init__(self, seconds: float, call: Callable[[], None]):
        self._seconds, self._call = seconds, call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._call()
