"""Work that is captured once on a GPU and then replayed as one command (a CUDA graph).

A training step is some seven hundred short operations. Started one by one they take ten times as long as the GPU needs
for them.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class Replayed:
    """``function``, captured at the first call.

    Args:
        function: of tensors on the GPU, whose shapes are always the same; gives a tensor, or nothing. It may neither
            wait for the GPU nor take anything over from the CPU but its arguments: torch refuses to capture that. A
            number that it reads stays what it was then.
        state: tensors that it changes in place. They stay where they are for as long as this is used.
    """

    def __init__(self, function: Callable[..., Tensor | None], state: Sequence[Tensor]):
        self._to_record: tuple[Callable[..., Tensor | None], Sequence[Tensor]] | None = function, state

    def __call__(self, *inputs: Tensor) -> Tensor | None:
        """Start ``function`` without waiting for it.

        Args:
            inputs: on the CPU or the GPU.

        Returns:
            What it gave, in a place that the next call writes to.
        """
        if self._to_record:
            self._record(inputs, *self._to_record)
            self._to_record = None  # its owner often is what it refers to: so both go when the owner does
        for place, given in zip(self._inputs, inputs, strict=True):
            if place.shape != given.shape:
                raise ValueError(f"recorded for {tuple(place.shape)}, not {tuple(given.shape)}")
            # From the CPU without waiting for what the GPU still has to do, which takes memory that is pinned.
            place.copy_(given if given.is_cuda else given.contiguous().pin_memory(), non_blocking=True)
        self._graph.replay()
        return self._output

    def _record(
        self, inputs: Sequence[Tensor], function: Callable[..., Tensor | None], state: Sequence[Tensor]
    ) -> None:
        self._inputs = [given.to("cuda", copy=True) for given in inputs]
        before = [values.clone() for values in state]
        # Once for real, so that what is made at the first use is not captured: plans of FFTs, tables. Both on a stream
        # of its own (one of the 32 that torch hands out by turns): the memory that cuBLAS works in is the stream's, and
        # two graphs may be replayed at once.
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            function(*self._inputs)
        here.wait_stream(aside)
        for values, as_before in zip(state, before, strict=True):
            values.copy_(as_before)
        self._graph = torch.cuda.CUDAGraph()
        # Its own stream twice: torch does not go back from it where the capture fails.
        with _nothing_collected(), torch.cuda.stream(aside), torch.cuda.graph(self._graph, stream=aside):
            self._output = function(*self._inputs)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """No garbage: an older graph among it would have to be freed, which ends a capture in progress."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
