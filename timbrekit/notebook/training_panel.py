"""Training to watch: the error as it falls, the time that is left, and how to stop and keep the best."""

import html
import os
import time
from collections.abc import Callable
from typing import Any

import ipywidgets

from timbrekit.notebook.widgets import picture_widget
from timbrekit.results.plots import new_figure, plot_losses, to_png
from timbrekit.training.train import Epoch

FAST_VARIABLE = "TIMBREKIT_FAST"
FAST_EPOCHS = 4
FAST_WORDS = (
    f"{FAST_VARIABLE} is set: training is cut to {FAST_EPOCHS} rounds, only to see that everything works. "
    "The model will not follow you well."
)
# A widget's click waits until the running cell has ended; the notebook's own ■ does not, in Jupyter, VS Code and Colab.
STOP_WORDS = (
    "To stop here and keep the best so far, press ■ in the toolbar (in Colab and VS Code: beside the cell)."
)
PICTURE_EVERY_SECONDS = 1.5
WORDS_EVERY_SECONDS = 0.3


def is_fast() -> bool:
    """Whether training is to be cut short, as tests do by setting ``TIMBREKIT_FAST=1``."""
    return os.environ.get(FAST_VARIABLE, "0") not in ("", "0")


def losses_picture(history: list[Epoch]) -> bytes:
    """PNG of the losses so far."""
    figure, ax = new_figure(9.5, 2.6)
    plot_losses(ax, [epoch.train_loss for epoch in history], [epoch.validation_loss for epoch in history])
    return to_png(figure)


def progress_words(epoch: Epoch) -> str:
    """Where training is, e.g. "Round 12 of 100, about 40 s left. Error 0.71, best so far 0.69."""
    left = epoch.seconds_left
    rest = (
        "almost done"
        if left < 2
        else f"about {left:.0f} s left"
        if left < 90
        else f"about {left / 60:.0f} min left"
    )
    return f"Round {epoch.number} of {epoch.of}, {rest}"


class TrainingPanel:
    """Give :meth:`progress` and :meth:`stage` to the training, inside :meth:`watching`."""

    def __init__(self) -> None:
        self.history: list[Epoch] = []
        self.words, self.hint = ipywidgets.HTML(), ipywidgets.HTML()
        self._say("Getting ready …")
        self.picture = picture_widget(losses_picture([]))
        self.box = ipywidgets.VBox([self.words, self.hint, self.picture])
        self._drawn = self._said = 0.0

    def watch(self, work: Callable[[Callable[[Epoch], None], Callable[[str], None]], Any]) -> Any:
        """Run ``work(progress, stage)``. ■ interrupts it: training then ends with its best."""
        self.hint.value = f"<p>{STOP_WORDS}</p>"
        try:
            return work(self.progress, self.stage)
        finally:
            self.hint.value = ""
            if self.history:
                self.picture.value = losses_picture(self.history)

    def progress(self, epoch: Epoch) -> None:
        """To be called after each epoch."""
        self.history.append(epoch)
        now = time.monotonic()
        if now - self._said > WORDS_EVERY_SECONDS:
            best = min(e.validation_loss for e in self.history)
            self._say(f"{progress_words(epoch)}. Error {epoch.validation_loss:.3f}, best so far {best:.3f}.")
            self._said = now
        if now - self._drawn > PICTURE_EVERY_SECONDS:
            self.picture.value = losses_picture(self.history)
            self._drawn = now

    def stage(self, words: str) -> None:
        """To be called at each step of the work, with a word for it."""
        self._say(f"{words} …")

    def done(self, words: str) -> None:
        self._say(words)

    @property
    def png(self) -> bytes:
        return bytes(self.picture.value)

    def _say(self, words: str) -> None:
        self.text = words
        self.words.value = f"<p>{html.escape(words)}</p>"
