"""A stranger's model is tried in a process of its own, which may die of it.

libtorch's loader and interpreter are C++, and even plain arithmetic can ask for a hundred gigabytes: nothing inside
one process can stop that. So what timbrekit did not write is loaded and run for the first time in a process that is
started for it, with limits on memory and time, and ends with it. Starting takes as long as importing torch.

What has run within the limits once will do so again: no allowed operator makes a size depend on a number that the
model is given, so the model may then be run here.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

from timbrekit.errors import ModelFileError
from timbrekit.export.examine import MEMORY_BYTES, Verdict, examine
from timbrekit.synth.parameters import NUM_PARAMETERS

SECONDS = 20.0  # for one model; ours take 0.2
STARTING_SECONDS = 180.0  # importing torch, on a machine that has never done it
READY = b"ready\n"  # said once all that can be trusted is imported

# The path is handed over, so that what is found there was found here, and nothing in the current folder.
_PROGRAM = (
    "import sys; seconds, parameters, looks, *sys.path[:] = sys.argv[1:]; "
    "from timbrekit.export.guard import answer; answer(float(seconds), int(parameters), looks == 'True')"
)


def try_out(content: bytes, parameters: int = NUM_PARAMETERS, hears_looks: bool = False) -> Verdict:
    """``examine(content, parameters, hears_looks)`` of ``timbrekit.export.examine``, in a process of its own.

    Args:
        content: of a model file whose archive was looked into (``timbrekit.export.archive.unpack``).

    Raises:
        ModelFileError: the process cannot be started.
    """
    said, status = _run(content, parameters, hears_looks)
    if not said.startswith(READY):
        raise _cannot_start("it takes too long" if status is None else f"it ended with status {status}")
    if said.endswith(b"}\n"):
        return Verdict(**json.loads(said.removeprefix(READY)))
    if status in (None, -getattr(signal, "SIGALRM", 0)):
        return Verdict([f"The model was tried for {SECONDS:.0f} s and did not come to an end."])
    return Verdict(
        [
            f"The model brought down the process in which it was tried (status {status}), and could do the same to "
            "the plug-in's host."
        ]
    )


def _run(content: bytes, parameters: int, hears_looks: bool) -> tuple[bytes, int | None]:
    """What a process that is given ``content`` says, and its exit status: None where it had to be stopped."""
    try:
        told = *map(str, (SECONDS, parameters, hears_looks)), *filter(None, sys.path)
        finished = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *told],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=STARTING_SECONDS + SECONDS,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", None
    except (OSError, TypeError, ValueError) as error:  # TypeError: there is no sys.executable
        raise _cannot_start(str(error)) from error
    return finished.stdout, finished.returncode


def _cannot_start(reason: str) -> ModelFileError:
    return ModelFileError(
        "A model that timbrekit did not write is tried in a process of its own, which cannot be started here "
        f"({reason}). Check the file on another computer."
    )


def answer(seconds: float, parameters: int, hears_looks: bool) -> None:
    """In that process: the verdict on the model on standard input, written to standard output. Does not return."""
    output = os.dup(1)
    os.dup2(2, 1)  # what libtorch prints is no answer
    os.write(output, READY)
    content = sys.stdin.buffer.read()
    _limit_memory(MEMORY_BYTES)
    if hasattr(signal, "setitimer"):  # not on Windows, where STARTING_SECONDS are allowed besides
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    os.write(output, json.dumps(asdict(examine(content, parameters, hears_looks))).encode() + b"\n")
    os._exit(0)


def _limit_memory(further: int) -> None:
    """Allow this process ``further`` bytes of address space beyond what it has. On Linux; elsewhere nothing."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = used + further
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
    except (ImportError, OSError, ValueError):  # Windows, macOS: limited in time only
        return
