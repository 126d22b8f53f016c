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
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np
import soundfile

from timbrekit.errors import RecordingError

BLOCK_FRAMES = 1 << 14  # 64 kB a channel
FULL_SCALE = 0.99996  # just under the largest 16-bit value, 32767 / 32768
FULL_SCALE_8_BIT = 0.99  # just under the largest 8-bit value, 127 / 128
UNKNOWN_FRAMES = 1 << 40  # recorders that stream write "endless" here; no real file is that long
UNKNOWN_BYTES = 0x7FFF_0000  # the same in the 32-bit size fields of WAV and AIFF
FFMPEG_SECONDS = 120  # ffmpeg decodes ten minutes in a few seconds; longer means it hangs
FFMPEG_WORDS = 400  # characters of its complaints that are kept

# Plain audio containers only: no playlists (which could pull in other files) and no network.
FFMPEG_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,matroska,webm,ogg,asf,amr,mp3,wav,aiff,flac,caf,avi,ac3,eac3,wv,ape,tta,au,"
    "w64"
)
# What the lines on standard error begin with that mpg123 (MP3) and ALAC (CAF) within libsndfile print.
DECODER_WORDS = (b"[src/libmpg123/", b"Note: ", b"Warning: ", b"compressed frame too big")
# First bytes of what phones, browsers and Windows record: (offset, bytes, name).
FFMPEG_SIGNATURES = (
    (4, b"ftyp", "M4A/AAC"),
    (0, b"\x1aE\xdf\xa3", "WebM"),
    (0, b"0&\xb2u", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)


def shown(path: Path) -> str:
    """The file's name, fit for one line of text: unprintable characters become '?'."""
    name = path.name or str(path)
    return '"' + "".join(letter if letter.isprintable() else "?" for letter in name) + '"'


_redirecting = threading.Lock()


@contextmanager
def decoder_silenced() -> Iterator[None]:
    """Keep what decoders print about damaged MP3 and CAF files off the terminal; we say it in our own words.

    libsndfile offers no switch for it, so standard error goes to a temporary file meanwhile. What others wrote to it
    is passed on afterwards.
    """
    with _redirecting:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, AttributeError, ValueError):  # there is no standard error, as without a console
            yield
            return
        with tempfile.TemporaryFile() as words:
            try:
                os.dup2(words.fileno(), 2)
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                words.seek(0)
                if others := [line for line in words if line.strip() and not line.startswith(DECODER_WORDS)]:
                    os.write(2, b"".join(others))


class AudioStream:
    """An open sound file.

    ``read()`` gives the next block, ``(frames, channels)`` float32, and an empty one at the end.
    """

    rate: int  # Hz, as the header says
    channels: int
    declared_frames: int | None = None  # what the header promises, where it promises anything
    full_scale: float = FULL_SCALE  # magnitude from which a sample counts as the largest the format can hold
    complaint: str = ""  # why reading stopped early, in the decoder's words

    def read(self) -> np.ndarray:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _ForwardOnly(soundfile.SoundFile):
    """A sound file that is not seekable.

    After each read, soundfile seeks to where it already is. In MP3 that restarts the decoder and garbles the
    next block, and at the end of a file with a wrong header it fails.
    """

    def seekable(self) -> bool:
        return False


class _SoundfileStream(AudioStream):
    def __init__(self, path: Path) -> None:
        # Bytes on POSIX: names need not be valid Unicode there. (On Windows they are, and str is required.)
        self._file = _ForwardOnly(str(path) if os.name == "nt" else os.fsencode(path))
        self.rate, self.channels = self._file.samplerate, self._file.channels
        if self._file.subtype in ("PCM_U8", "PCM_S8"):
            self.full_scale = FULL_SCALE_8_BIT
        self.declared_frames = _declared_frames(self._file)

    def read(self) -> np.ndarray:
        if self.complaint:
            return np.zeros((0, self.channels), np.float32)
        block = np.full((BLOCK_FRAMES, self.channels), np.nan, np.float32)
        try:
            return self._file.read(dtype="float32", always_2d=True, out=block)
        except soundfile.SoundFileError as error:
            # Damage. What was decoded of this block stands; soundfile does not say how much that is, but it
            # has replaced the NaN.
            self.complaint = str(error)
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


