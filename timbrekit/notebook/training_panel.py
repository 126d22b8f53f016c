"""Training to watch: the error as it falls, the time that is left, and how to stop and keep what was reached."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets

from timbrekit.notebook.widgets import paragraphs, picture_widget
from timbrekit.results.plots import new_figure, plot_losses, to_png
from timbrekit.time_left import OF_MEL, PARTS, Ticker, TimeLeft
from timbrekit.training.train import Epoch

FAST_VARIABLE = "TIMBREKIT_FAST"
FAST_EPOCHS = 4
FAST_WORDS = (
    f"{FAST_VARIABLE} is set: training is cut to {FAST_EPOCHS} epochs, only to see that everything works. "
    "The model will not follow you well."
)
# A widget's click waits until the running cell has ended; the notebook's own ■ does not, in Jupyter, VS Code and Colab.
STOP_WORDS = (
    "To stop here and keep what was reached, press ■ in the toolbar (in Colab and VS Code: beside the cell)."
)
PICTURE_EVERY_SECONDS = 1.5
WORDS_EVERY_SECONDS = 1.0
STAGES = {"Training": "Getting to know the sound"}  # the warm start, which has no epochs


def is_fast() -> bool:
    """Whether training is to be cut short, as tests do by setting ``TIMBREKIT_FAST=1``."""
    return os.environ.get(FAST_VARIABLE, "0") not in ("", "0")


def losses_picture(history: list[Epoch], keeps_best: bool = True) -> bytes:
    """PNG of the losses so far, as ``plot_losses`` draws them."""
    figure, ax = new_figure(9.5, 2.6)
    train, validation = [epoch.train_loss for epoch in history], [epoch.validation_loss for epoch in history]
    plot_losses(ax, train, validation, history[-1].of if history else 0, keeps_best)
    return to_png(figure)


class TrainingPanel:
    """Give :meth:`progress` and :meth:`stage` to the training, inside :meth:`watching`."""

    def __init__(
        self, unit: str = "Epoch", picture: Callable[[list[Any]], bytes] = losses_picture, mel: bool = False
    ) -> None:
        """``unit``: of what is counted. ``picture``: PNG of the losses so far. ``mel``: the listener, of which training
        keeps the average of the last weights, not those of the best epoch."""
        self.unit, self._mel = unit, mel
        self._picture = partial(picture, keeps_best=False) if mel else picture
        self._rounds = 2 if mel else 1  # what they learn differs: each has a picture of its own
        self.history: list[Epoch] = []
        self.words, self.hint = ipywidgets.HTML(), ipywidgets.HTML()
        self._say("Getting ready …")
        self.picture = picture_widget(self._picture([]))
        self.box = ipywidgets.VBox([self.words, self.hint, self.picture])
        self._drawn = 0.0
        self._doing, self._more, self._left = "Getting ready", "", TimeLeft(OF_MEL if mel else PARTS)

    def watch(self, work: Callable[[Callable[[Epoch], None], Callable[[str], None]], Any]) -> Any:
        """Run ``work(progress, stage)``. ■ interrupts it: training then ends with what was reached."""
        self.hint.value = f"<p>{STOP_WORDS}</p>"
        try:
            with Ticker(WORDS_EVERY_SECONDS, self._tell):
                return work(self.progress, self.stage)
        finally:
            self.hint.value = ""
            if self.history:
                self.picture.value = self._picture(self.history)

    def progress(self, epoch: Epoch) -> None:
        """To be called after each epoch."""
        self._left.epoch(epoch.number, epoch.of)
        before, each = "", epoch.of // self._rounds
        if self._rounds > 1:
            done, number = divmod(epoch.number - 1, each)
            if not number:
                self.history.clear()
            before = f"Round {done + 1} of {self._rounds}: "
            epoch = replace(epoch, number=number + 1, of=each)
        self.history.append(epoch)
        best = min(e.validation_loss for e in self.history)
        self._doing = f"{before}{self.unit} {epoch.number} of {epoch.of}"
        told = "" if self._mel else f", best so far {best:.3f}"
        self._more = f" Error {epoch.validation_loss:.3f}{told}."
        now = time.monotonic()
        if now - self._drawn > PICTURE_EVERY_SECONDS:
            self.picture.value = self._picture(self.history)
            self._drawn = now

    def stage(self, words: str) -> None:
        """To be called at each step of the work, with a word for it."""
        self._left.stage(words)
        self._doing, self._more = STAGES.get(words, words), ""
        self._tell()

    def _tell(self) -> None:
        self._say(f"{self._doing}, {self._left.words()}.{self._more}")

    def done(self, words: str) -> None:
        self._say(words)

    @property
    def png(self) -> bytes:
        return bytes(self.picture.value)

    def _say(self, words: str) -> None:
        self.text = words
        self.words.value = paragraphs([words])
