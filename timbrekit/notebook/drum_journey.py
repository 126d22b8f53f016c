"""From hits of a drum to an instrument that is trained and played: what the cells of 08_your_own_drum call first.

Once there is a drum, the steps are those of every other preset (``timbrekit.notebook.journey``).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from timbrekit.drums import MadeDrum, median_hit
from timbrekit.notebook import colab
from timbrekit.notebook.colab import Upload
from timbrekit.notebook.drum_panel import DrumPanel
from timbrekit.notebook.journey import Journey
from timbrekit.notebook.player import flac
from timbrekit.notebook.recording_panel import SAMPLE, RecordingPanel
from timbrekit.notebook.widgets import in_words
from timbrekit.presets import load_preset, preset_names, save_preset
from timbrekit.recording.hits import find_hits
from timbrekit.session import safe_name
from timbrekit.synth.drum import ONSET_RATE
from timbrekit.synth.struck_tom import STRENGTHS, struck_tom
from timbrekit.training.take import make_take

LAST_DRUM, MEDIAN, UPLOAD_HITS, TOM = HIT_SOURCES = (
    "the hits I used last, or the sample",
    "the median hit of my recording",
    "upload one to eight hits",
    "the sample, a tom that timbrekit makes",
)
NOTHING_ELSE, LAST_OTHER, *_ = BLEND_SOURCES = (
    "nothing",
    "the hits I blended it with last",
    MEDIAN,
    UPLOAD_HITS,
    TOM,
)


class DrumJourney:
    """One user's drum, kept in the session of the notebooks."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.panel: DrumPanel | None = None
        self._folder, self._others = (journey.session.folder / name for name in ("hits", "other hits"))

    @in_words
    def choose_hits(self, source: str = LAST_DRUM, blend_with: str = NOTHING_ELSE) -> None:
        """Get hits (from one of ``HIT_SOURCES``), make a drum of them, and show it whole and in parts.

        Args:
            source: of the drum.
            blend_with: one of ``BLEND_SOURCES``, of another drum that it can turn into.
        """
        self.panel = DrumPanel(self._keep)
        if blend_with == UPLOAD_HITS and not colab.in_colab():
            self.panel.ask(other=True)
        elif blend_with != NOTHING_ELSE:
            self.panel.blend(self._hits(blend_with, self._others))
        if source == UPLOAD_HITS and not colab.in_colab():
            self.panel.ask()
        else:
            hits = self._hits(source, self._folder)
            self.panel.take(hits, "sample" if hits == sample_hits() else "")
        self.panel.show()

    def _hits(self, source: str, folder: Path) -> list[Upload]:
        kept = [Upload(path.name, path.read_bytes()) for path in sorted(folder.glob("*"))]
        if source == UPLOAD_HITS:
            return colab.upload_all()
        if source == MEDIAN:
            return [self._median()]
        return kept if kept and source != TOM else sample_hits()

    def _median(self) -> Upload:
        work = self.journey.work
        if work.session.recording_path is None:
            RecordingPanel(work.session).choose(SAMPLE)
        recording = work.recording()
        hits = find_hits(recording.samples, recording.sample_rate, work.detector())
        stem = Path(recording.name).stem
        return Upload(f"{stem}, one hit.flac", flac(median_hit(make_take(hits)), ONSET_RATE, 24))

    def _keep(self, made: MadeDrum, files: Sequence[Upload], others: Sequence[Upload]) -> None:
        """Its hits, itself among the user's own presets, and the session's choice."""
        for folder, kept in ((self._folder, files), (self._others, others)):
            if not kept:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                path.unlink()
            for file in kept:
                (folder / safe_name(file.name)).write_bytes(file.content)
        name = safe_name(made.preset.name, fallback="drum")
        if name in preset_names():
            name = f"{name}-of-my-own"
        path = self.journey.session.folder / "presets" / f"{name}.json"
        self.journey.use_preset(load_preset(save_preset(replace(made.preset, name=name), path)))


def sample_hits() -> list[Upload]:
    """Three strokes of a tom, soft to hard."""
    return [
        Upload(f"tom {number}.flac", flac(struck_tom(strength), ONSET_RATE, 24))
        for number, strength in enumerate(STRENGTHS, 1)
    ]
