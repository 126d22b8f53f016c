"""Getting a recording: uploaded, recorded here, from Drive or the sample; shown with its health in words."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import ipywidgets

from timbrekit.errors import TimbrekitError
from timbrekit.notebook import colab
from timbrekit.notebook.player import player_html
from timbrekit.notebook.widgets import NOTHING, paragraphs, path_field, show_panel, upload_button
from timbrekit.recording import Recording, describe, read_recording
from timbrekit.results.plots import new_figure, plot_hits, set_title, to_png
from timbrekit.session import Session, safe_name

LAST, UPLOAD, MICROPHONE, DRIVE, SAMPLE = RECORDING_SOURCES = (
    "the one I used last, or the sample",
    "upload a file",
    "record with my microphone",
    "a file on my Google Drive",
    "the sample",
)
SAMPLE_NAME = "snare_minute.flac"
WAITING = (
    "Your file has not arrived yet. Choose it above, and wait until it is shown here. Jupyter drops files above 10 MB, "
    "some 30 s of 24-bit stereo, without a word, and its button may stay dead until this step is run again: give the "
    "file's path instead, or save it as FLAC or mono."
)
WAITING_COLAB = "No file has arrived. Run this step again, or choose another source."
GO_ON = "Find its hits, train and play"
WIDE = ipywidgets.Layout(width="18em")
SAMPLE_PLACES = ("sample_audio", "../sample_audio", "timbrekit-source/sample_audio")


def find_sample() -> Path:
    """The sample that comes with timbrekit: beside the notebook, or beside the package.

    Raises:
        TimbrekitError: it is nowhere there.
    """
    beside_package = Path(__file__).resolve().parents[2] / "sample_audio"
    for folder in (*map(Path, SAMPLE_PLACES), Path("/content/timbrekit-source/sample_audio"), beside_package):
        if (folder / SAMPLE_NAME).is_file():
            return folder / SAMPLE_NAME
    raise TimbrekitError(
        f"The sample recording {SAMPLE_NAME} is not on this computer. Run the first step of the notebook again, or "
        "upload a recording of your own."
    )


def keep_if_readable(session: Session, name: str, content: bytes) -> Recording:
    """Make a file the session's recording, if it can be used; otherwise the session stays as it is.

    Raises:
        RecordingError: it cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / safe_name(name)
        trial.write_bytes(content)
        read_recording(trial)
    return read_recording(session.keep_recording(name, content))


def recording_words(recording: Recording) -> list[str]:
    """What it is and what is wrong with it, a sentence each."""
    channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
    first = f'"{recording.name}": {recording.duration_s:.1f} s, {channels}, {recording.source_rate} Hz.'
    return [first, *(describe(recording.findings) or ["Nothing is wrong with it."])]


class RecordingPanel:
    """Shows the session's recording, and a way to another where one was asked for."""

    def __init__(
        self,
        session: Session,
        on_change: Callable[[], None] = lambda: None,
        go_on: Callable[[], None] | None = None,
        sample: Callable[[], tuple[str, bytes | Path]] = lambda: (SAMPLE_NAME, find_sample()),
        words: Callable[[Recording], list[str]] = recording_words,
        guided: bool = True,
    ):
        """What is shown, and what happens then.

        Args:
            on_change: called when a file has arrived.
            go_on: called by the button that stands there then.
            sample: name and content of the one that comes with the notebook.
            words: on a recording.
            guided: the recorder says what to play on a drum.
        """
        self.session, self._on_change, self._sample, self._words = session, on_change, sample, words
        self._guided = guided
        self.words, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        self.png = NOTHING  # of the recording, for where no player can be shown
        self.above = ipywidgets.VBox([])
        self._next = ipywidgets.VBox([])
        self.box = ipywidgets.VBox([self.above, self.words, self._next, self.sound])
        self._go_on = go_on
        self.text = ""
        self.waiting = False  # for a file that was announced; nothing else is to be used in its place

    def choose(self, source: str) -> None:
        """Do what one of ``RECORDING_SOURCES`` says, then show what the session's recording is now."""
        handed = None
        if self._go_on and not colab.in_colab():
            self._offer_upload()
        if source == UPLOAD and colab.in_colab():
            handed = colab.upload()
        elif source == MICROPHONE:
            handed = colab.record(self._guided)
        elif source == DRIVE:
            self._offer_drive()
        if source in (UPLOAD, MICROPHONE) and handed is None:
            self._wait_for_file()
            return
        if source == SAMPLE or (handed is None and self.session.recording_path is None):
            self.session.keep_recording(*self._sample())
        if handed is not None:
            self.take(handed)
        else:
            self._show(read_recording(self.session.recording_path))

    def take(self, handed: colab.Upload) -> None:
        """Use a file that the user handed over, or say why not."""
        try:
            self._show(keep_if_readable(self.session, handed.name, handed.content))
        except TimbrekitError as error:
            still = self.session.state.recording
            kept = f' Until then, "{still}" is used.' if still else ""
            self._say([f"{error}{kept}"])
            return
        self.waiting = False
        if self._go_on:
            button = ipywidgets.Button(description=GO_ON, button_style="primary", layout=WIDE)
            button.on_click(lambda _: self._go_on())
            self._next.children = [button]
        self._on_change()

    def _offer_upload(self) -> None:
        path = path_field(self.take, lambda words: self._say([words]))
        self.above.children = [ipywidgets.HBox([upload_button(lambda files: self.take(files[-1])), path])]

    def _wait_for_file(self) -> None:
        """Offer both ways in. Until a file has arrived, what is there already is shown, and is not used instead."""
        if not colab.in_colab():
            self._offer_upload()
        self.waiting = True
        sentences = [WAITING_COLAB if colab.in_colab() else WAITING]
        if self.session.recording_path is not None:
            self._show(read_recording(self.session.recording_path))
            sentences.append(f'The session still has "{self.session.state.recording}".')
        self._say(sentences)

    def show(self) -> None:
        show_panel(self.box, self.png, self.text)

    def _offer_drive(self) -> None:
        drive = colab.mount_drive()
        files = colab.audio_files(drive) if drive else []
        if drive and not files:
            print("No sound file was found on your Drive, three folders deep. Put one there, or upload it.")
        if not files:
            return
        names = [("choose a file …", None), *((str(file.relative_to(drive)), file) for file in files)]
        chooser = ipywidgets.Dropdown(
            options=names, description="On Drive", layout=ipywidgets.Layout(width="40em")
        )

        def chosen(change: dict) -> None:
            if change["new"]:
                self.take(colab.Upload(change["new"].name, change["new"].read_bytes()))

        chooser.observe(chosen, names="value")
        self.above.children = [chooser]

    def _show(self, recording: Recording) -> None:
        self._say(self._words(recording))
        figure, ax = new_figure(9.5, 2.2)
        plot_hits(ax, recording.samples, recording.sample_rate, ())
        ax.get_legend().remove()
        set_title(ax, "Your recording")
        self.png = to_png(figure)
        self.sound.value = player_html({"You": recording.samples}, recording.sample_rate)

    def _say(self, sentences: list[str]) -> None:
        self.text = "\n".join(sentences)
        self.words.value = paragraphs(sentences)
