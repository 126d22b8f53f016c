"""Strangers' models tried in a fork of the test process, where torch is loaded already.

All that ``guard`` does inside its process happens there as well, limits and all; only Python's start is saved.
"""

import faulthandler
import os
import sys
import tempfile
import traceback

from timbrekit.export import guard

FAILED = 99  # of our own code, not of the model


def run_in_fork(content: bytes, *kind: int) -> tuple[bytes, int]:
    """As ``guard._run``."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(content)
        given.seek(0)
        child = os.fork()
        if not child:
            try:
                faulthandler.disable()  # a crash is an answer here
                os.dup2(given.fileno(), 0)
                os.dup2(said.fileno(), 1)
                sys.stdin = open(0)
                guard.answer(guard.SECONDS, *kind)
            except BaseException:
                traceback.print_exc()
            os._exit(FAILED)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status != FAILED
        said.seek(0)
        return said.read(), status
