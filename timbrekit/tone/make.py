"""From a recording to an instrument, its report and what a player takes home: for the command and the notebook."""

import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from timbrekit.errors import Finding
from timbrekit.files import atomic_path, write_json
from timbrekit.recording import Recording
from timbrekit.tone.export import write_nn_tilde
from timbrekit.tone.findings import tone_findings
from timbrekit.tone.instrument import save_instrument
from timbrekit.tone.live_page import build_tone_page
from timbrekit.tone.measure import measure_held_out
from timbrekit.tone.pitch import Heard, hear
from timbrekit.tone.report import about_training, picture
from timbrekit.tone.train import Dataset, Progress, Settings, Trained, prepare, train

MODEL, UNFINISHED = "tone.pt", "unfinished.pt"
ZIP = "timbrekit-tone.zip"
CONTENTS = {  # of the zip, and what each is for
    MODEL: "the instrument, for timbrekit tone play and export",
    "play.html": "play it in a browser: double-click it",
    "instrument.ts": "play it in Max or Pure Data, with nn~",
    "report.png": "how it sounds beside the recording",
    "report.json": "the same in numbers",
}


@dataclass(frozen=True, eq=False)
class Listened:
    """A recording, and what was heard of it and found."""

    recording: Recording
    heard: Heard
    findings: tuple[Finding, ...]

    @classmethod
    def to(cls, recording: Recording) -> "Listened":
        heard = hear(recording.samples)
        return cls(recording, heard, tone_findings(recording, heard))


def make_instrument(
    listened: Listened,
    out: Path,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Trained, Dataset, dict[str, Any]]:
    """Train an instrument; write tone.pt, report.json and report.png into ``out``. A run that was killed goes on.

    Returns:
        The instrument, what it was trained on, and what the report says.

    Raises:
        TrainingError: the recording has too little in it, or training failed.
        OutputError: something cannot be written.
    """
    began = time.perf_counter()
    data = prepare(listened.recording.samples, listened.heard)
    trained = train(data, settings, report, out / UNFINISHED)
    measured = measure_held_out(trained.instrument, data)
    seconds = time.perf_counter() - began
    findings = [asdict(finding) for finding in listened.findings]
    about = about_training(trained, data, measured, seconds, listened.recording.name, findings)
    save_instrument(out / MODEL, trained.instrument, about)
    write_json(out / "report.json", about)
    with atomic_path(out / "report.png") as temporary:
        temporary.write_bytes(picture(trained, data))
    return trained, data, about


def write_tone_bundle(folder: Path) -> Path:
    """Zip what ``make_instrument`` left in a folder, with the page and the file for nn~: CONTENTS.

    Raises:
        ModelFileError: the instrument cannot be read.
        OutputError: something cannot be written.
    """
    build_tone_page(folder / MODEL, folder / "play.html")
    write_nn_tilde(folder / MODEL, folder / "instrument.ts")
    path = folder / ZIP
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in CONTENTS:
            archive.write(folder / name, name)
    return path
