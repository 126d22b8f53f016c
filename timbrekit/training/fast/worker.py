"""A second process that renders beside this one, so that training has the use of two cores.

Threads do not: a step is hundreds of short operations, each of which waits for Python in turn.
"""

import contextlib
import io
import pickle
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import torch
from torch import Tensor

from timbrekit.training.fast.helper_process import PROGRAM, read_block, start, write_block

# For glibc, which otherwise gives memory back to the system and asks for it again at every large tensor: a third of the
# time of a process that does nothing else. Other systems know nothing of it.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
AHEAD = 2  # calls that the worker has at most: one it works on, and one so that it need not wait


class Worker:
    """Work on the same ``state`` here and in the worker process, to the same results as here alone.

    It takes a few seconds to start (importing torch); until then, and where it cannot be started or has died,
    everything is done here. Use as a context: at its end the process is gone.

    Args:
        state: first argument of every function; anything that can be pickled. Both processes have their own.
        wanted: False is no second process.
    """

    def __init__(self, state: Any, wanted: bool = True):
        self.state = state
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._started = False
        self._process = None
        if wanted:
            try:
                self._process = start(PROGRAM.format(module="timbrekit.training.fast.worker"), KEEP_MEMORY)
            except (OSError, TypeError, ValueError):  # one process will do
                return
            listening = threading.Thread(
                target=_listen, args=(self._process.stdout, self._answers), daemon=True
            )
            listening.start()

    def starmap(self, function: Callable[..., Any], calls: Sequence[tuple]) -> list[Any]:
        """``[function(state, *call) for call in calls]``, some of them done by the worker.

        Args:
            function: of a module's top level; its result depends on its arguments alone. Gradients are not recorded
                beyond it.
            calls: arguments. Those of about equal cost are shared best.
        """
        try:
            return self._share(function, calls)
        except BaseException:  # its next answer would be to a question of this time
            self.close()
            raise

    def beside(self, here: Callable[[], Any], there: Callable[..., Any], call: tuple) -> tuple[Any, Any]:
        """``here()`` and ``there(state, *call)``: at once, or one after the other where there is no worker."""
        try:
            shared = self._is_ready()
            if shared:
                self._send((there, call))
            done = here()
            answer = self._answers.get() if shared and self._process else None
            if answer is not None:
                return done, pickle.loads(answer)
            if shared:  # it died over it
                self.close()
            return done, there(self.state, *call)
        except BaseException:
            self.close()
            raise

    def _share(self, function: Callable[..., Any], calls: Sequence[tuple]) -> list[Any]:
        results: list[Any] = [None] * len(calls)
        first, last = 0, len(calls)  # what is left to do; this process takes from the front
        with_worker: list[int] = []  # in the order in which its answers come

        def take_answer(answer: bytes | None) -> None:
            number = with_worker.pop(0)
            if answer is None:
                self.close()
                results[number] = function(self.state, *calls[number])
            else:
                results[number] = pickle.loads(answer)

        while first < last or with_worker:
            while with_worker and not self._answers.empty():
                take_answer(self._answers.get())
            while self._is_ready() and len(with_worker) < AHEAD and last - first > len(with_worker):
                last -= 1
                with_worker.append(last)
                self._send((function, calls[last]))
            if first < last:
                results[first] = function(self.state, *calls[first])
                first += 1
            elif with_worker:
                take_answer(self._answers.get() if self._process else None)
        return results

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):  # what it never read
                self._process.stdin.close()
            self._process = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self) -> bool:
        """Until it has started, for a measurement. Whether it works."""
        if self._process and not self._started:
            if self._answers.get() is None:
                self.close()
            else:
                self._started = True
                self._send(self.state)
        return self._process is not None

    def _is_ready(self) -> bool:
        return (self._started or not self._answers.empty()) and self.wait()

    def _send(self, message: Any) -> None:
        content = _pickled(message)
        try:
            write_block(self._process.stdin, content)
        except OSError:  # it has died: what it was asked is done here
            self.close()


def _listen(stream: BinaryIO, answers: queue.SimpleQueue[bytes | None]) -> None:
    with stream:
        while (answer := read_block(stream)) is not None:
            answers.put(answer)
    answers.put(None)


class _Pickler(pickle.Pickler):
    """Tensors as arrays, which takes a thirtieth of the time."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Tensor and value.device.type == "cpu":
            return torch.from_numpy, (value.detach().numpy(),)
        return NotImplemented


def _pickled(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=5).dump(value)
    return stream.getvalue()


def serve(calls: BinaryIO, answers: BinaryIO) -> None:
    """In the worker: answer calls until nothing more comes. What goes wrong ends it, and is seen when done again."""
    torch.set_num_threads(1)
    write_block(answers, b"ready")
    state = pickle.loads(read_block(calls))
    while (message := read_block(calls)) is not None:
        function, call = pickle.loads(message)
        write_block(answers, _pickled(function(state, *call)))
