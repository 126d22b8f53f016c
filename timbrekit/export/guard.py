"""A stranger's model is tried in a process of its own, which may die of it.

libtorch's loader and interpreter are C++, and even plain arithmetic can ask for a hundred gigabytes: nothing inside
one process can stop that. So what timbrekit did not write is loaded and run for the first time in a helper process
with limits on memory and time. It is started at the first such model (about as long as importing torch takes),
answers one model after the other, and ends by itself when it has had nothing to do for a while.

What has run within the limits once will do so again: no allowed operator makes a size depend on a number that the
model is given, so the model may then be run here.
"""

import atexit
import contextlib
import json
import os
import subprocess
import threading
from dataclasses import asdict, dataclass, field
from typing import BinaryIO

from timbrekit.errors import ModelFileError
from timbrekit.training.fast.helper_process import PROGRAM, read_block, start, write_block

MEMORY_BYTES = 1 << 30  # beyond what the helper has once torch is loaded; our largest model needs about 1 MB
SECONDS = 20.0  # for one model; ours take 0.2
STARTING_SECONDS = 180.0  # importing torch, on a machine that has never done it
IDLE_SECONDS = 60.0

_PROGRAM = PROGRAM.format(module="timbrekit.export.guard")


@dataclass(frozen=True)
class Verdict:
    """What there is to say about a model that was loaded and run."""

    harm: list[str] = field(default_factory=list)  # why it must not be run at all, one sentence each
    problems: list[str] = field(default_factory=list)  # why the plug-in cannot use what it answers
    notes: list[str] = field(default_factory=list)  # what works, but not as well as it could


def try_out(content: bytes) -> Verdict:
    """``examine(content)`` of ``timbrekit.export.examine``, in the helper process.

    Args:
        content: of a model file whose archive was looked into (``timbrekit.export.archive.unpack``).

    Raises:
        ModelFileError: the helper cannot be started.
    """
    with _lock:
        verdict = _running_helper().ask(content)
        if verdict is None:  # it ended by itself, just before
            verdict = _running_helper().ask(content)
        if verdict is None:
            raise _cannot_start("it ends at once")
        return verdict


class _Helper:
    """The helper process, from outside."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.timed_out = False
        try:
            self.process = start(_PROGRAM)
        except (OSError, TypeError, ValueError) as error:  # TypeError: there is no sys.executable
            raise _cannot_start(str(error)) from error
        with self._killed_after(STARTING_SECONDS):
            started = self.process.stdout.readline() == b"ready\n"
        if not started:
            self.stop()
            raise _cannot_start(f"it ended with status {self.process.returncode}")

    def ask(self, content: bytes) -> Verdict | None:
        """Its verdict, or that it did not survive the question. None if it had ended before, idle."""
        with self._killed_after(SECONDS), contextlib.suppress(OSError):
            write_block(self.process.stdin, content)
        with self._killed_after(SECONDS):
            answer = self.process.stdout.readline()
        if answer.endswith(b"\n"):
            return Verdict(**json.loads(answer))
        self.stop()
        if self.timed_out:
            return Verdict([f"The model was tried for {SECONDS:.0f} s and did not come to an end."])
        if self.process.returncode == 0:
            return None
        return Verdict(
            [
                "The model brought down the process in which it was tried (status "
                f"{self.process.returncode}), and could do the same to the plug-in's host."
            ]
        )

    @contextlib.contextmanager
    def _killed_after(self, seconds: float):
        def kill() -> None:
            self.timed_out = True
            self.process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def usable(self) -> bool:
        return self.process.poll() is None and self.owner == os.getpid()  # a forked process needs its own

    def stop(self) -> None:
        if self.owner != os.getpid():
            return
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may be about to end by itself
            self.process.wait(0.2)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


_lock = threading.Lock()
_helper: _Helper | None = None


def _running_helper() -> _Helper:
    global _helper
    if _helper is None or not _helper.usable():
        if _helper is None:
            atexit.register(_stop)
        else:
            _helper.stop()
        _helper = _Helper()
    return _helper


def _stop() -> None:
    if _helper is not None:
        _helper.stop()


def _cannot_start(reason: str) -> ModelFileError:
    return ModelFileError(
        "A model that timbrekit did not write is tried in a process of its own, which cannot be started here "
        f"({reason}). Check the file on another computer."
    )


# --- inside the helper -------------------------------------------------------------------------------------


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer models with verdicts, until nothing more comes."""
    import torch

    from timbrekit.export.examine import examine

    torch.set_num_threads(1)
    _limit_memory(MEMORY_BYTES)
    _send(answers, b"ready")
    while True:
        idle = threading.Timer(IDLE_SECONDS, os._exit, (0,))
        idle.daemon = True
        idle.start()
        content = read_block(questions)
        idle.cancel()
        if content is None:
            os._exit(0)
        _send(answers, json.dumps(asdict(examine(content))).encode())


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


def _send(stream: BinaryIO, line: bytes) -> None:
    stream.write(line + b"\n")
    stream.flush()
