"""From a recording of an instrument to one that is played with anything: what the cells of 09_sing_it call."""

import json
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np

from timbrekit.errors import TimbrekitError
from timbrekit.notebook import colab
from timbrekit.notebook.journey import Journey
from timbrekit.notebook.live import PagePanel
from timbrekit.notebook.player import flac, player_html
from timbrekit.notebook.recording_panel import LAST, UPLOAD, RecordingPanel
from timbrekit.notebook.training_panel import FAST_EPOCHS, FAST_WORDS, TrainingPanel, is_fast
from timbrekit.notebook.widgets import in_words, say, show_html, show_panel, show_picture, table_html
from timbrekit.recording import Recording, describe, read_recording
from timbrekit.results.plots import new_figure, to_png
from timbrekit.session import Session
from timbrekit.tone.instrument import load_instrument
from timbrekit.tone.live_page import render_tone_page
from timbrekit.tone.make import CONTENTS, MODEL, UNFINISHED, Listened, make_instrument, write_tone_bundle
from timbrekit.tone.pitch import RATE
from timbrekit.tone.play import Played, play
from timbrekit.tone.report import describe_ranges, draw_spectrogram, losses_picture
from timbrekit.tone.sample import bass_line, reed
from timbrekit.tone.train import Settings
from timbrekit.training.recipes import find_device

SAMPLE_SECONDS = 60.0
QUICK, THOROUGH = STEPS = (200, 2000)  # about a minute and about ten, on two processor cores
VALIDATE_EVERY = 20  # steps
BASS, OTHER = TUNES = ("a bass line that timbrekit makes", "another recording")


class ToneJourney:
    """One user's way, kept in a session of its own inside the notebooks' session."""

    def __init__(self, journey: Journey) -> None:
        self.session = Session.open(journey.session.folder / "tone")
        self.recording: RecordingPanel | None = None
        self.folder: Path | None = None  # of the instrument that was trained last
        self.played: Played | None = None
        self._listened: dict[Path, Listened] = {}

    @in_words
    def choose_recording(self, source: str = LAST) -> None:
        """Get a recording (one of ``RECORDING_SOURCES``), show it, and say what would spoil it."""
        self.recording = RecordingPanel(self.session, sample=_sample, words=self._words, guided=False)
        self.recording.choose(source)
        self.recording.show()

    @in_words
    def train(self, steps: int = QUICK) -> None:
        """Train an instrument and watch; go on where a run was cut off; or say that this has been done before."""
        if self.recording is not None and self.recording.waiting:
            raise TimbrekitError(
                "The file you chose has not arrived. Go back to that step, and run it again."
            )
        if self.session.recording_path is None:
            self.session.keep_recording(*_sample())
        settings = Settings(steps=steps, validate_every=VALIDATE_EVERY, device=find_device("auto"))
        if is_fast():
            settings = replace(settings, steps=FAST_EPOCHS, validate_every=2)
            say(FAST_WORDS.replace("epochs", "steps"))
        folder = self.session.folder / "models" / f"{self.session.choices[:8]}-{settings.steps}"
        if (folder / MODEL).is_file() and not (folder / UNFINISHED).exists():
            say("You have trained on this recording before; that instrument is used.")
        else:
            listened = self._hear(self.session.recording_path)
            panel = TrainingPanel("Step", losses_picture)
            update = show_panel(panel.box, bytes(panel.picture.value), "Training")
            trained, _, about = panel.watch(
                lambda progress, _: make_instrument(listened, folder, settings, progress)
            )
            early = "stopped early, the best so far is kept" if trained.interrupted else "done"
            panel.done(f"Training is {early}: {about['steps']} steps, {about['seconds']:.0f} s.")
            update(bytes(panel.picture.value), f"Training: {about['steps']} steps")
        self.folder = folder

    @in_words
    def show_report(self) -> None:
        """Spectrograms of the recording and the instrument, what it was told, and how well it follows."""
        folder = self._need_instrument()
        about = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        words = "Above the recording, which was held back from training here; below it the instrument."
        show_picture((folder / "report.png").read_bytes(), words)
        say(about["verdict"])

    @in_words
    def listen(self, to: str = BASS, transpose: float = 0.0) -> None:
        """Play the instrument with something else (one of ``TUNES``) and show players and spectrograms."""
        instrument, _ = load_instrument(self._need_instrument() / MODEL)
        picture, sounds = ipywidgets.Image(format="png"), ipywidgets.HTML()
        box = ipywidgets.VBox([sounds, picture])

        def show(samples: np.ndarray) -> None:
            self.played = play(instrument, samples, transpose)
            versions = {"what is played": samples, "the instrument": self.played.samples}
            sounds.value = player_html(versions, RATE)
            picture.value = _spectrograms(versions)
            for words in describe(self.played.findings):
                say(words)

        if to == OTHER:
            other = Session.open(self.session.folder / "other take")
            chooser = RecordingPanel(other, lambda: show(read_recording(other.recording_path).samples))
            chooser.choose(UPLOAD)
            chooser.show()
            if other.recording_path is None:
                return
            show(read_recording(other.recording_path).samples)
        else:
            show(bass_line())
        words = "Spectrograms: what is played, and what the instrument makes of it."
        show_panel(box, bytes(picture.value), words)

    @in_words
    def play_live(self) -> None:
        """The page, below the cell: microphone where the browser permits it, recordings, keys, MIDI."""
        folder = self._need_instrument()
        panel = PagePanel(lambda: render_tone_page(*load_instrument(folder / MODEL)))
        show_panel(panel.box, panel.png, panel.text)

    @in_words
    def download(self) -> None:
        """Zip everything and hand it over."""
        path = write_tone_bundle(self._need_instrument())
        show_html(table_html([{"in the zip": name, "what it is for": use} for name, use in CONTENTS.items()]))
        colab.download(path)

    def _hear(self, path: Path) -> Listened:
        if path not in self._listened:
            self._listened[path] = Listened.to(read_recording(path))
        return self._listened[path]

    def _words(self, recording: Recording) -> list[str]:
        listened = Listened.to(recording)
        self._listened[self.session.recording_path] = listened
        first = f'"{recording.name}": {recording.duration_s:.0f} s, {describe_ranges(listened.heard)}.'
        return [first, *(describe(listened.findings) or ["Nothing is wrong with it."])]

    def _need_instrument(self) -> Path:
        if self.folder is None:
            raise TimbrekitError("There is no instrument yet. Run the step that trains one first.")
        return self.folder


def _sample() -> tuple[str, bytes]:
    return "a reed, made by timbrekit.flac", flac(reed(SAMPLE_SECONDS), RATE, 24)


def _spectrograms(sounds: dict[str, np.ndarray]) -> bytes:
    figure, axes = new_figure(9.5, 4.4, len(sounds), 1, sharex=True)
    for ax, (words, samples) in zip(axes, sounds.items(), strict=True):
        draw_spectrogram(ax, samples, words)
    axes[-1].set_xlabel("time (s)")
    return to_png(figure)
