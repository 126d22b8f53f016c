"""Loops over samples, compiled to machine code by numba."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` on its first call and keep the machine code on disk for the next run.

    numba keeps it beside the source file, or in the user's cache folder where that one is read-only. Where
    neither can be written (a locked-down machine, a container without a home) it refuses to decorate at all;
    the function is then compiled anew in each run, which costs about a second and nothing else.

    Strict IEEE arithmetic (no ``fastmath``): the kernels repeat the plug-in's rounding. Kernels that call one
    another must stand in one file, because numba renews its cache by the date of the caller's file only.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return numba.njit(nogil=True)(function)
