"""What the steps of a notebook compute from the session, each thing once."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from timbrekit import SAMPLE_RATE
from timbrekit.export.check import open_model
from timbrekit.export.model_file import ModelFile, listener_of
from timbrekit.export.torchdrum import PluginModel
from timbrekit.notebook.audition_panel import AuditionPanel, busiest_stretch
from timbrekit.notebook.training_panel import FAST_EPOCHS
from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.presets import Preset, load_preset, parse_preset
from timbrekit.recording import Recording, read_recording, resample
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings, detect
from timbrekit.recording.suggest import Suggestion, suggest_settings
from timbrekit.results.audition import Audition, make_audition
from timbrekit.results.naming import read_report
from timbrekit.session import Session
from timbrekit.training.names import MEL
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take
from timbrekit.training.velocity import velocity_mapping

EXCERPT_SECONDS = 8.0  # the busiest, to hear a preset by
FEWEST_HITS = 2  # that it makes sense with
EXCERPT_STEEPNESS = 1.0  # dB for a dB: as an ordinary drum trigger has it
FIRST_PRESET = "snare-1"


class Work:
    """A session's recording, hits, preset and model, read and measured when they are first asked for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.played: dict[Path, AsPlayed] = {}  # by model folder, of this notebook's trainings
        self._suggestions: dict[str, Suggestion] = {}
        self._recordings: dict[tuple[Path, int], Recording] = {}
        self._models: dict[Path, ModelFile] = {}
        self._excerpts: dict[tuple[str, DetectorSettings], tuple[NDArray[np.float32], Take | None]] = {}

    def recording(self, sample_rate: int = SAMPLE_RATE, path: Path | None = None) -> Recording:
        """The session's, or another file; those of a session are never overwritten."""
        path = path or self.session.recording_path
        if (path, sample_rate) not in self._recordings:
            self._recordings[path, sample_rate] = read_recording(path, sample_rate)
        return self._recordings[path, sample_rate]

    def suggestion(self) -> Suggestion:
        key = self.session.state.recording_sha256
        if key not in self._suggestions:
            recording = self.recording()
            self._suggestions[key] = suggest_settings(recording.samples, recording.sample_rate)
        return self._suggestions[key]

    def detector(self) -> DetectorSettings:
        kept = self.session.state.detector
        return self.suggestion().settings if kept is None else DetectorSettings.from_json(kept)

    def preset(self) -> Preset:
        kept = self.session.state.preset
        return load_preset(FIRST_PRESET) if kept is None else parse_preset(kept, "the session", kept["name"])

    def by_loudness(self, preset: Preset) -> Audition | None:
        """How a preset sounds when it follows some seconds of the recording by loudness alone, before any training.

        Returns:
            Some seconds at 48 kHz; None where there is no recording, or hardly a hit.
        """
        if self.session.recording_path is None:
            return None
        key = (self.session.state.recording_sha256, self.detector())
        if key not in self._excerpts:
            samples, settings = self.recording().samples, self.detector()
            triggers = detect(samples, SAMPLE_RATE, settings).triggers
            start = busiest_stretch(triggers, len(samples), SAMPLE_RATE, EXCERPT_SECONDS)
            samples = samples[start : start + round(EXCERPT_SECONDS * SAMPLE_RATE)]
            hits = find_hits(samples, SAMPLE_RATE, settings)
            self._excerpts[key] = (samples, make_take(hits) if len(hits) >= FEWEST_HITS else None)
        samples, take = self._excerpts[key]
        if take is None:
            return None
        module = PluginModel(velocity_mapping(take, preset, EXCERPT_STEEPNESS)).eval()
        return make_audition(
            module,
            samples,
            SAMPLE_RATE,
            take.hits.settings,
            synth=preset.instrument(),
            initial_ranges=take.ranges.numpy(),
        )

    def report(self) -> dict[str, Any]:
        return read_report(self.session.model_dir)

    def rate(self) -> int:
        """Sample rate in Hz that the model was trained for."""
        return self.report()["sample_rate"]

    def is_trained_as(self, sample_rate: int, settings: Settings) -> bool:
        if not self.session.is_trained:
            return False
        report = self.report()
        same = report["sample_rate"] == sample_rate and report["model_size"] == settings.model
        same = same and listener_of(report) == settings.listener
        enough = report["training"]["epochs"] >= (settings.epochs or FAST_EPOCHS + 1)
        return same and enough and not report["training"]["interrupted"]

    def primer(self) -> np.ndarray | None:
        """At the model's rate; None where it needs none."""
        if self.session.listener == MEL:
            return None
        samples, rate = soundfile.read(self.session.model_dir / "primer.wav", dtype="float32")
        return resample(samples, rate, self.rate())

    def audition(self, path: Path, neurality: float) -> AuditionPanel:
        recording = self.recording(self.rate(), path)
        return AuditionPanel(
            self.module(),
            self.preset(),
            recording.samples,
            recording.sample_rate,
            self.detector(),
            primer=self.primer(),
            neurality=neurality,
            listener=self.session.listener,
        )

    def module(self) -> torch.jit.ScriptModule:
        """The session's model, read and vetted once."""
        path = self.session.model_path
        if path not in self._models:
            self._models[path] = open_model(path)
        return self._models[path].module

    def keep_model(self, played: AsPlayed | None) -> None:
        """The present choices have been trained, perhaps not for the first time. None: the whole was not measured."""
        self.played.pop(self.session.model_dir, None)
        if played is not None:
            self.played[self.session.model_dir] = played
        self._models.pop(self.session.model_path, None)

    def measured(self) -> AsPlayed:
        """The recording as the model's host plays it."""
        folder = self.session.model_dir
        if folder not in self.played:
            recording = self.recording(self.rate())
            take = make_take(find_hits(recording.samples, recording.sample_rate, self.detector()))
            self.played[folder] = measure_as_played(
                self.module(),
                recording.samples,
                take,
                primer=self.primer(),
                synth=self.preset().instrument(),
                listener=self.session.listener,
            )
        return self.played[folder]
