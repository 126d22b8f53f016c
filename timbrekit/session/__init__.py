"""A folder on disk in which one person's work lives, so that a closed tab or a lost machine costs nothing.

    FOLDER/state.json     everything chosen so far: small, readable, replaced as a whole at every change
    FOLDER/recording/     recordings, byte for byte as uploaded, never overwritten
    FOLDER/models/NAME/   model.pt and what belongs to it, and checkpoint.pt while training: one folder for
                          each combination of recording, detector settings, preset and listener, so that
                          neither a model nor a checkpoint is ever taken for that of other choices

Plain files only: no database, no pickle, no locks. Every file is written whole or not at all. Several
notebooks may have the same session open: a change is applied to what is on disk, so it does not undo
another's.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from datetime import datetime
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO

from timbrekit.errors import OutputError, SessionError
from timbrekit.files import atomic_path, safe_name, write_json
from timbrekit.session.state import VERSION, State, digest_of, free_path, read_state, set_aside
from timbrekit.training.names import LISTENERS, MEL, TORCHDRUM

__all__ = ["Session", "State", "default_folder", "safe_name"]

STATE_FILE = "state.json"
MODEL_FILE = "model.pt"  # as `timbrekit train` names it; there only once it is whole
CHECKPOINT_FILE = "checkpoint.pt"
LARGEST_RECORDING = 2 << 30  # bytes; ten minutes, all that is used, of 192 kHz in four channels of 32 bits
SPARE_ROOM = 16 << 20  # bytes that stay free beside a recording, for the model and what belongs to it


def default_folder(name: str = "my session") -> Path:
    """Where a session lives unless the user says otherwise: ``sessions/NAME`` in the current folder."""
    return Path("sessions") / safe_name(name, fallback="my session")


class Session:
    """An open session. Make one with ``Session.open``."""

    def __init__(self, folder: Path, state: State, story: str, resumed: bool) -> None:
        self.folder = folder
        self.state = state
        self.resumed = resumed  # whether there was a session to go on with
        self._story = story  # how it was opened, in words

    @classmethod
    def open(cls, folder: str | Path) -> "Session":
        """Resume the session in ``folder``, or start one there.

        A state that cannot be understood is renamed, never deleted, and a fresh one started; ``describe``
        says so.

        Raises:
            SessionError: ``folder`` is a file, or cannot be read.
            OutputError: ``folder`` cannot be written.
        """
        folder = Path(folder)
        if "\0" in str(folder):
            raise SessionError("The session's folder has a NUL character in its name. Choose another name.")
        try:
            state = read_state(folder / STATE_FILE)
        except FileNotFoundError:
            return cls._start(folder, f'there is no session in "{folder}" yet')
        except ValueError as error:
            aside = set_aside(folder / STATE_FILE)
            kept = f"it is kept as {aside.name}, and your recordings and models are still in the folder"
            return cls._start(folder, f"the saved state {error}; {kept}")
        except OSError as error:
            raise SessionError(
                f'The session in "{folder}" cannot be read: {error.strerror or error}. Check that it is a '
                "folder of yours (on Drive: that it is still connected), or choose another."
            ) from error
        session = cls(folder, state, f"Resuming {_session_of(state)}", resumed=True)
        if session.recording_path and not session.recording_path.is_file():
            session._story += f' (its recording "{state.recording}" is missing, upload it again)'
            session._change(recording=None, recording_sha256=None, hits=None)
        return session

    @classmethod
    def _start(cls, folder: Path, reason: str) -> "Session":
        state = State(started=datetime.now().astimezone().isoformat(timespec="seconds"))
        session = cls(folder, state, f"Starting fresh because {reason}", resumed=False)
        session._write(state)
        return session

    @property
    def recording_path(self) -> Path | None:
        """The recording that was kept last."""
        return self.folder / "recording" / self.state.recording if self.state.recording else None

    @property
    def listener(self) -> str:
        """What the model hears with that is trained and played (one of ``LISTENERS``)."""
        return self.state.listener or TORCHDRUM

    @property
    def how(self) -> str:
        """What the listener adds to the name of a sound, in words."""
        return " (mel listener)" if self.listener == MEL else ""

    @property
    def choices(self) -> str:
        """Fingerprint (hexadecimal) of what a model depends on here: recording, detector, preset, listener."""
        return self._choices(self.listener)

    def _choices(self, listener: str) -> str:
        chosen = [self.state.recording_sha256, self.state.detector, self.state.preset]
        if listener != TORCHDRUM:  # those of before there was another stay what they were
            chosen.append(listener)
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()

    @property
    def preset_name(self) -> str | None:
        """Name of the chosen preset."""
        return self.state.preset["name"] if self.state.preset else None

    @property
    def model_dir(self) -> Path:
        """Where training with the present choices writes its results. (It may not exist yet.)"""
        return self._model_dir(self.listener)

    def _model_dir(self, listener: str) -> Path:
        name = safe_name(self.preset_name or "no preset")[:40]
        return self.folder / "models" / f"{name}-{self._choices(listener)[:8]}"

    @property
    def trained_dirs(self) -> dict[str, Path]:
        """Where the models of the present recording, detector and preset are, by listener."""
        folders = {listener: self._model_dir(listener) for listener in LISTENERS}
        return {name: folder for name, folder in folders.items() if (folder / MODEL_FILE).is_file()}

    @property
    def model_path(self) -> Path:
        """The model file of the present choices."""
        return self.model_dir / MODEL_FILE

    @property
    def checkpoint_path(self) -> Path:
        """Where training with the present choices keeps its progress."""
        return self.model_dir / CHECKPOINT_FILE

    @property
    def is_trained(self) -> bool:
        """Whether there is a model of the present choices."""
        return self.model_path.is_file()

    def keep_recording(self, name: str, content: bytes | str | Path) -> Path:
        """Keep a recording, given as bytes or as the path of a file, and make it the session's.

        It is stored byte for byte under a safe form of ``name``, numbered where another recording has that
        name. Detector settings and number of hits are forgotten unless it is the same recording as before: they
        are what suits a recording.

        Raises:
            SessionError: the file given cannot be read, or has more than 2 GiB.
            OutputError: the copy cannot be written, or there is no room for it.
        """
        try:
            with _opened(content) as source:
                size = source.seek(0, os.SEEK_END)
                self._check_size(name, size)
                digest = digest_of(source)
                path = free_path(self.folder / "recording", safe_name(name), size, digest)
                if not path.exists():
                    self._check_room(size)
                    with atomic_path(path) as temporary, temporary.open("wb") as target:
                        source.seek(0)
                        shutil.copyfileobj(source, target)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
            reason = getattr(error, "strerror", None) or error
            raise SessionError(
                f'"{name if isinstance(content, bytes) else content}" cannot be copied into the session: {reason}. '
                "Check the name and the folder."
            ) from error
        forgotten = {} if self._on_disk().recording_sha256 == digest else {"hits": None, "detector": None}
        self._change(recording=path.name, recording_sha256=digest, **forgotten)
        return path

    @staticmethod
    def _check_size(name: str, size: int) -> None:
        if size > LARGEST_RECORDING:
            raise SessionError(
                f'"{safe_name(name)}" has {size / 2**30:.1f} GiB; a session keeps recordings of up to '
                f"{LARGEST_RECORDING / 2**30:g} GiB. Cut out the minute or two that you want to train on."
            )

    def _check_room(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError:  # some network drives do not say; writing will
            return
        if size + SPARE_ROOM > free:
            raise OutputError(
                f'There is no room for the recording in "{self.folder}": it has {size / 2**20:.0f} MiB, and '
                f"{free / 2**20:.0f} MiB are free. Free some space, or choose another folder."
            )

    def keep_detector(self, settings: Any, hits: int, recording: str | None = None) -> None:
        """Keep detector settings (``DetectorSettings`` or a mapping of its fields) and the hits they find.

        Args:
            settings: of the recording's detector.
            hits: that they find.
            recording: SHA-256 of the recording that they are for; None is the session's, whichever that is.

        Raises:
            SessionError: the session has another recording by now.
        """
        now = self._on_disk()
        if recording is not None and recording != now.recording_sha256:
            raise SessionError(
                f'These settings are for another recording: the session has "{now.recording}" by now. Find its hits.'
            )
        fields = asdict(settings) if is_dataclass(settings) else dict(settings)
        detector = {
            key: int(value) if isinstance(value, Integral) else float(value) for key, value in fields.items()
        }
        self._change(detector=detector, hits=int(hits))

    def keep_preset(self, preset: Mapping[str, Any]) -> None:
        """Keep the chosen preset: the content of a preset file (``Preset.to_json()``), with its "name"."""
        if not isinstance(preset.get("name"), str):
            raise SessionError("A preset needs a name to be kept in the session. Name it, and keep it again.")
        self._change(preset=dict(preset))

    def keep_listener(self, listener: str) -> None:
        """Keep what the model is to hear with, one of ``LISTENERS``. A model with another one stays where it is."""
        self._change(listener=listener)

    def describe(self) -> str:
        """One line: what was resumed and what is there, or why it starts fresh."""
        contents = self._contents()
        if self.resumed:
            return f"{self._story}: {contents or 'nothing in it yet'}."
        if contents:
            began = _session_of(self.state)
            return f"{began[0].upper()}{began[1:]}: {contents}."
        return f"{self._story}."

    def _contents(self) -> str:
        state, name, parts = self.state, self.preset_name, []
        if state.hits is not None:
            parts.append("1 hit" if state.hits == 1 else f"{state.hits} hits")
        elif state.recording:
            parts.append(f'recording "{state.recording}"')
        if name and self.is_trained:
            parts.append(f"trained with {name}{self.how}")
        elif name and self.checkpoint_path.is_file():
            parts.append(f"training with {name} was interrupted and can go on")
        elif name:
            parts.append(f"{name} chosen, not trained yet")
        others = [path for path in self.folder.glob(f"models/*/{MODEL_FILE}") if path != self.model_path]
        if others:
            parts.append(f"{len(others)} other model{'s' if len(others) > 1 else ''} kept")
        return ", ".join(parts)

    def refresh(self) -> None:
        """See what another notebook has changed."""
        self.state = self._on_disk()

    def _on_disk(self) -> State:
        """The state as it is now: another notebook may have changed it."""
        try:
            return read_state(self.folder / STATE_FILE)
        except (OSError, ValueError):  # gone or damaged under our hands: ours is the best there is
            return self.state

    def _change(self, **changes: Any) -> None:
        self._write(replace(self._on_disk(), **changes))

    def _write(self, state: State) -> None:
        write_json(self.folder / STATE_FILE, {"timbrekit_session": VERSION, **asdict(state)})
        self.state = state


def _opened(content: bytes | str | Path) -> BinaryIO:
    if isinstance(content, bytes):
        return io.BytesIO(content)
    if Path(content).exists() and not Path(content).is_file():  # a pipe or a device could go on for ever
        raise OSError("it is not a file")
    return Path(content).open("rb")


def _session_of(state: State) -> str:
    """What a person calls it: by the time for one of today, by the date as well for an older one."""
    began = datetime.fromisoformat(state.started)
    if began.date() == datetime.now(began.tzinfo).date():
        return f"your session of {began:%H:%M}"
    return f"your session of {began.day} {began:%B %Y, %H:%M}"
