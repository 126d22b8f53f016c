"""Keeping what decoders print off the terminal."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# What the lines on standard error begin with that mpg123 (MP3) and ALAC (CAF) within libsndfile print.
DECODER_WORDS = (b"[src/libmpg123/", b"Note: ", b"Warning: ", b"compressed frame too big")
# Of those the ones that speak of damage, rather than of an odd tag at the end.
DAMAGE = re.compile(
    rb"dequantization|part2_3_length|Illegal Audio-MPEG-Header|resync|missing bits|crc|too large",
    re.IGNORECASE,
)
WORDS_READ = 1 << 16  # bytes of what they print that are looked at

_redirecting = threading.Lock()


@contextmanager
def decoder_silenced() -> Iterator[Callable[[], str]]:
    """Keep what decoders print about damaged MP3 and CAF files off the terminal; we say it in our own words.

    Gives a function that tells what they have printed so far that speaks of damage.

    libsndfile offers no switch for it, so standard error goes to a temporary file meanwhile. What others wrote to it
    is passed on afterwards.
    """
    with _redirecting:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, AttributeError, ValueError):  # there is no standard error, as without a console
            yield str
            return
        with tempfile.TemporaryFile() as words:
            try:
                os.dup2(words.fileno(), 2)
                yield lambda: _damage(os.pread(words.fileno(), WORDS_READ, 0)) if hasattr(os, "pread") else ""
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                words.seek(0)
                if others := [line for line in words if line.strip() and not line.startswith(DECODER_WORDS)]:
                    os.write(2, b"".join(others))


def _damage(printed: bytes) -> str:
    found = next((line for line in printed.splitlines() if DAMAGE.search(line)), b"")
    return found.decode("utf-8", "replace").strip()
