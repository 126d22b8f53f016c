"""What a file is, by its name and its first bytes: sound, something else, or sound with a header that lies."""

import re
import struct
from pathlib import Path

# What is offered wherever a file is chosen; the second group needs ffmpeg.
SOUNDFILE_ENDINGS = tuple(".wav .aif .aiff .aifc .flac .ogg .opus .mp3 .au .caf .w64".split())
FFMPEG_ENDINGS = tuple(".m4a .mp4 .mov .m4v .aac .amr .3gp .3g2 .wma .webm .mka .mkv .avi".split())
AUDIO_ENDINGS = SOUNDFILE_ENDINGS + FFMPEG_ENDINGS

# Plain audio containers only: no playlists (which could pull in other files) and no network.
FFMPEG_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,matroska,webm,ogg,asf,amr,mp3,wav,aiff,flac,caf,avi,ac3,eac3,wv,ape,tta,au,"
    "w64"
)

# First bytes of what phones, browsers and Windows record: (offset, bytes, name).
FFMPEG_SIGNATURES = (
    (4, b"ftyp", "M4A/AAC"),
    (4, b"moov", "MOV"),
    (0, b"\x1aE\xdf\xa3", "WebM"),
    (0, b"0&\xb2u", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)
ARCHIVES = ((b"PK\x03\x04", "ZIP"), (b"Rar!", "RAR"), (b"7z\xbc\xaf", "7z"), (b"\x1f\x8b", "gzip"))
WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<script)", re.IGNORECASE)
LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")  # in the first frame of an MP3: how many there are
FIRST_FRAME_BYTES = 4096  # within which such a tag stands
WAV_CHUNKS = (
    b"LIST", b"id3 ", b"ID3 ", b"bext", b"fact", b"cue ", b"smpl", b"JUNK", b"PAD ", b"iXML", b"_PMX",
)  # fmt: skip


def stranger(beginning: bytes) -> str | None:
    """What a file is that is no sound, and what to do, as the end of a sentence; None where it may be one."""
    for sign, name in ARCHIVES:
        if beginning.startswith(sign):
            return f"is a {name} archive. Unpack it, and choose the sound file inside."
    if beginning.startswith(b"\0\x05\x16\x07"):
        return (
            'is the companion that macOS puts beside a file on foreign disks; its name begins with "._" and it holds '
            "no sound. Choose the file of that name without the two characters."
        )
    if WEB_PAGE.match(beginning):
        return "is a web page, not a sound file: the download went wrong. Download the file itself, and choose that."
    if beginning.startswith(b"MThd"):
        return "is a MIDI file: it holds notes, and no sound. Export it as sound, such as WAV, and use that."
    return None


def states_length(path: Path) -> bool:
    """Whether an MP3 says how long it is. Where it does not, every reader guesses by its first frame."""
    with path.open("rb") as file:
        tag = file.read(10)
        if tag[:3] == b"ID3" and len(tag) == 10:
            size = sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
            file.seek(size + 10)
        else:
            file.seek(0)
        first = file.read(FIRST_FRAME_BYTES)
    return any(tag in first for tag in LENGTH_TAGS)


def unfinished_wav(path: Path) -> tuple[int, int] | None:
    """Where a WAV file has 0 as the size of its samples though samples follow, and their true size in bytes.

    So it is left by a recorder that lost power, and by programs that write to a pipe.
    """
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return None
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                at = file.tell()
                rest = file.read(4)
                present = file.seek(0, 2) - at
                return (at - 4, present) if size == 0 and present > 0 and rest not in WAV_CHUNKS else None
            file.seek(size + size % 2, 1)
    return None
