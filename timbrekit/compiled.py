"""Loops over samples, compiled to machine code by numba, and the one place where machine code is kept.

numba keeps machine code in files that every process reads and writes, and that do not stand several writers: of two
first runs at once one took parts from the other that did not fit together, and from then on every run ended with a
segmentation fault. Beside the source they also outlive the package that they belong to. So no two processes share
them here. Between runs the machine code is one archive in the user's cache folder. A process
unpacks it into a folder of its own, and puts a new archive in its place when it ends, if it compiled anything.
"""

import atexit
import functools
import hashlib
import importlib.metadata
import io
import os
import platform
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import platformdirs

from timbrekit import __version__
from timbrekit.errors import OutputError
from timbrekit.files import atomic_path, sweep_stale

DIGEST_BYTES = 32  # SHA-256, before the archive's own bytes
# an archive that was not written for so long is of another version, or soon made anew
OLD_SECONDS = 90 * 24 * 3600


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` on its first call and keep the machine code on disk for the next run.

    Where nothing can be written (a locked-down machine, a container without a home) numba refuses to decorate at
    all; the function is then compiled anew in each run, which costs about a second and nothing else.

    Strict IEEE arithmetic (no ``fastmath``): the kernels repeat the plug-in's rounding. Kernels that call one
    another must stand in one file, because numba renews its cache by the date of the caller's file only.
    """
    use_private_cache()
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return numba.njit(nogil=True)(function)


@functools.cache
def use_private_cache() -> Path | None:
    """Let numba keep all machine code of this process in a folder of its own.

    What earlier runs compiled is unpacked from the archive in the user's cache folder, or in ``NUMBA_CACHE_DIR``
    where that is set. Where that folder cannot be written, nothing outlasts the process.

    Returns:
        The folder, which is removed when the process ends; None where there is no place for one.
    """
    kept = Path(numba.config.CACHE_DIR or platformdirs.user_cache_path("timbrekit", appauthor=False))
    archive = kept / archive_name()
    try:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_stale(kept)  # folders of processes that were killed
        folder = Path(tempfile.mkdtemp(prefix=".timbrekit-", dir=kept))
    except OSError:
        try:
            folder = Path(tempfile.mkdtemp(prefix=".timbrekit-"))
        except OSError:
            return None
    digest = unpack(archive, folder)
    before = _state(folder)
    numba.config.CACHE_DIR = str(folder)
    atexit.register(_finish, folder, archive, digest, before, os.getpid())
    return folder


def archive_name() -> str:
    """The archive's name: another one for each set of versions, each kind of CPU and each environment."""
    written_by = (
        platform.python_implementation(),
        platform.python_version(),
        platform.machine(),
        llvmlite.binding.get_host_cpu_name(),
        *(f"{name} {importlib.metadata.version(name)}" for name in ("numba", "llvmlite", "numpy")),
        f"timbrekit {__version__}",
        str(Path(numba.__file__).parent),  # numba tells sources apart by their paths
    )
    return f"numba-{hashlib.sha256(repr(written_by).encode()).hexdigest()[:16]}.zip"


def unpack(archive: Path, folder: Path) -> bytes:
    """Unpack an archive that :func:`pack` wrote.

    Returns:
        Its checksum, or none (``b""``) if there is no archive, or a damaged one: ``folder`` is left empty then.
    """
    digest, content = _read(archive)
    if digest:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                packed.extractall(folder)
        except OSError:  # the disk is full
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            return b""
    return digest


def pack(folder: Path, archive: Path) -> None:
    """Write the machine code in ``folder`` as one file with a checksum, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name in sorted(_state(folder)):
            packed.write(folder / name, name)
    with atomic_path(archive) as temporary:
        temporary.write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())


def _finish(folder: Path, archive: Path, digest: bytes, before: dict[str, int], owner: int) -> None:
    """At the end of a process: keep what it compiled, remove its folder."""
    if os.getpid() != owner:  # a fork of it
        return
    with suppress(OSError, OutputError):
        now = _state(folder)
        if now != before and before.keys() <= now.keys() and len(now) > _kept_meanwhile(archive, digest):
            pack(folder, archive)
            _remove_old(archive.parent)
    shutil.rmtree(folder, ignore_errors=True)


def _kept_meanwhile(archive: Path, digest: bytes) -> int:
    """How many files another process has kept since ``digest`` was unpacked: of two first runs the fuller one stays."""
    now, content = _read(archive)
    if not now or now == digest:
        return 0
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return len(packed.namelist())


def _read(archive: Path) -> tuple[bytes, bytes]:
    """Checksum and content of an archive; nothing where there is none, or a damaged one."""
    try:
        whole = archive.read_bytes()
    except OSError:
        return b"", b""
    digest, content = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    return (digest, content) if hashlib.sha256(content).digest() == digest else (b"", b"")


def _state(folder: Path) -> dict[str, int]:
    """numba's finished files by their names, with their dates: it never changes one, but puts another in its place."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.glob("*/*.nb[ic]")
    }


def _remove_old(folder: Path) -> None:
    for path in folder.glob("numba-*.zip"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                path.unlink()
