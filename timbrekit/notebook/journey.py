"""The way from a recording to an instrument, a step a method: what the cells of the notebooks call.

Every step keeps what was chosen in the session, goes on from what an earlier notebook kept there, and falls back
to the sample, the suggested detector settings and the preset snare-1. What goes wrong is said in a sentence.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from timbrekit import SAMPLE_RATE
from timbrekit.errors import TimbrekitError
from timbrekit.export.check import open_model
from timbrekit.export.live_page import render_page
from timbrekit.export.model_file import ModelFile, read_metadata
from timbrekit.notebook import colab
from timbrekit.notebook.audition_panel import AuditionPanel
from timbrekit.notebook.hits_panel import HitsPanel
from timbrekit.notebook.live import show_live_page
from timbrekit.notebook.preset_panel import PresetPanel
from timbrekit.notebook.recording_panel import LAST, MICROPHONE, SAMPLE, UPLOAD, RecordingPanel
from timbrekit.notebook.training_panel import FAST_EPOCHS, FAST_WORDS, TrainingPanel, is_fast
from timbrekit.notebook.verdict_panel import VerdictPanel
from timbrekit.notebook.widgets import in_words, say, show_html, show_picture, table_html
from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.presets import Preset, load_preset, parse_preset
from timbrekit.recording import Recording, describe, read_recording, resample
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.recording.suggest import Suggestion, suggest_settings
from timbrekit.recording.take_health import hit_findings
from timbrekit.results.bundle import CONTENTS, write_bundle
from timbrekit.results.plots import new_figure, plot_timbre_space, to_png
from timbrekit.session import Session
from timbrekit.synth.base import Parameter
from timbrekit.training.recipes import make_settings
from timbrekit.training.take import make_take
from timbrekit.workflow import prepare, train_model

SUGGESTED, PLUGIN, AS_LEFT = DETECTORS = ("suggested", "the plug-in's own", "as I set them last")
LAST_PRESET, FIRST_PRESET = "my last choice, or snare-1", "snare-1"
NOT_NOW = "not now"
SOMETHING_ELSE = (NOT_NOW, UPLOAD, MICROPHONE)
TRAINED_TAKE, OTHER_TAKE = TAKES = ("the recording it was trained on", "another recording")


class Journey:
    """One user's way. Make one with :meth:`start`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recording: RecordingPanel | None = None  # the panels, once shown
        self.hits: HitsPanel | None = None
        self.preset: PresetPanel | None = None
        self.audition: AuditionPanel | None = None
        self._suggestions: dict[str, Suggestion] = {}
        self._recordings: dict[tuple[Path, int], Recording] = {}
        self._played: dict[Path, AsPlayed] = {}  # by model folder, of this notebook's trainings
        self._models: dict[Path, ModelFile] = {}

    @classmethod
    def start(cls, keep_on_google_drive: bool = False, name: str = "my session") -> "Journey":
        """Open the session, or start one, and say which."""
        session = Session.open(colab.work_folder(keep_on_google_drive, name))
        say(session.describe())
        return cls(session)

    @in_words
    def choose_recording(self, source: str = LAST) -> None:
        """Get a recording (one of ``RECORDING_SOURCES``) and show it."""
        self.recording = RecordingPanel(self.session)
        self.recording.choose(source)
        self.recording.show()

    @in_words
    def find_hits(self, detector: str = SUGGESTED) -> None:
        """Show the hits, with sliders for the detector that start as ``DETECTORS`` says."""
        self._need_recording()
        recording = self._read(self.session.recording_path)
        suggestion = self._suggestion()
        start = {SUGGESTED: suggestion.settings, PLUGIN: DetectorSettings(), AS_LEFT: self._detector()}[
            detector
        ]
        self.hits = HitsPanel(recording, suggestion, start, self.session.keep_detector)
        say(self.hits.text)
        hits = find_hits(recording.samples, recording.sample_rate, start)
        for sentence in describe(hit_findings(hits, recording.samples)):
            say(sentence)
        self.hits.show()

    @in_words
    def choose_preset(self, name: str | Path = LAST_PRESET) -> None:
        """Show the presets, beginning with one: a name, a preset file, or the last choice."""
        start = self._preset() if name == LAST_PRESET else load_preset(name)
        folder = self.session.folder / "presets"
        self.preset = PresetPanel(start, folder, lambda preset: self.session.keep_preset(preset.to_json()))
        self.preset.show()

    @in_words
    def train(
        self, daw_sample_rate: int = SAMPLE_RATE, model: str | None = None, epochs: int | None = None
    ) -> None:
        """Train with what was chosen, and watch; or say that this has been done before."""
        self._need_recording()
        preset = self._preset()
        self.session.keep_preset(preset.to_json())
        recording = self._read(self.session.recording_path, daw_sample_rate)
        detector = self._detector()
        prepared = replace(prepare(recording, daw_sample_rate, detector), suggestion=self._suggestion())
        self.session.keep_detector(detector, len(prepared.hits))
        settings = make_settings(model=model, epochs=epochs)
        if is_fast():
            settings = replace(settings, epochs=FAST_EPOCHS, warm_start=False)
        if self._is_trained_as(daw_sample_rate, settings):
            say(f"You have trained {preset.title} on this recording before; that model is used.")
            return
        if is_fast():
            say(FAST_WORDS)
        panel = TrainingPanel()
        try:
            outcome = panel.watch(
                lambda progress, stage: train_model(
                    prepared,
                    preset,
                    self.session.model_dir,
                    settings,
                    progress,
                    stage,
                    checkpoint=self.session.checkpoint_path,
                )
            )
        except KeyboardInterrupt:
            say("Stopped before the first round was done, so there is no model yet. Run this step again.")
            return
        early = "stopped early, the best so far is kept" if outcome.trained.interrupted else "done"
        panel.done(
            f"Training is {early}: {len(outcome.trained.history)} rounds, {outcome.trained.seconds:.0f} s."
        )
        self._played[self.session.model_dir] = outcome.played["after_primer"]
        say(f"{outcome.report['verdict'].partition('. ')[0]}.")

    @in_words
    def listen(self, to: str = TRAINED_TAKE, sensitivity: float = 1.0) -> None:
        """Rehearse and show players: of the recording trained on, or of another (a file, or asked for)."""
        self._need_model()
        path = self.session.recording_path
        if to == OTHER_TAKE:
            other = Session.open(self.session.folder / "other take")
            chooser = RecordingPanel(other, lambda: self._hear(other.recording_path))
            chooser.choose(UPLOAD)
            chooser.show()
            path = other.recording_path or path
        elif to != TRAINED_TAKE:
            path = Path(to)
        self.audition = self._audition(path, sensitivity)
        self.audition.show()

    @in_words
    def show_timbre_space(self) -> None:
        """Draw every hit: as played on the drum, as played by the plug-in."""
        self._need_model()
        played = self._measured()
        figure, ax = new_figure(7.5, 5.2)
        plot_timbre_space(ax, played.intended, played.played)
        show_picture(
            to_png(figure), "Each hit in loudness and brightness: yours, and as the plug-in plays it."
        )

    @in_words
    def play_live(self) -> None:
        """The instrument itself, below the cell: recordings, pads, and where the browser permits the microphone."""
        self._need_model()
        show_live_page(render_page(read_metadata(self.session.model_path)))

    @in_words
    def show_verdict(self, something_else: str = NOT_NOW) -> None:
        """How good the model is; measured anew if something else is played now (one of ``SOMETHING_ELSE``)."""
        self._need_model()
        panel = VerdictPanel(self.session.model_dir, self._preset(), self.session.recording_path)
        if something_else != NOT_NOW:
            other = Session.open(self.session.folder / "other take")
            chooser = RecordingPanel(other, lambda: panel.measure(other.recording_path))
            chooser.choose(something_else)
            chooser.show()
        panel.show()

    @in_words
    def download(self) -> None:
        """Zip everything and hand it over."""
        self._need_model()
        path = write_bundle(self.session.model_dir, self._preset())
        show_html(table_html([{"in the zip": name, "what it is for": use} for name, use in CONTENTS.items()]))
        colab.download(path)

    def _hear(self, path: Path) -> None:
        """Another take has arrived: rehearse it in the players that are there."""
        if self.audition is not None:
            self.audition.take(self._read(path, self._rate()).samples)

    def _need_recording(self) -> None:
        if self.recording is not None and self.recording.waiting:
            raise TimbrekitError(
                "The file you chose to upload or record has not arrived, and nothing else is used in its place. Go "
                "back to that step: give the file's path, or choose another source there and run it again."
            )
        if self.session.recording_path is None:
            say("There is no recording in this session yet: the sample is used.")
            RecordingPanel(self.session).choose(SAMPLE)

    def _need_model(self) -> None:
        if not self.session.is_trained:
            say("There is no trained model of these choices yet: training one now.")
            self.train()
        if not self.session.is_trained:
            raise TimbrekitError("Without a model there is nothing to go on with: train one first.")

    def _suggestion(self) -> Suggestion:
        key = self.session.state.recording_sha256
        if key not in self._suggestions:
            recording = self._read(self.session.recording_path)
            self._suggestions[key] = suggest_settings(recording.samples, recording.sample_rate)
        return self._suggestions[key]

    def _detector(self) -> DetectorSettings:
        kept = self.session.state.detector
        if kept is None:
            return self._suggestion().settings
        return DetectorSettings(**{**kept, "hold": int(kept["hold"])})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The table of the synthesiser that is played."""
        return self._preset().parameters

    def _preset(self) -> Preset:
        kept = self.session.state.preset
        return load_preset(FIRST_PRESET) if kept is None else parse_preset(kept, "the session", kept["name"])

    def _report(self) -> dict[str, Any]:
        return json.loads((self.session.model_dir / "report.json").read_text(encoding="utf-8"))

    def _rate(self) -> int:
        return self._report()["sample_rate"]

    def _is_trained_as(self, sample_rate: int, settings: Any) -> bool:
        if not self.session.is_trained:
            return False
        report = self._report()
        same = report["sample_rate"] == sample_rate and report["model_size"] == settings.model
        enough = report["training"]["epochs"] >= (settings.epochs or FAST_EPOCHS + 1)
        return same and enough and not report["training"]["interrupted"]

    def _primer(self) -> np.ndarray:
        samples, rate = soundfile.read(self.session.model_dir / "primer.wav", dtype="float32")
        return resample(samples, rate, self._rate())

    def _audition(self, path: Path, sensitivity: float) -> AuditionPanel:
        recording = self._read(path, self._rate())
        return AuditionPanel(
            self._module(),
            self._preset().instrument(),
            recording.samples,
            recording.sample_rate,
            self._detector(),
            self._primer(),
            sensitivity,
        )

    def _module(self) -> torch.jit.ScriptModule:
        """The session's model, read and vetted once."""
        path = self.session.model_path
        if path not in self._models:
            self._models[path] = open_model(path)
        return self._models[path].module

    def _measured(self) -> AsPlayed:
        folder = self.session.model_dir
        if folder not in self._played:
            recording = self._read(self.session.recording_path, self._rate())
            take = make_take(find_hits(recording.samples, recording.sample_rate, self._detector()))
            synth = self._preset().instrument()
            self._played[folder] = measure_as_played(
                self._module(), recording.samples, take, primer=self._primer(), synth=synth
            )
        return self._played[folder]

    def _read(self, path: Path, sample_rate: int = SAMPLE_RATE) -> Recording:
        """A recording of the session; those are never overwritten."""
        if (path, sample_rate) not in self._recordings:
            self._recordings[path, sample_rate] = read_recording(path, sample_rate)
        return self._recordings[path, sample_rate]
