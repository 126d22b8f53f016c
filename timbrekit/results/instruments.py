"""All instruments in a folder and below, by name, with their verdicts. Read without torch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from timbrekit.export.model_file import listener_of
from timbrekit.training.names import MEL

DEPTH = 6  # folders below the one that is searched
MODEL, REPORT = "model.pt", "report.json"
LARGEST_REPORT = 10_000_000  # bytes; a real one has some 20,000


@dataclass(frozen=True)
class Instrument:
    """What is known of one from its report."""

    folder: Path
    name: str
    preset: str  # its short name
    hits: int  # that it was trained on
    listener: str  # what it hears with: ``torchdrum`` or ``mel``
    word: str  # of the verdict; "" where the report has none
    ticks: dict[str, str]  # ✓, ~ or ✗ for loudness, brightness, length
    trained: datetime  # in local time

    def row(self) -> dict[str, str]:
        """As cells of a table."""
        return {
            "name": self.name,
            "follows you": self.word or "not measured",
            **{name: self.ticks.get(name, "") for name in ("loudness", "brightness", "length")},
            "listener": "mel" if self.listener == MEL else "TorchDrum's",
            "preset": self.preset,
            "hits": str(self.hits),
            "trained": f"{self.trained:%Y-%m-%d %H:%M}",
        }


def find_instruments(folder: str | Path) -> list[Instrument]:
    """Those in a folder and below, the newest first. What is damaged or something else is passed over."""
    found = [instrument for path in _reports(Path(folder), DEPTH) if (instrument := _read(path))]
    return sorted(found, key=lambda instrument: (-instrument.trained.timestamp(), instrument.name))


def _reports(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # not ours to read
        return
    for path in entries:
        if path.name == REPORT and (folder / MODEL).is_file():
            yield path
        elif depth and not path.name.startswith(".") and path.is_dir() and not path.is_symlink():
            yield from _reports(path, depth - 1)


def _read(path: Path) -> Instrument | None:
    try:
        if path.stat().st_size > LARGEST_REPORT:
            return None
        report: Any = json.loads(path.read_text(encoding="utf-8"))
        ticks = report.get("ticks", {})
        return Instrument(
            folder=path.parent,
            name=str(report.get("name") or f"{path.parent.name} ({report['preset']})"),
            preset=str(report["preset"]),
            hits=int(report["hits_kept"]),
            listener=listener_of(report),
            word=str(report.get("word", "")),
            ticks={str(name): str(tick) for name, tick in ticks.items()},
            trained=datetime.fromtimestamp((path.parent / MODEL).stat().st_mtime),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
