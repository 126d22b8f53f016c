"""Listening to the result: four versions of the take in one player, with the plug-in's Neurality."""

import html

import ipywidgets
import numpy as np
from numpy.typing import ArrayLike

from timbrekit.notebook.player import Marks, player_html
from timbrekit.notebook.plots import spectrogram_pair
from timbrekit.notebook.widgets import picture_widget, slider
from timbrekit.plugin.knobs import NEURALITY
from timbrekit.plugin.rehearse import SENSITIVITY_RANGE, Network
from timbrekit.presets import Preset
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.results.audition import ORIGINAL, PRESET, REMAPPED, Audition, make_audition
from timbrekit.synth import SNARE808
from timbrekit.synth.base import Synth
from timbrekit.training.names import TORCHDRUM

PICTURED_SECONDS = 8.0
YOU, BOTH, ALONE = "You", "Both", "Preset"


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


def audition_picture(audition: Audition, drum: str) -> bytes:
    """PNG: spectrograms of the busiest seconds, the player's above the remapped. ``drum``: what that is called."""
    rate = audition.sample_rate
    start = busiest_stretch(audition.rehearsal.triggers, len(audition), rate)
    part = slice(start, start + round(PICTURED_SECONDS * rate))
    versions = audition.versions
    sounds = {"You": versions[ORIGINAL][part], f"{drum}, following you": versions[REMAPPED][part]}
    return spectrogram_pair(sounds, rate, start / rate)


def drum_title(synth: Synth) -> str:
    """What the version that follows the player is called."""
    return "808" if synth.name == SNARE808 else "Drum"


def audition_player(audition: Audition, drum: str, autoplay: bool = False) -> str:
    """HTML of a player of all four versions, the one that follows heard first. ``drum``: what that is called."""
    rate, versions = audition.sample_rate, audition.versions
    played = audition.rehearsal
    hits = np.setdiff1d(played.detections, played.dropped)
    hits = hits[: len(played.triggers)]  # one may have come too late to be played
    sounds = {YOU: versions[ORIGINAL], drum: versions[REMAPPED], ALONE: versions[PRESET]}
    together = {BOTH: {YOU: audition.both_level, drum: audition.both_level}}
    return player_html(sounds, rate, Marks(hits / rate), together, first=drum, autoplay=autoplay)


class AuditionPanel:
    """A player for a recording and what the model makes of it. ``audition`` is what is heard."""

    def __init__(
        self,
        module: Network,
        preset: Preset,
        samples: ArrayLike,
        sample_rate: int,
        settings: DetectorSettings,
        primer: ArrayLike | None = None,
        neurality: float = 1.0,
        listener: str = TORCHDRUM,
    ):
        """``primer``: sent through the plug-in first, as the card says to; None is a plug-in just opened. ``listener``:
        that the model has."""
        self._samples, self._title, synth = samples, preset.title, preset.instrument()
        self._drum = drum_title(synth)
        self._make = lambda amount: make_audition(
            module, self._samples, sample_rate, settings, amount, primer, synth=synth, listener=listener
        )
        self._neurality = slider(ipywidgets.FloatSlider, NEURALITY.title, SENSITIVITY_RANGE, 0.1, neurality)
        self.words, self.player = ipywidgets.HTML(), ipywidgets.HTML()
        self.picture = picture_widget(b"")
        self.audition = self._make(neurality)
        self._neurality.observe(lambda change: self.use(change["new"]), names="value")
        self.box = ipywidgets.VBox([self._neurality, self.words, self.player, self.picture])
        self._redraw()

    def take(self, samples: ArrayLike) -> None:
        """Rehearse another recording, at the same sample rate."""
        self._samples = samples
        self.use(self._neurality.value)

    def use(self, neurality: float) -> None:
        """Rehearse again with another Neurality."""
        self.audition = self._make(neurality)
        self._redraw()

    @property
    def png(self) -> bytes:
        return bytes(self.picture.value)

    @property
    def text(self) -> str:
        return f"{self._summary} Spectrograms: you, and {self._title} following you."

    def _redraw(self) -> None:
        count = len(self.audition.rehearsal.triggers)
        self._summary = f"{count} hits, played by {self._title}. All versions are equally loud."
        if not count:
            self._summary = "No hit was found in this recording."
        self.words.value = f"<p>{html.escape(self._summary)}</p>"
        self.player.value = audition_player(self.audition, self._drum)
        self.picture.value = audition_picture(self.audition, self._drum)
