"""Any sound file, block by block: soundfile first, ffmpeg for what soundfile cannot open.

Headers are never trusted. Blocks are handed out until the file ends or the reader has had enough, so memory
depends on what is kept, not on what a header promises.
"""

import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np
import soundfile

from timbrekit.errors import RecordingError, printable
from timbrekit.recording.formats import (
    FFMPEG_FORMATS,
    FFMPEG_SIGNATURES,
    states_length,
    stranger,
    unfinished_wav,
)
from timbrekit.recording.health import MAXIMUM_SECONDS
from timbrekit.recording.silenced import decoder_silenced

BLOCK_FRAMES = 1 << 14  # 64 kB a channel
FULL_SCALE = 0.99996  # just under the largest 16-bit value, 32767 / 32768
FULL_SCALE_8_BIT = 0.99  # just under the largest 8-bit value, 127 / 128
UNKNOWN_FRAMES = 1 << 40  # recorders that stream write "endless" here; no real file is that long
UNKNOWN_BYTES = 0x7FFF_0000  # the same in the 32-bit size fields of WAV and AIFF
FFMPEG_SECONDS = 120  # ffmpeg decodes ten minutes in a few seconds; longer means it hangs
FFMPEG_BYTES = 2_000_000_000  # of the WAV file it may write: eleven minutes of eight channels
FFMPEG_WORDS = 400  # characters of its complaints that are kept

BEGINNING_BYTES = 512  # enough to know a file by


def shown(path: Path) -> str:
    """The file's name, fit for one line of text: unprintable characters become '?'."""
    return f'"{printable(path.name or str(path))}"'


class _ForwardOnly(soundfile.SoundFile):
    """A sound file that is not seekable.

    After each read, soundfile seeks to where it already is. In MP3 that restarts the decoder and garbles the
    next block, and at the end of a file with a wrong header it fails.
    """

    def seekable(self) -> bool:
        return False


class AudioStream:
    """An open sound file."""

    rate: int  # Hz, as the header says
    channels: int
    declared_frames: int | None  # what the header promises, where it promises anything
    full_scale: float = FULL_SCALE  # magnitude from which a sample counts as the largest the format can hold
    complaint: str = ""  # why reading stopped early, in the decoder's words

    def __init__(self, path: Path, printed: Callable[[], str] = str) -> None:
        self._printed = printed
        # Bytes on POSIX: names need not be valid Unicode there. (On Windows they are, and str is required.)
        self._file = _ForwardOnly(str(path) if os.name == "nt" else os.fsencode(path))
        self.rate, self.channels = self._file.samplerate, self._file.channels
        if self._file.subtype in ("PCM_U8", "PCM_S8"):
            self.full_scale = FULL_SCALE_8_BIT
        guessed = self._file.format == "MP3" and not states_length(path)
        self.declared_frames = None if guessed else _declared_frames(self._file)
        self._ended = False
        self._first = self._read()

    @property
    def empty(self) -> bool:
        """Whether there is not one sample in it."""
        return self._first is not None and not len(self._first)

    def read(self) -> np.ndarray:
        """The next block, ``(frames, channels)`` float32; an empty one at the end."""
        block, self._first = self._first, None
        return self._read() if block is None else block

    def _read(self) -> np.ndarray:
        if self._ended:
            return np.zeros((0, self.channels), np.float32)
        block = np.full((BLOCK_FRAMES, self.channels), np.nan, np.float32)
        try:
            block = self._file.read(dtype="float32", always_2d=True, out=block)
            self.complaint = self.complaint or self._printed()
            return block
        except soundfile.SoundFileError as error:
            # Damage. What was decoded of this block stands; soundfile does not say how much that is, but it
            # has replaced the NaN.
            self.complaint, self._ended = str(error), True
            decoded = np.flatnonzero(~np.isnan(block).all(axis=1))
            return block[: decoded[-1] + 1 if len(decoded) else 0]

    def close(self) -> None:
        self._file.close()