class _FfmpegStream(AudioStream):
    """ffmpeg as a decoder, writing Sun AU into a pipe: a header of six numbers, then big-endian floats."""

    def __init__(self, path: Path, program: str) -> None:
        self._path = path
        # "file:" and the absolute path keep odd names from being read as an option or another protocol.
        source = ["-protocol_whitelist", "file,pipe", "-format_whitelist", FFMPEG_FORMATS]
        source += ["-i", "file:" + os.path.abspath(path)]
        target = ["-map", "0:a:0", "-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
        self._process = subprocess.Popen(
            [program, "-nostdin", "-hide_banner", "-v", "error", "-threads", "1", *source, *target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._timed_out = False
        self._watchdog = threading.Timer(FFMPEG_SECONDS, self._stop_hanging)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._words = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        header = self._process.stdout.read(24)
        if len(header) < 24 or header[:4] != b".snd":
            self.close()
            self._check_time()
            raise soundfile.SoundFileError(self.complaint or "no sound in it")
        offset, _, _, self.rate, self.channels = struct.unpack(">5I", header[4:])
        self._process.stdout.read(offset - 24)

    def _stop_hanging(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _listen(self) -> None:
        while words := self._process.stderr.read1(4096):
            self._words = (self._words + words)[:FFMPEG_WORDS]

    def _check_time(self) -> None:
        if self._timed_out:
            raise RecordingError(
                f"Reading {shown(self._path)} took longer than {FFMPEG_SECONDS} s, so it was stopped. The "
                "file is probably damaged: export it again as WAV and use that."
            )

    def read(self) -> np.ndarray:
        frame_bytes = 4 * self.channels
        data = self._process.stdout.read(BLOCK_FRAMES * frame_bytes)
        self._check_time()
        whole = len(data) - len(data) % frame_bytes
        if not whole:
            self._listener.join(1.0)
            self.complaint = self._words.decode("utf-8", "replace").strip()
        return np.frombuffer(data[:whole], ">f4").astype(np.float32).reshape(-1, self.channels)

    def close(self) -> None:
        self._watchdog.cancel()
        if self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):  # it may be about to end by itself
                self._process.wait(0.1)
            self._process.kill()
        self._process.wait()
        self._listener.join(1.0)
        self.complaint = self.complaint or self._words.decode("utf-8", "replace").strip()
        self._process.stdout.close()
        self._process.stderr.close()


@contextmanager
def open_audio(path: Path) -> Iterator[AudioStream]:
    """Open a sound file of any format for reading, and close it afterwards.

    Raises:
        RecordingError: there is no such file, it may not be read, or it is not a sound file we can decode.
    """
    beginning = _beginning(path)
    with decoder_silenced() if _may_print(path, beginning) else nullcontext():
        stream = _open(path, beginning)
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
            beginning = file.read(16)
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


def _open(path: Path, beginning: bytes) -> AudioStream:
    if (
        path.suffix.lower() != ".raw"
    ):  # soundfile goes by this one ending, and would ask for rate and channels
        with suppress(soundfile.SoundFileError):
            return _SoundfileStream(path)
    program = shutil.which("ffmpeg")
    kind = next((name for at, sign, name in FFMPEG_SIGNATURES if beginning[at:].startswith(sign)), None)
    if program is None and kind:
        raise RecordingError(
            f"{shown(path)} is a {kind} file, and reading those needs the free program ffmpeg, which is not "
            "installed here. Install ffmpeg, or export the recording as WAV, FLAC or MP3 and use that."
        )
    if program is not None:
        with suppress(soundfile.SoundFileError, OSError):
            return _FfmpegStream(path, program)
    raise RecordingError(
        f"{shown(path)} is not a sound file that can be read, or it is damaged. If it plays elsewhere, "
        "export it there as WAV, FLAC or MP3 and use that."
    )
