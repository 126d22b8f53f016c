"""Everything a player takes home, in one zip."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from timbrekit.errors import ModelFileError
from timbrekit.export.live_page import build_page
from timbrekit.export.model_file import read_metadata
from timbrekit.files import atomic_path
from timbrekit.presets import Preset
from timbrekit.recording import write_wav

PREVIEW_SECONDS = 15.0
PREVIEW_FADE_SECONDS = 0.5
NAME = "timbrekit-instrument.zip"
CONTENTS = {  # of the zip, and what each is for
    "model.pt": "load this in TorchDrum",
    "card.txt": "how, and what to dial in",
    "primer.wav": "send it through the plug-in once, each time you open it",
    "play.html": "the instrument in a browser: double-click it",
    "preview.wav": "fifteen seconds to send to a friend",
    "preset.json": "your sound, to train with again",
}


def write_bundle(folder: str | Path, preset: Preset, path: str | Path | None = None) -> Path:
    """Zip what training left in a folder: model.pt, card.txt, primer.wav, preset.json, preview.wav, play.html.

    Args:
        folder: holds ``model.pt``, ``card.txt``, ``primer.wav`` and ``rehearsal.wav``, as training writes them.
        preset: that it was trained with.
        path: the zip to write, whole or not at all; ``NAME`` in ``folder`` if None.

    Raises:
        ModelFileError: a file is missing, or the model cannot be described.
        OutputError: the zip cannot be written.
    """
    folder = Path(folder)
    for name in ("model.pt", "card.txt", "primer.wav", "rehearsal.wav"):
        if not (folder / name).is_file():
            raise ModelFileError(
                f"{name} is missing in {folder.name}: train the model again, then download it."
            )
    path = folder / NAME if path is None else Path(path)
    page, preview = folder / "play.html", folder / "preview.wav"
    build_page(read_metadata(folder / "model.pt"), page)
    write_preview(folder / "rehearsal.wav", preview)
    preset_text = json.dumps(preset.to_json(), indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (folder / "model.pt", folder / "card.txt", folder / "primer.wav", preview, page):
            archive.write(file, file.name)
        archive.writestr(_entry("preset.json"), preset_text)
    return path


def _entry(name: str) -> zipfile.ZipInfo:
    """Of a file that everybody may read, as the others: zipfile's own is for its owner alone."""
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry


def write_preview(rehearsal: str | Path, path: str | Path) -> None:
    """The first seconds of a rehearsal, faded out: small enough to send to a friend."""
    samples, rate = soundfile.read(rehearsal, dtype="float32")
    size = round(PREVIEW_SECONDS * rate)
    if len(samples) > size:
        fade = round(PREVIEW_FADE_SECONDS * rate)
        samples = samples[:size]
        samples[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    write_wav(path, samples, rate)
