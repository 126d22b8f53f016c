"""Files are written whole or not at all, under names that stay in their folder."""

import json
import os
import re
import secrets
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from timbrekit.errors import OutputError

STALE_SECONDS = 3600  # whoever still writes a temporary file of that age will never finish
TEMPORARY_FILE = re.compile(r"\..{0,40}-[0-9a-f]{8}\.tmp(\.[^.]*)?", re.DOTALL)
TEMPORARY_FOLDER = re.compile(r"\.timbrekit-\w+")  # tempfile adds letters, digits and underscores
LONGEST_NAME = 120  # bytes of UTF-8; file systems end at 255, and numbers and temporary endings are added
LONGEST_ENDING = 12  # bytes; what follows a dot further from the end is part of the name
RESERVED_LETTERS = '<>:"|?*'  # on Windows; / and \ are handled as folders
RESERVED_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices on Windows
_swept: set[Path] = set()  # folders that this process has looked through


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path`` that takes its place when the block ends well.

    The folder is made where it is missing, and rid of what killed runs left there (:func:`sweep_stale`). If the
    block raises, the temporary file is removed and whatever was at ``path`` before is still there, untouched.

    Raises:
        OutputError: the folder or the file cannot be written (read-only, disk full, a file in the way).
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last because writers choose the format by it.
        name = path.parent / f".{path.stem[:40]}-{secrets.token_hex(4)}.tmp{path.suffix}"
        name.open("xb").close()  # "x": never somebody else's file
        temporary = name
        if path.parent not in _swept:
            _swept.add(path.parent)
            # By the clock that dates the files there: that of a network drive may differ from ours.
            sweep_stale(path.parent, temporary.stat().st_mtime)
        yield temporary
        with temporary.open("r+b") as written:  # Windows syncs only what is open for writing
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Cannot write {path}: {reason}. Choose another folder, or free some space, and try again."
        ) from error
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()


def sweep_stale(folder: Path, now: float | None = None) -> None:
    """Remove the hidden temporary files and folders in ``folder`` that a killed run of timbrekit left an hour ago.

    Args:
        folder: only what lies directly in it is looked at.
        now: seconds since the epoch, by the clock of the folder's file system; None takes ours.
    """
    now = time.time() if now is None else now
    with suppress(OSError), os.scandir(folder) as entries:  # tidying must not stop the work
        for entry in entries:
            with suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime < STALE_SECONDS:
                    continue
                if entry.is_file(follow_symlinks=False) and TEMPORARY_FILE.fullmatch(entry.name):
                    os.unlink(entry.path)
                elif entry.is_dir(follow_symlinks=False) and TEMPORARY_FOLDER.fullmatch(entry.name):
                    shutil.rmtree(entry.path)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as readable JSON, whole or not at all. NaN is refused (ValueError): it is not JSON."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Whatever happens inside, a ``folder`` made there, and its parents, go again if nothing was left in them."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        with suppress(OSError):  # not empty, as it is meant to be
            for path in missing:
                path.rmdir()


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder inside ``folder``, so that files can be renamed into place."""
    try:
        with removed_if_empty(folder):
            folder.mkdir(parents=True, exist_ok=True)
            sweep_stale(folder)
            with tempfile.TemporaryDirectory(prefix=".timbrekit-", dir=folder) as staging:
                yield Path(staging)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder}: {error.strerror or error}. Choose another folder, or free some space."
        ) from error


def safe_name(name: str, fallback: str = "recording") -> str:
    """A file name that stays in its folder on every system, as close to ``name`` as that allows.

    Folders before the name, control characters, characters that Windows reserves, and dots and spaces at
    either end go; spaces inside, accents and emoji stay. At most 121 bytes of UTF-8, with the ending kept.
    A safe name comes back unchanged.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(
        "_" if letter in RESERVED_LETTERS or not letter.isprintable() else letter for letter in name
    )
    name = _shortened(name.strip(". "), fallback)
    return _shortened(f"_{name}", fallback) if RESERVED_NAMES.fullmatch(name) else name


def _shortened(name: str, fallback: str) -> str:
    """At most 121 bytes, with a short ending kept."""
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > LONGEST_ENDING:
        stem, ending = name, ""
    ending = f".{ending}" if ending else ""
    room = LONGEST_NAME - len(ending.encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return (stem or fallback) + ending
