"""A Python process beside this one, that is spoken to through its standard streams.

It ends with this process, however that ends: nothing more comes then.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import BinaryIO

# The path is handed over, so that the helper finds what this process found, and nothing in the current folder.
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from timbrekit.training.fast.helper_process import own_streams; "
    "streams = own_streams(); from {module} import serve; serve(*streams)"
)


def start(program: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a helper, on one thread.

    Args:
        program: ``PROGRAM`` with the module whose ``serve(questions, answers)`` it runs.
        environment: variables besides those of this process.

    Raises:
        OSError, TypeError, ValueError: it cannot be started (TypeError: there is no ``sys.executable``).
    """
    return subprocess.Popen(
        [sys.executable, "-c", program, *filter(None, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **(environment or {})},
    )


def own_streams() -> tuple[BinaryIO, BinaryIO]:
    """In the helper, before anything is imported that may print: where questions come from and answers go."""
    with contextlib.suppress(ValueError):  # Ctrl-C is for the process that asks
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    return sys.stdin.buffer, answers


def write_block(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(8, "little") + content)
    stream.flush()


def read_block(stream: BinaryIO) -> bytes | None:
    """None where the stream has come to its end."""
    size = stream.read(8)
    wanted = int.from_bytes(size, "little")
    content = stream.read(wanted) if len(size) == 8 else b""
    return content if len(size) == 8 and len(content) == wanted else None
