"""Everything a player takes home, in one zip."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from timbrekit.errors import ModelFileError
from timbrekit.export.check import open_model
from timbrekit.export.live_page import render_page
from timbrekit.export.model_file import TORCHDRUM, listener_of, problem_with_host
from timbrekit.export.nn_tilde.write import write_nn_tilde
from timbrekit.files import atomic_path
from timbrekit.presets import Preset
from timbrekit.recording import write_wav
from timbrekit.results.naming import file_stem, read_report
from timbrekit.results.panel_picture import panel_picture
from timbrekit.results.report import name_of, write_card
from timbrekit.synth import SNARE808

PREVIEW_SECONDS = 15.0
PREVIEW_FADE_SECONDS = 0.5
NEEDED = ("model.pt", "report.json", "card.txt")
MEASURED = ("rehearsal.wav", "report.png")  # not there where training was stopped


def bundle_contents(stem: str, synth: str = SNARE808, listener: str = TORCHDRUM) -> dict[str, str]:
    """Files of the zip, and what each is for.

    Args:
        stem: of the instrument's files, made of its name.
        synth: that it plays.
        listener: that it hears with.
    """
    for_plugin = not problem_with_host({"synth": synth, "listener": listener}, "torchdrum")
    model, primer, panel = f"{stem}.pt", f"{stem} primer.wav", "card.png"
    in_torchdrum = {
        model: "load this in TorchDrum",
        primer: "send it through TorchDrum once, each time you open it",
        panel: "where each value goes in TorchDrum",
    }
    elsewhere = {model: "the model, for timbrekit's commands. TorchDrum cannot play it: card.txt says why"}
    return {
        f"{stem}.html": "the instrument in a browser: double-click it",
        f"{stem}.ts": "the instrument in Max and Pure Data: load it in the object nn~",
        "card.txt": "how good it is, and how to play it",
        **(in_torchdrum if for_plugin else elsewhere),
        f"{stem} preview.wav": "fifteen seconds to send to a friend",
        "preset.json": "your sound, to train with again",
        "report.json": "every figure, with timbrekit's version and the seed",
        "report.png": "the figures as a picture",
    }


def write_bundle(folder: str | Path, preset: Preset) -> Path:
    """Zip what training left in a folder, under the instrument's name, whole or not at all: :func:`bundle_contents`.

    Args:
        folder: holds the files that training writes.
        preset: that it was trained with.

    Raises:
        ModelFileError: a file is missing, or the model cannot be described.
        OutputError: the zip cannot be written.
    """
    folder = Path(folder)
    report = read_report(folder)
    stem = file_stem(name_of(report, preset))
    model, primer = f"{stem}.pt", f"{stem} primer.wav"
    contents = bundle_contents(stem, preset.synth, listener_of(report))
    measured = not report.get("training", {}).get("interrupted")
    for name in (*NEEDED, *(MEASURED if measured else ()), *(("primer.wav",) if primer in contents else ())):
        if not (folder / name).is_file():
            raise ModelFileError(
                f"{name} is missing in {folder.name}: train the model again, then download it."
            )
    opened = open_model(folder / "model.pt")
    (folder / "preview.wav").unlink(missing_ok=True)
    if measured:
        write_preview(folder / "rehearsal.wav", folder / "preview.wav")
    write_nn_tilde(opened, folder / "model.ts")
    files = {
        f"{stem}.ts": folder / "model.ts",
        model: folder / "model.pt",
        primer: folder / "primer.wav",
        f"{stem} preview.wav": folder / "preview.wav",
        "report.json": folder / "report.json",
        "report.png": folder / "report.png",
    }
    card = (folder / "card.txt").read_text(encoding="utf-8")
    made = {
        f"{stem}.html": render_page(opened.metadata).encode(),
        "card.txt": (
            write_card(report, preset, model, primer) if "unseen" in report or not measured else card
        ).encode(),
        "preset.json": (json.dumps(preset.to_json(), indent=2, allow_nan=False) + "\n").encode(),
    }
    if "card.png" in contents:
        made["card.png"] = panel_picture(report["detector"], model)
    path = folder / f"{stem}.zip"
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in made.items():
            archive.writestr(_entry(name), content)
        for name in contents:
            if name not in made and files[name].is_file():
                archive.write(files[name], name)
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
