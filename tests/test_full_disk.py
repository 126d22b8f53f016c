"""A disk that fills up while a result reaches it: the older result stays, nothing else is left, and it is said."""

import errno
import os
from pathlib import Path

import pytest
from by_hand.full_disk import make_writers

from timbrekit.errors import OutputError

WRITERS = (
    "a model for the plug-in", "a page", "a model for nn~", "a model for FluCoMa", "sound", "JSON", "a preset",
    "a table of results", "a checkpoint", "a recording in a session", "a choice in a session",
)  # fmt: skip


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    return make_writers(tmp_path_factory.mktemp("material"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_writer_is_tried(writers):
    assert set(writers) == set(WRITERS)


@pytest.mark.parametrize("what", WRITERS)
def test_a_disk_that_fills_up_leaves_the_older_version_and_says_so(writers, what, tmp_path, monkeypatch):
    writers[what](tmp_path, 0)
    before = contents(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"No space left.*free some space"):
            writers[what](tmp_path, 1)
    assert contents(tmp_path) == before
    writers[what](tmp_path, 1)
    assert contents(tmp_path) != before
