"""The state file of a session, and its recordings' names."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from timbrekit.errors import SessionError
from timbrekit.files import LONGEST_NAME, safe_name
from timbrekit.training.names import LISTENERS

VERSION = 1  # of the state file; raised when older programs could no longer read it
LARGEST_STATE = 1_000_000  # bytes; a real one has about 2,000


@dataclass(frozen=True)
class State:
    """What the state file holds. All values are plain JSON."""

    started: str  # ISO 8601 with time zone
    recording: str | None = None  # file name inside recording/
    recording_sha256: str | None = None
    detector: dict[str, float] | None = None  # the fields of DetectorSettings
    hits: int | None = None  # found with that detector in that recording
    preset: dict[str, Any] | None = None  # as in a preset file; has a "name"
    listener: str | None = None  # of the model that is played; None: torchdrum


_KINDS: dict[str, Any] = {
    "started": str,
    "recording": (str, type(None)),
    "recording_sha256": (str, type(None)),
    "detector": (dict, type(None)),
    "hits": (int, type(None)),
    "preset": (dict, type(None)),
    "listener": (str, type(None)),
}


def read_state(path: Path) -> State:
    """Read and check a state file.

    Raises:
        OSError: there is none (FileNotFoundError), or it cannot be read.
        ValueError: it is not one of ours; the message continues the sentence "the saved state …".
    """
    with path.open("rb") as file:
        text = file.read(LARGEST_STATE + 1)
    if len(text) > LARGEST_STATE:
        raise ValueError(f"is damaged (it has more than {LARGEST_STATE} bytes)")
    try:
        content = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # errors of UTF-8 and of JSON are ValueErrors
        raise ValueError("is damaged (it is not JSON)") from error
    if not isinstance(content, dict) or not isinstance(content.get("timbrekit_session"), int):
        raise ValueError("is damaged (it is not a session's)")
    if content["timbrekit_session"] > VERSION:
        raise ValueError("was written by a newer timbrekit")
    for key, kind in _KINDS.items():
        if not isinstance(content.get(key), kind) or isinstance(content.get(key), bool):
            raise ValueError(f'is damaged ("{key}" is not what it should be)')
    state = State(**{key: content.get(key) for key in _KINDS})
    _check_values(state)
    return state


def _check_values(state: State) -> None:
    try:
        datetime.fromisoformat(state.started)
    except ValueError as error:
        raise ValueError('is damaged ("started" is not a time)') from error
    if state.recording is not None and safe_name(state.recording) != state.recording:
        raise ValueError('is damaged ("recording" is not a file name in the session)')
    if state.preset is not None and not isinstance(state.preset.get("name"), str):
        raise ValueError('is damaged ("preset" has no name)')
    if state.listener not in (None, *LISTENERS):
        raise ValueError('is damaged ("listener" is none that there is)')


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def set_aside(path: Path) -> Path:
    """Rename a damaged file so that nothing is lost.

    Raises:
        SessionError: it cannot be renamed.
    """
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        raise SessionError(
            f'The saved state "{path}" is damaged and cannot be set aside: {error.strerror or error}. '
            "Rename it yourself, or choose another folder."
        ) from error
    return aside


def digest_of(file: BinaryIO) -> str:
    """SHA-256 (hexadecimal) of an open file, from its beginning. It is read in pieces: it may be large."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def free_path(folder: Path, name: str, size: int, digest: str) -> Path:
    """``folder/name``, or a numbered form of that safe name where a file of other content has it."""
    path, number = folder / name, 1
    stem = Path(name).stem.encode()[: LONGEST_NAME - 30].decode(errors="ignore")  # leaves room for the number
    while path.exists() and not _holds(path, size, digest):
        number += 1
        path = folder / safe_name(f"{stem} ({number}){Path(name).suffix}")
    return path


def _holds(path: Path, size: int, digest: str) -> bool:
    if not path.is_file() or path.stat().st_size != size:
        return False
    with path.open("rb") as file:
        return digest_of(file) == digest
