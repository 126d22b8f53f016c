"""A session as one zip file, to go on with it on another machine."""

import json
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from timbrekit.errors import SessionError
from timbrekit.files import atomic_path, safe_name
from timbrekit.session import STATE_FILE, Session
from timbrekit.session.state import LARGEST_STATE, digest_of

LARGEST_ARCHIVE = 4 << 30  # bytes, unpacked: a recording has at most 2 GiB
FOLDERS = {"recording": 1, "models": 2, "presets": 1}  # what is in a session, and how deep
WHICH = "Choose the zip that the notebook before gave to download."


def pack_session(session: Session, path: Path) -> Path:
    """Zip what one goes on with: the choices, the recording, the models made of them, one's own presets.

    Args:
        session: whose other recordings and models stay out.
        path: the zip to write, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    folder = session.folder
    files = [folder / STATE_FILE, *sorted((folder / "presets").glob("*.json"))]
    if session.recording_path is not None:
        files.append(session.recording_path)
    for trained in session.trained_dirs.values():
        files += sorted(path for path in trained.iterdir() if path.is_file())
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def unpack_session(archive: str | Path, folder: str | Path) -> Session:
    """Go on in ``folder`` with the session that a zip holds. Recordings and models that are there already stay.

    Only what :func:`pack_session` writes is taken out, by names that stay in the folder.

    Raises:
        SessionError: it is no zip of a session, is too large, or has another recording under a name that is taken.
        OutputError: the folder cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {entry.filename: entry for entry in opened.infolist() if not entry.is_dir()}
            _check(archive.name, opened, members)
            # the choices last: all is there then
            for name in sorted(members, key=lambda name: name == STATE_FILE):
                if not name.startswith("recording/") or not _is_there(opened, members[name], folder / name):
                    _extract(opened, members[name], folder / name)
    # the last two: encrypted, odd
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise SessionError(f'"{archive.name}" cannot be unpacked: {error}. {WHICH}') from error
    return Session.open(folder)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    with archive.open(entry) as source, atomic_path(path) as temporary, temporary.open("wb") as target:
        shutil.copyfileobj(source, target)


def _is_there(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bool:
    """Whether the very same recording is there.

    Raises:
        SessionError: another one is.
    """
    if not path.exists():
        return False
    with archive.open(entry) as first, path.open("rb") as second:
        if digest_of(first) == digest_of(second):
            return True
    raise SessionError(
        f'The session has another recording called "{path.name}", and it is kept. Give this session another name.'
    )


def _check(name: str, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse what is not a session, before anything is written."""
    why = None
    if STATE_FILE not in members:
        why = f'it has no "{STATE_FILE}"; the zip with a card in it is an instrument, for the plug-in'
    elif sum(entry.file_size for entry in members.values()) > LARGEST_ARCHIVE:
        why = f"it has more than {LARGEST_ARCHIVE >> 30} GiB"
    elif strange := next((other for other in members if not _belongs(other)), None):
        why = f'"{strange[:60]}" does not belong in a session'
    elif archive.getinfo(STATE_FILE).file_size > LARGEST_STATE or not _is_json(archive.read(STATE_FILE)):
        why = f'its "{STATE_FILE}" is damaged'
    if why:
        raise SessionError(f'"{name}" is not a session: {why}. {WHICH}')


def _belongs(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if parts == (STATE_FILE,):
        return True
    safe = "/".join(parts) == name and all(safe_name(part) == part for part in parts)
    return safe and len(parts) - 1 == FOLDERS.get(parts[0])


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
