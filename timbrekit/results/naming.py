"""What an instrument is called: on its card, in its files, in the page."""

import json
from pathlib import Path
from typing import Any

from timbrekit.errors import ModelFileError, TimbrekitError
from timbrekit.export.archive import pack, read_file
from timbrekit.export.model_file import EXTRA_FILE, read_metadata
from timbrekit.files import atomic_path, safe_name, write_json
from timbrekit.presets import Preset
from timbrekit.results.report import write_card
from timbrekit.training.names import MEL, TORCHDRUM

LONGEST = 60  # letters of a name


def default_name(recording: str, preset: Preset, listener: str = TORCHDRUM) -> str:
    """Such as "my take as Snare 1", from the recording's file and the preset; another for each listener."""
    take = safe_name(Path(recording).stem, fallback="take")
    sound = f" as {preset.title}" + (", mel listener" if listener == MEL else "")
    return f"{take[: max(LONGEST - len(sound), 8)].strip()}{sound}"


def check_name(name: str) -> str:
    """The name without spaces around it.

    Raises:
        TimbrekitError: it is empty, too long, or has letters that cannot be printed.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise TimbrekitError(f"Give your instrument a name of 1 to {LONGEST} letters.")
    return name


def file_stem(name: str) -> str:
    """How its files begin."""
    return safe_name(name.replace("/", "-").replace("\\", "-"), fallback="instrument")


def rename(folder: Path, name: str, preset: Preset) -> None:
    """Give a trained instrument another name: in its model, its report and its card.

    Args:
        folder: what training wrote.
        name: for people.
        preset: that it plays.

    Raises:
        TimbrekitError: the name will not do.
        ModelFileError: there is no model of timbrekit's in the folder.
        OutputError: the folder cannot be written.
    """
    name = check_name(name)
    path = folder / "model.pt"
    report = read_report(folder)
    metadata = {**read_metadata(path), "name": name}
    document = json.dumps(metadata, allow_nan=False).encode()
    content = pack(read_file(path), {f"extra/{EXTRA_FILE}": document})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    write_report(folder, {**report, "name": name}, preset)


def write_report(folder: Path, report: dict[str, Any], preset: Preset) -> None:
    """Replace a report, and the card that is made of it. Raises OutputError where that fails."""
    with atomic_path(folder / "card.txt") as temporary:
        temporary.write_text(write_card(report, preset), encoding="utf-8")
    write_json(folder / "report.json", report)


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder that training wrote.

    Raises:
        ModelFileError: there is none, or it is damaged.
    """
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"report.json in {folder.name} cannot be read. Train the model again."
        ) from error
    if not isinstance(report, dict):
        raise ModelFileError(f"report.json in {folder.name} is damaged. Train the model again.")
    return report
