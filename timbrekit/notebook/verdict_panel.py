"""The verdict in a word and three ticks, the card, and the errors; measured anew when something else is played."""

import html
from pathlib import Path
from typing import Any

import ipywidgets

from timbrekit.errors import TimbrekitError
from timbrekit.export.model_file import TORCHDRUM, listener_of
from timbrekit.notebook.widgets import picture_widget
from timbrekit.presets import Preset
from timbrekit.results.measure import measure_model
from timbrekit.results.naming import read_report, write_report
from timbrekit.results.panel_picture import panel_picture
from timbrekit.results.plots import new_figure, plot_feature_errors, to_png
from timbrekit.results.report import with_verdict
from timbrekit.results.unseen import error_bars
from timbrekit.synth import SNARE808


class VerdictPanel:
    """Shows how good a model is.

    Args:
        folder: of the model, with its report and card.
        preset: that it plays.
        recording: that it was trained on.
    """

    def __init__(self, folder: Path, preset: Preset, recording: Path):
        self.folder, self._preset, self._recording = folder, preset, recording
        self.words, self.card, self.picture = ipywidgets.HTML(), ipywidgets.HTML(), picture_widget(b"")
        self.panel = picture_widget(b"")  # of the plug-in, with this model's values
        shown = [self.words, self.picture, self.card]
        if preset.synth == SNARE808 and listener_of(read_report(self.folder)) == TORCHDRUM:
            self.panel.value = panel_picture(read_report(self.folder)["detector"])
            shown.append(self.panel)
        self.box = ipywidgets.VBox(shown)
        self.redraw()

    @property
    def png(self) -> bytes:
        return bytes(self.picture.value)

    def measure(self, path: Path) -> None:
        """Measure on another recording of the same drum; report and card tell of that from now on."""
        self.words.value = "<p>Measuring on what you just played …</p>"
        try:
            unseen = measure_model(self.folder / "model.pt", path, self._recording)
        except TimbrekitError as error:
            self.redraw()
            self.words.value += f"<p>{html.escape(str(error))}</p>"
            return
        write_report(self.folder, with_verdict(read_report(self.folder), unseen), self._preset)
        self.redraw()

    def redraw(self) -> None:
        """Show what the files say by now."""
        report = read_report(self.folder)
        card = (self.folder / "card.txt").read_text(encoding="utf-8")
        ticks = "   ".join(f"{tick} {name}" for name, tick in report.get("ticks", {}).items())
        self.text = "\n".join(filter(None, [ticks, card]))
        self.words.value = f'<p style="font-size: 1.4em">{html.escape(ticks)}</p>'
        self.card.value = f'<pre style="white-space: pre-wrap">{html.escape(card)}</pre>'
        figure, ax = new_figure(9.5, 3.2)
        plot_feature_errors(ax, report_bars(report))
        self.picture.value = to_png(figure)


def report_bars(report: dict[str, Any]) -> dict[str, list[float]]:
    """Error ratios by label. Reports of version 0.1 know of no unseen playing."""
    if "unseen" in report:
        return error_bars(report["unseen"])
    return {"hits it was not trained on": list(report["error_ratio_per_feature"].values())}
