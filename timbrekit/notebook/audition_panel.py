"""Listening to the result: four versions of the take, hit by hit, with the plug-in's sensitivity."""

import html

import ipywidgets
import numpy as np
from numpy.typing import ArrayLike

from timbrekit.notebook.plots import spectrogram_pair
from timbrekit.notebook.widgets import picture_widget, slider, sounds_html
from timbrekit.plugin.rehearse import SENSITIVITY_RANGE, Network
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.results.audition import ORIGINAL, PRESET, REMAPPED, Audition, hit_span, make_audition
from timbrekit.synth.base import Synth

PICTURED_SECONDS = 8.0


def busiest_stretch(
    triggers: ArrayLike, length: int, sample_rate: int, seconds: float = PICTURED_SECONDS
) -> int:
    """First sample of the stretch of that length with most hits, which shows most."""
    triggers, size = np.asarray(triggers), round(seconds * sample_rate)
    if not len(triggers):
        return 0
    counts = np.searchsorted(triggers, triggers + size) - np.arange(len(triggers))
    start = int(triggers[counts.argmax()]) - sample_rate // 10
    return max(min(start, length - size), 0)


def audition_picture(audition: Audition) -> bytes:
    """PNG: spectrograms of the busiest seconds, the player's above the remapped."""
    rate = audition.sample_rate
    start = busiest_stretch(audition.rehearsal.triggers, len(audition), rate)
    part = slice(start, start + round(PICTURED_SECONDS * rate))
    versions = audition.versions
    return spectrogram_pair(versions[ORIGINAL][part], versions[REMAPPED][part], rate, start / rate)


class AuditionPanel:
    """Players for a recording and what the plug-in makes of it. ``audition`` is what is heard."""

    def __init__(
        self,
        module: Network,
        synth: Synth,
        samples: ArrayLike,
        sample_rate: int,
        settings: DetectorSettings,
        primer: ArrayLike | None = None,
        sensitivity: float = 1.0,
    ):
        """``primer``: sent through the plug-in first, as the card says to; None is a plug-in just opened."""
        self._samples = samples
        self._make = lambda amount: make_audition(
            module, self._samples, sample_rate, settings, amount, primer, synth=synth
        )
        self._sensitivity = slider(
            ipywidgets.FloatSlider, "Sensitivity (Neurality)", SENSITIVITY_RANGE, 0.1, sensitivity
        )
        self.words, self.versions, self.one_hit = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.picture = picture_widget(b"")
        self.audition = self._make(sensitivity)
        count = len(self.audition.rehearsal.triggers)
        self._number = slider(ipywidgets.IntSlider, "Hit", (1, max(count, 1)), 1, 1)
        self._sensitivity.observe(lambda change: self.use(change["new"]), names="value")
        self._number.observe(lambda _: self._redraw_hit(), names="value")
        self.box = ipywidgets.VBox(
            [
                self._sensitivity,
                self.words,
                self.versions,
                ipywidgets.HTML("<p><b>Hit by hit</b></p>"),
                self._number,
                self.one_hit,
                self.picture,
            ]
        )
        self._redraw()

    def take(self, samples: ArrayLike) -> None:
        """Rehearse another recording, at the same sample rate."""
        self._samples = samples
        self.audition = self._make(self._sensitivity.value)
        self._number.max = max(len(self.audition.rehearsal.triggers), 1)
        self._redraw()

    def use(self, sensitivity: float) -> None:
        """Rehearse again with another sensitivity."""
        self.audition = self._make(sensitivity)
        self._redraw()

    @property
    def png(self) -> bytes:
        return bytes(self.picture.value)

    @property
    def text(self) -> str:
        return f"{self._summary} Spectrograms: you, and the drum machine."

    def _redraw(self) -> None:
        audition = self.audition
        count = len(audition.rehearsal.triggers)
        self._summary = f"{count} hits, played by the drum machine. All versions are equally loud."
        self.words.value = f"<p>{html.escape(self._summary)}</p>"
        self.versions.value = sounds_html(audition.versions, audition.sample_rate)
        self.picture.value = audition_picture(audition)
        self._redraw_hit()

    def _redraw_hit(self) -> None:
        audition = self.audition
        triggers = audition.rehearsal.triggers
        if not len(triggers):
            self.one_hit.value = "<p>No hit was found in this recording.</p>"
            return
        rate = audition.sample_rate
        start, _ = hit_span(triggers, self._number.value, rate, len(audition))
        pieces = {name: audition.hit(self._number.value)[name] for name in (ORIGINAL, REMAPPED, PRESET)}
        self.one_hit.value = f"<p>at {start / rate:.1f} s</p>{sounds_html(pieces, rate)}"
