"""The second process of a training as a fork of the test process, where torch is loaded already.

What it is asked and what it answers goes through pipes all the same; only Python's start is saved.
"""

import os
import signal
import sys
import traceback

from timbrekit.training.fast import worker
from timbrekit.training.fast.helper_process import own_streams


class Fork:
    """As much of ``subprocess.Popen`` as is used."""

    def __init__(self, child: int, stdin, stdout):
        self.child, self.stdin, self.stdout, self.status = child, stdin, stdout, None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.child, signal.SIGKILL)

    def poll(self, how: int = os.WNOHANG) -> int | None:
        if self.status is None:
            child, status = os.waitpid(self.child, how)
            self.status = os.waitstatus_to_exitcode(status) if child else None
        return self.status

    def wait(self) -> int:
        return self.poll(0)


def start(program: str, environment: dict[str, str] | None = None) -> Fork:
    """As ``helper_process.start``, for ``worker.serve``."""
    (asked, ask), (answered, answer) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(asked, 0)
            os.dup2(answer, 1)
            for each in (asked, ask, answered, answer):
                os.close(each)
            sys.stdin = open(0)
            worker.serve(*own_streams())
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(asked)
    os.close(answer)
    return Fork(child, os.fdopen(ask, "wb"), os.fdopen(answered, "rb"))
