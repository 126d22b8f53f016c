"""Which hits the plug-in hears: sliders of its detector, a waveform that follows them, every hit to listen to."""

import html
from collections.abc import Callable

import ipywidgets
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from timbrekit.features import onset_features
from timbrekit.notebook.player import Marks, marks_html, new_id, player_html
from timbrekit.notebook.widgets import hits_html, paragraphs, slider
from timbrekit.plugin.knobs import DETECTOR
from timbrekit.recording import Recording
from timbrekit.recording.hits import onset_windows
from timbrekit.recording.onsets import (
    KNOB_RANGES,
    TRIGGER_DELAY,
    Detections,
    DetectorSettings,
    detect_in_signal,
    onset_signal,
)
from timbrekit.recording.suggest import TOLERANCE_SECONDS, Suggestion, not_near
from timbrekit.results.plots import new_figure, plot_hits, to_png


def missed_onsets(reference: ArrayLike, found: ArrayLike, sample_rate: int) -> NDArray[np.int64]:
    """Reference onsets with no detection within 25 ms. All are sample indices."""
    reference, found = (np.asarray(each, np.int64) for each in (reference, found))
    return not_near(reference, found, TOLERANCE_SECONDS * sample_rate)


def hit_rows(samples: ArrayLike, sample_rate: int, triggers: ArrayLike) -> list[dict[str, str]]:
    """What the plug-in hears of each hit, as cells of a table."""
    triggers = np.asarray(triggers, np.int64)
    if not len(triggers):
        return []
    windows = torch.from_numpy(onset_windows(np.asarray(samples, np.float32), triggers))
    features = onset_features(windows, sample_rate).numpy()
    return [
        {
            "hit": str(number),
            "time (s)": f"{(trigger - TRIGGER_DELAY) / sample_rate:.2f}",
            "loudness (dB)": f"{loudness:.1f}",
            "brightness (Hz)": f"{440 * 2 ** ((semitones - 69) / 12):.0f}",
        }
        for number, (trigger, (loudness, semitones, _)) in enumerate(zip(triggers, features, strict=True), 1)
    ]


def summary(found: Detections, missed: ArrayLike) -> str:
    """The counts in a sentence or three."""
    hits, dropped, lost = len(found.triggers), len(found.dropped), len(np.asarray(missed))
    sentences = [f"{hits} hit{'' if hits == 1 else 's'} found."]
    if dropped:
        sentences.append(f"{dropped} more came too soon after another and will not sound.")
    if lost:
        sentences.append(f"About {lost} that an attentive listener would count are not heard by the plug-in.")
    return " ".join(sentences)


class HitsPanel:
    """Sliders, counts, player and table. ``settings`` is what the sliders say."""

    def __init__(
        self,
        recording: Recording,
        suggestion: Suggestion,
        settings: DetectorSettings | None = None,
        on_change: Callable[[DetectorSettings, int], None] | None = None,
    ):
        """``settings``: to start with, the suggested ones if None. ``on_change`` gets settings and number of hits."""
        self.recording, self.suggestion, self._on_change = recording, suggestion, on_change
        self._signal = onset_signal(recording.samples, recording.sample_rate)
        self._player = new_id()
        self._moving = False
        start = settings or suggestion.settings
        kinds = (ipywidgets.FloatSlider, 0.5), (ipywidgets.FloatSlider, 0.01), (ipywidgets.IntSlider, 50)
        self._sliders = {
            knob.key: slider(kind, f"{knob.title}, {knob.unit}", limits, step, getattr(start, knob.key))
            for knob, limits, (kind, step) in zip(DETECTOR, KNOB_RANGES, kinds, strict=True)
        }
        for control in self._sliders.values():
            control.observe(self._moved, names="value")
        suggested = ipywidgets.Button(description="Suggested", tooltip="Settings that suit this recording")
        defaults = ipywidgets.Button(description="The plug-in's own", tooltip="What the plug-in starts with")
        suggested.on_click(lambda _: self.use(suggestion.settings))
        defaults.on_click(lambda _: self.use(DetectorSettings()))
        self.words, self.table, self._notes = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._noted: list[str] = []
        self.marks = ipywidgets.HTML()  # of the player, which keeps its sound while sliders move
        sound = player_html({"You": recording.samples}, recording.sample_rate, name=self._player)
        self.box = ipywidgets.VBox(
            [
                *self._sliders.values(),
                ipywidgets.HBox([suggested, defaults]),
                self.words,
                self._notes,
                ipywidgets.HTML(sound),
                self.marks,
                self.table,
            ]
        )
        self._redraw()

    @property
    def settings(self) -> DetectorSettings:
        values = {name: control.value for name, control in self._sliders.items()}
        return DetectorSettings(**values)

    def use(self, settings: DetectorSettings) -> None:
        """Set all three sliders at once."""
        self._moving = True
        for name, control in self._sliders.items():
            control.value = getattr(settings, name)
        self._moving = False
        self._redraw()

    @property
    def png(self) -> bytes:
        """The waveform with its hits, for where no player can be shown."""
        figure, ax = new_figure(9.5, 2.8)
        kept = self.found.triggers - TRIGGER_DELAY
        plot_hits(
            ax, self.recording.samples, self.recording.sample_rate, kept, self.found.dropped, self.missed
        )
        return to_png(figure)

    @property
    def text(self) -> str:
        return "\n".join([self._summary, *self._noted])

    def note(self, sentences: list[str]) -> None:
        """What is to be said of the hits that the present settings find. It goes when they change."""
        self._noted = sentences
        self._notes.value = paragraphs(sentences)

    def _moved(self, _change: object) -> None:
        if not self._moving:
            self._redraw()

    def _redraw(self) -> None:
        samples, rate = self.recording.samples, self.recording.sample_rate
        self.found = detect_in_signal(self._signal, self.settings)
        kept = self.found.triggers - TRIGGER_DELAY
        self.missed = missed_onsets(self.suggestion.reference_onsets, kept, rate)
        self._summary = summary(self.found, self.missed)
        self.note([])
        marks = Marks(kept / rate, self.found.dropped / rate, self.missed / rate)
        self.marks.value = marks_html(self._player, marks)
        self.words.value = f"<p><b>{html.escape(self._summary)}</b></p>"
        rows = hit_rows(samples, rate, self.found.triggers)
        self.table.value = hits_html(rows, self._player)
        if self._on_change:
            self._on_change(self.settings, len(self.found.triggers))
