"""Loops over samples, compiled to machine code by numba."""

import atexit
import shutil
import tempfile
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


def let_compile(function: Callable[..., Any]) -> None:
    """Make a package that insists on keeping its machine code on disk usable where nothing can be kept.

    librosa decorates without the way out that :func:`compiled` has: where both the installed packages and the home are
    read only, it cannot even be imported. numba is given a folder for this run then; a lasting one in the folder for
    temporary files would be read as code by whoever comes next.

    Args:
        function: any one of the package's, for where it lies.
    """
    try:
        numba.njit(cache=True)(function)
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="timbrekit-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder
