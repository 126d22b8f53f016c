"""The way from a recording to an instrument, a step a method: what the cells of the notebooks call.

Every step keeps what was chosen in the session, goes on from what an earlier notebook kept there, and falls back
to the sample, the suggested detector settings and the preset snare-1. What goes wrong is said in a sentence.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from timbrekit import SAMPLE_RATE
from timbrekit.errors import SessionError, TimbrekitError
from timbrekit.export.live_page import render_page
from timbrekit.export.model_file import read_metadata
from timbrekit.notebook import colab
from timbrekit.notebook.audition_panel import AuditionPanel
from timbrekit.notebook.carry import bring_session, hand_over, kept_back, take_along, whose_words
from timbrekit.notebook.hits_panel import HitsPanel
from timbrekit.notebook.live import PagePanel
from timbrekit.notebook.preset_panel import PresetPanel
from timbrekit.notebook.recording_panel import LAST, MICROPHONE, SAMPLE, UPLOAD, RecordingPanel
from timbrekit.notebook.step import Panel, Step, in_order
from timbrekit.notebook.train_step import LAST_PLACE, ask_where, train_in
from timbrekit.notebook.training_panel import TrainingPanel
from timbrekit.notebook.verdict_panel import VerdictPanel
from timbrekit.notebook.widgets import PicturePanel, in_words, show_html, table_html
from timbrekit.notebook.words import say
from timbrekit.notebook.work import FIRST_PRESET, Work
from timbrekit.presets import Preset, load_preset
from timbrekit.recording import describe
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.recording.take_health import hit_findings
from timbrekit.results.instruments import find_instruments
from timbrekit.results.naming import rename
from timbrekit.results.plots import new_figure, plot_timbre_space, to_png
from timbrekit.results.report import name_of
from timbrekit.session import MODEL_FILE, Session
from timbrekit.synth.base import Parameter

SUGGESTED, PLUGIN, AS_LEFT = DETECTORS = ("suggested", "the plug-in's own", "as I set them last")
LAST_PRESET = f"my last choice, or {FIRST_PRESET}"
NOT_NOW = "not now"
SOMETHING_ELSE = (NOT_NOW, UPLOAD, MICROPHONE)
TRAINED_TAKE, OTHER_TAKE = TAKES = ("the recording it was trained on", "another recording")
ORDER = (HITS, TRAIN, PLAY, LISTEN, SPACE, VERDICT) = ("hits", "train", "play", "listen", "space", "verdict")


class Journey:
    """One user's way. Make one with :meth:`start`."""

    def __init__(self, session: Session) -> None:
        self.session, self.work = session, Work(session)
        self.steps: dict[str, Step] = {}  # those that are shown, by name
        self.recording: RecordingPanel | None = None
        self.preset: PresetPanel | None = None

    @classmethod
    def start(
        cls, keep_on_google_drive: bool = False, name: str = "my session", from_a_session_zip: bool = False
    ) -> "Journey":
        """Open the session, or start one, and say which, and whose recording it is about.

        Args:
            keep_on_google_drive: in Colab, keep it there. The notebooks share it then.
            name: of the session.
            from_a_session_zip: in Colab, ask for the zip that :meth:`take_along` gave in the notebook before.
        """
        folder = colab.work_folder(keep_on_google_drive, name)
        session = bring_session(folder) if from_a_session_zip else None
        journey = cls(session or Session.open(folder))
        say(journey.session.describe())
        say(whose_words(journey.session, on_drive=colab.is_on_drive(folder)))
        return journey

    @in_words
    def choose_recording(self, source: str = LAST) -> None:
        """Get a recording (one of ``RECORDING_SOURCES``) and show it."""
        self.recording = RecordingPanel(self.session, self._look, lambda: self.run_from(HITS))
        self.recording.choose(source)
        self.recording.show()
        self._look()

    def find_hits(self, detector: str = SUGGESTED) -> None:
        """Show the hits, with sliders for the detector that start as ``DETECTORS`` says."""

        def make(_step: Step) -> HitsPanel:
            self._need_recording()
            sha = self.session.state.recording_sha256
            recording, suggestion = self.work.recording(), self.work.suggestion()
            start = {
                SUGGESTED: lambda: suggestion.settings,
                PLUGIN: DetectorSettings,
                AS_LEFT: self.work.detector,  # of a session: read where it is asked for
            }
            settings = start[detector]()

            def keep(settings: DetectorSettings, hits: int) -> None:
                try:
                    self.session.keep_detector(settings, hits, sha)
                except SessionError:  # another recording has come; the panel is about the one before
                    self.session.refresh()
                self._look()

            panel = HitsPanel(recording, suggestion, settings, keep)
            hits = find_hits(recording.samples, recording.sample_rate, settings)
            panel.note(describe(hit_findings(hits, recording.samples)))
            return panel

        self._show(HITS, make, lambda: self.session.state.recording_sha256, "Finding the hits")

    @in_words
    def choose_preset(self, name: str | Path = LAST_PRESET) -> None:
        """Show the presets, beginning with one: a name, a preset file, or the last choice."""
        start = self.work.preset() if name == LAST_PRESET else load_preset(name)

        train = (lambda: self.run_from(TRAIN)) if TRAIN in self.steps else None
        folder = self.session.folder / "presets"
        self.preset = PresetPanel(start, folder, self.use_preset, self.work.by_loudness, train)
        self.preset.show()

    def use_preset(self, preset: Preset) -> None:
        """Make a preset the session's choice."""
        self.session.keep_preset(preset.to_json())
        self._look()

    def train(
        self,
        daw_sample_rate: int = SAMPLE_RATE,
        model: str | None = None,
        epochs: int | None = None,
        to_play: str = LAST_PLACE,
    ) -> None:
        """Train with what was chosen, to play in one of ``PLACES``, and watch; or say that it has been done before."""
        places = ask_where(to_play, self.work, lambda: self.run_from(TRAIN))
        train = lambda step: self._train(step, daw_sample_rate, places.value, model, epochs)  # noqa: E731
        self._show_of_choices(TRAIN, train, "Training")

    def play_live(self) -> None:
        """The instrument itself, below the cell: recordings, pads, and where the browser permits the microphone."""

        def make(step: Step) -> PagePanel:
            self._need_model(step)
            folder, name = self.session.model_dir, name_of(self.work.report(), self.work.preset())
            page = lambda: render_page(read_metadata(folder / MODEL_FILE))  # noqa: E731
            return PagePanel(page, name, lambda name: self._rename(folder, name))

        self._show_of_choices(PLAY, make, "Opening the instrument")

    @in_words
    def listen(self, to: str = TRAINED_TAKE, neurality: float = 1.0) -> None:
        """Rehearse and show a player: of the recording trained on, or of another (a file, or asked for)."""
        other = None
        if to == OTHER_TAKE:
            other = self._ask_for_another(UPLOAD, lambda: self._hear(other.recording_path))

        def make(step: Step) -> AuditionPanel:
            self._need_model(step)
            path = self.session.recording_path if to == TRAINED_TAKE else Path(to)
            if other is not None:
                path = other.recording_path or self.session.recording_path
            return self.work.audition(path, neurality)

        self._show_of_choices(LISTEN, make, "Rehearsing")

    def show_timbre_space(self) -> None:
        """Draw every hit: as played on the drum, as played by the model."""

        def make(step: Step) -> PicturePanel:
            self._need_model(step)
            played = self.work.measured()
            figure, ax = new_figure(7.5, 5.2)
            plot_timbre_space(ax, played.intended, played.played)
            words = "Each hit in loudness and brightness: yours, and as the model plays it."
            return PicturePanel(to_png(figure), words)

        self._show_of_choices(SPACE, make, "Measuring")

    @in_words
    def show_verdict(self, something_else: str = NOT_NOW) -> None:
        """How good the model is; measured anew if something else is played now (one of ``SOMETHING_ELSE``)."""

        def make(step: Step) -> VerdictPanel:
            self._need_model(step)
            return VerdictPanel(self.session.model_dir, self.work.preset(), self.session.recording_path)

        other = None
        if something_else != NOT_NOW:
            other = self._ask_for_another(
                something_else, lambda: self.steps[VERDICT].panel.measure(other.recording_path)
            )
        self._show_of_choices(VERDICT, make, "Reading the report")

    @in_words
    def take_along(self) -> None:
        """Hand over what the next notebook needs to go on, where it cannot find that by itself."""
        take_along(self.session)

    @in_words
    def download(self, even_of_the_sample: bool = False) -> None:
        """Zip everything and hand it over, a zip for each listener; in Colab what is the sample's only if asked for."""
        self._need_recording()
        if not kept_back(self.session, even_of_the_sample):
            self._need_model()
            hand_over(self.session, self.work.preset())

    @in_words
    def show_instruments(self) -> None:
        """All that were trained here, in this session and those beside it, with their verdicts."""
        found = find_instruments(self.session.folder.parent)
        if not found:
            say("There is no instrument here yet: train one first.")
            return
        show_html(table_html([instrument.row() for instrument in found]))

    def run_from(self, name: str) -> None:
        """Do a step and those that follow it anew, each in its place."""
        self._look()
        if self.preset is not None:
            self.preset.follow()
        in_order(self.steps, name, ORDER)
        self._look()

    @property
    def hits(self) -> HitsPanel | None:
        return self._panel(HITS)

    @property
    def audition(self) -> AuditionPanel | None:
        return self._panel(LISTEN)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The table of the synthesiser that is played."""
        return self.work.preset().parameters

    def _panel(self, name: str) -> Panel | None:
        return self.steps[name].panel if name in self.steps else None

    def _show(
        self, name: str, make: Callable[[Step], Panel | None], made_of: Callable[[], str | None], doing: str
    ) -> None:
        self.steps[name] = Step(make, made_of, doing, lambda: self.run_from(name))
        self.steps[name].show()
        self._look()

    def _show_of_choices(self, name: str, make: Callable[[Step], Panel | None], doing: str) -> None:
        self._show(name, make, lambda: self.session.choices, doing)

    def _look(self) -> None:
        """Grey out what is shown of other choices."""
        state = self.session.state
        why = f'This was made with other choices. By now the recording is "{state.recording}"'
        why += f" and the sound {self.work.preset().title}{self.session.how}." if state.preset else "."
        for step in self.steps.values():
            step.look(why)

    def _train(self, step: Step, *how: Any) -> TrainingPanel | None:
        self._need_recording()
        return train_in(step, self.work, *how)

    def _rename(self, folder: Path, name: str) -> None:
        rename(folder, name, self.work.preset())
        verdict = self._panel(VERDICT)
        if verdict is not None:
            verdict.redraw()

    def _ask_for_another(self, source: str, on_change: Callable[[], None]) -> Session:
        """A session of its own for another take, with a way to hand it over."""
        other = Session.open(self.session.folder / "other take")
        chooser = RecordingPanel(other, on_change)
        chooser.choose(source)
        chooser.show()
        return other

    def _hear(self, path: Path) -> None:
        """Another take has arrived: rehearse it in the players that are there."""
        if self.audition is not None:
            self.audition.take(self.work.recording(self.work.rate(), path).samples)

    def _need_recording(self) -> None:
        self.session.refresh()
        if self.recording is not None and self.recording.waiting:
            raise TimbrekitError(
                "The file you chose to upload or record has not arrived, and nothing else is used in its place. Go "
                "back to that step: give the file's path, or choose another source there and run it again."
            )
        if self.session.recording_path is None:
            say("There is no recording in this session yet: the sample is used.")
            RecordingPanel(self.session).choose(SAMPLE)

    def _need_model(self, step: Step | None = None) -> None:
        if not self.session.is_trained:
            say("There is no trained model of these choices yet: training one now.")
            if step is None:
                self.train()
            else:
                self._train(step, SAMPLE_RATE, (self.session.listener,))
        if not self.session.is_trained:
            raise TimbrekitError("Without a model there is nothing to go on with: train one first.")