def _declared_frames(file: soundfile.SoundFile) -> int | None:
    """Frames that the header promises.

    libsndfile quietly corrects the frame count of a WAV or AIFF that was cut off; only its log still has the
    size that the header claims.
    """
    frames = file.frames if 0 < file.frames < UNKNOWN_FRAMES else None
    corrected = re.search(r"^ *(?:data|SSND) : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if frames and corrected:
        claimed, present = int(corrected[1]), int(corrected[2])
        if present < claimed < UNKNOWN_BYTES:
            return max(frames, frames * claimed // max(present, 1))
    return frames


@contextmanager
def open_audio(path: Path) -> Iterator[AudioStream]:
    """Open a sound file of any format for reading, and close it afterwards.

    Raises:
        RecordingError: there is no such file, it may not be read, or it is not a sound file we can decode.
    """
    beginning = _beginning(path)
    silenced = decoder_silenced() if _may_print(path, beginning) else nullcontext(str)
    with silenced as printed, tempfile.TemporaryDirectory(prefix="timbrekit-") as folder:
        stream = _open(path, beginning, Path(folder), printed)
        try:
            yield stream
        finally:
            stream.close()


def _may_print(path: Path, beginning: bytes) -> bool:
    in_sync = beginning[:1] == b"\xff" and beginning[1:2] >= b"\xe0"
    return in_sync or beginning.startswith((b"ID3", b"caff")) or path.suffix.lower() == ".mp3"


def _beginning(path: Path) -> bytes:
    """The first bytes of a plain file; every reason why there are none, in words."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise RecordingError(f"{shown(path)} is a folder. Choose the sound file inside it.")
        if not stat.S_ISREG(mode):  # a pipe or a device could block or go on for ever
            raise RecordingError(
                f"{shown(path)} is not a file. Choose a sound file such as WAV, FLAC or MP3."
            )
        with path.open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
    except FileNotFoundError as error:
        raise RecordingError(
            f"There is no file {shown(path)} at that place. Check the name and the folder."
        ) from error
    except PermissionError as error:
        raise RecordingError(
            f"You may not read {shown(path)}. Change its permissions, or copy it to a folder of your own."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordingError(
            f"{shown(path)} cannot be opened ({reason}). Check the name, or copy the file elsewhere."
        ) from error
    if not beginning:
        raise RecordingError(f"{shown(path)} is empty (0 bytes). Record, export or upload it again.")
    return beginning


def _open(path: Path, beginning: bytes, folder: Path, printed: Callable[[], str]) -> AudioStream:
    """The reader that finds something; ``folder`` is for what has to be rewritten first, and goes afterwards."""
    stream = _open_with_soundfile(path, printed)
    if stream and not stream.empty:
        return stream
    if mended := _mended_wav(path, folder):
        return AudioStream(mended)
    if words := stranger(beginning):
        raise RecordingError(f"{shown(path)} {words}")
    program = shutil.which("ffmpeg")
    kind = next((name for at, sign, name in FFMPEG_SIGNATURES if beginning[at:].startswith(sign)), None)
    if program is None and kind:
        raise RecordingError(
            f"{shown(path)} is a {kind} file, and reading those needs the free program ffmpeg, which is not "
            "installed here. Install ffmpeg, or export the recording as WAV, FLAC or MP3 and use that."
        )
    decoded = _open_with_ffmpeg(path, program, folder) if program else None
    if decoded and not (decoded.empty and stream):
        return decoded
    if stream:
        return stream
    raise RecordingError(
        f"{shown(path)} is not a sound file that can be read, or it is damaged. If it plays elsewhere, "
        "export it there as WAV, FLAC or MP3 and use that."
    )


def _open_with_soundfile(path: Path, printed: Callable[[], str]) -> AudioStream | None:
    # soundfile goes by this one ending, and would ask for rate and channels
    if path.suffix.lower() == ".raw":
        return None
    with suppress(soundfile.SoundFileError):
        return AudioStream(path, printed)
    return None


def _mended_wav(path: Path, folder: Path) -> Path | None:
    """A copy of a WAV file that says 0 for the size of its samples, with the true size."""
    found = unfinished_wav(path)
    if found is None:
        return None
    at, size = found
    copy = folder / "mended.wav"
    try:
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file:
            for place, value in ((4, at + size - 4), (at, size)):
                file.seek(place)
                file.write(struct.pack("<I", min(value, UNKNOWN_BYTES)))
    except OSError as error:
        raise _no_room(path, error.strerror or str(error)) from error
    return copy


def _open_with_ffmpeg(path: Path, program: str, folder: Path) -> AudioStream | None:
    """Let ffmpeg write the sound as a WAV file, and open that; None where it finds no sound it can decode."""
    target = folder / "decoded.wav"
    # "file:" and the absolute path keep odd names from being read as an option or another protocol.
    source = ["-protocol_whitelist", "file,pipe", "-format_whitelist", FFMPEG_FORMATS]
    source += ["-i", "file:" + os.path.abspath(path)]
    limits = ["-t", str(MAXIMUM_SECONDS + 2), "-fs", str(FFMPEG_BYTES)]
    result = ["-map", "0:a:0", "-map_metadata", "-1", "-c:a", "pcm_f32le", *limits, "-f", "wav", str(target)]
    try:
        done = subprocess.run(
            [program, "-nostdin", "-hide_banner", "-v", "error", "-threads", "1", *source, *result],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=FFMPEG_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RecordingError(
            f"Reading {shown(path)} took longer than {FFMPEG_SECONDS} s, so it was stopped. The "
            "file is probably damaged: export it again as WAV and use that."
        ) from None
    except OSError:
        return None
    words = done.stderr.decode("utf-8", "replace").strip()
    if "matches no streams" in words:
        raise RecordingError(
            f"{shown(path)} is a video without sound. Choose one that was recorded with sound."
        )
    if "No space left" in words:
        raise _no_room(path, "no space left")
    with suppress(soundfile.SoundFileError):
        stream = AudioStream(target)
        stream.declared_frames, stream.complaint = None, words[:FFMPEG_WORDS]
        return stream
    return None


def _no_room(path: Path, reason: str) -> RecordingError:
    return RecordingError(
        f"{shown(path)} has to be rewritten before it can be read, and that failed: {reason}. Free some space in "
        f"{tempfile.gettempdir()}, or export it as WAV and use that."
    )
