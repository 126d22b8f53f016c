"""Everything a player takes home, in one zip."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from timbrekit.errors import ModelFileError
from timbrekit.export.live_page import render_page
from timbrekit.export.model_file import read_metadata
from timbrekit.files import atomic_path
from timbrekit.presets import Preset
from timbrekit.recording import write_wav
from timbrekit.results.naming import file_stem, read_report
from timbrekit.results.panel_picture import panel_picture
from timbrekit.results.report import name_of, write_card
from timbrekit.synth import SNARE808

PREVIEW_SECONDS = 15.0
PREVIEW_FADE_SECONDS = 0.5
NEEDED = ("model.pt", "report.json", "report.png", "card.txt", "primer.wav", "rehearsal.wav")


def bundle_contents(stem: str, synth: str = SNARE808) -> dict[str, str]:
    """Files of the zip, and what each is for.

    Args:
        stem: of the instrument's files, made of its name.
        synth: that it plays.
    """
    if synth != SNARE808:
        return {
            f"{stem}.html": "the instrument in a browser: double-click it",
            f"{stem}.pt": "the model, for timbrekit rehearse, and timbrekit export for Max and Pure Data",
            "card.txt": "how good it is, and how to play it",
            f"{stem} primer.wav": "your softest, loudest, darkest and brightest hit",
            f"{stem} preview.wav": "fifteen seconds to send to a friend",
            "preset.json": "your drum, to train with again",
            "report.json": "every figure, with timbrekit's version and the seed",
            "report.png": "the figures as a picture",
        }
    return {
        f"{stem}.html": "the instrument in a browser: double-click it",
        f"{stem}.pt": "load this in TorchDrum",
        "card.txt": "how, and what to dial in",
        "card.png": "where each value goes in TorchDrum",
        f"{stem} primer.wav": "send it through the plug-in once, each time you open it",
        f"{stem} preview.wav": "fifteen seconds to send to a friend",
        "preset.json": "your sound, to train with again",
        "report.json": "every figure, with timbrekit's version and the seed",
        "report.png": "the figures as a picture",
    }


def write_bundle(folder: str | Path, preset: Preset, path: str | Path | None = None) -> Path:
    """Zip what training left in a folder, under the instrument's name: :func:`bundle_contents`.

    Args:
        folder: holds the files that training writes.
        preset: that it was trained with.
        path: the zip to write, whole or not at all; the instrument's name in ``folder`` if None.

    Raises:
        ModelFileError: a file is missing, or the model cannot be described.
        OutputError: the zip cannot be written.
    """
    folder = Path(folder)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ModelFileError(
                f"{name} is missing in {folder.name}: train the model again, then download it."
            )
    report = read_report(folder)
    stem = file_stem(name_of(report, preset))
    model, primer = f"{stem}.pt", f"{stem} primer.wav"
    preview = folder / "preview.wav"
    write_preview(folder / "rehearsal.wav", preview)
    page = render_page(read_metadata(folder / "model.pt"))
    files = {
        model: folder / "model.pt",
        primer: folder / "primer.wav",
        f"{stem} preview.wav": preview,
        "report.json": folder / "report.json",
        "report.png": folder / "report.png",
    }
    card = (folder / "card.txt").read_text(encoding="utf-8")
    made = {
        f"{stem}.html": page.encode(),
        "card.txt": (write_card(report, preset, model, primer) if "unseen" in report else card).encode(),
        "preset.json": (json.dumps(preset.to_json(), indent=2, allow_nan=False) + "\n").encode(),
    }
    if preset.synth == SNARE808:
        made["card.png"] = panel_picture(report["detector"], model)
    path = folder / f"{stem}.zip" if path is None else Path(path)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in made.items():
            archive.writestr(_entry(name), content)
        for name, file in files.items():
            archive.write(file, name)
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
