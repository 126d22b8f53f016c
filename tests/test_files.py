"""Files are written whole or not at all."""

import errno
import json
import os
import threading
from pathlib import Path, PureWindowsPath

import pytest

import timbrekit
from timbrekit import files, workflow
from timbrekit.errors import OutputError
from timbrekit.files import STALE_SECONDS, atomic_path, sweep_stale, write_json


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new folder" / "result.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == target.parent and temporary.suffix == ".bin"
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["result.bin"]


@pytest.mark.parametrize("failure", [ValueError("broken"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path, failure):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(type(failure)), atomic_path(target) as temporary:
        temporary.write_text("half of the n")
        raise failure
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


def test_a_full_disk_keeps_the_old_file_and_says_so(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with (
        pytest.raises(OutputError, match=r"result\.txt.*No space left.*free some space"),
        atomic_path(target) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


def test_a_disk_that_fills_up_when_the_data_reach_it(tmp_path, monkeypatch):
    target = tmp_path / "result.txt"
    target.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"), atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_device_that_is_really_full(tmp_path):
    target = tmp_path / "result.txt"
    with (
        pytest.raises(OutputError, match="No space left"),
        atomic_path(target),
        open("/dev/full", "wb") as full,
    ):
        full.write(b"x" * 100_000)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("I am no folder")
    with pytest.raises(OutputError, match="Choose another folder"), atomic_path(in_the_way / "result.txt"):
        raise AssertionError("the block must not run")
    assert in_the_way.read_text() == "I am no folder"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="Permission denied"), atomic_path(folder / "result.txt"):
        raise AssertionError("the block must not run")


def test_a_refused_temporary_file(tmp_path, monkeypatch):
    def refused(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(OutputError, match="Permission denied"), atomic_path(tmp_path / "result.txt"):
        raise AssertionError("the block must not run")


def test_a_folder_in_the_way_of_the_file(tmp_path):
    target = tmp_path / "result.txt"
    (target / "content").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"result\.txt"), atomic_path(target) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["result.txt"]


@pytest.mark.parametrize(
    "name", ["with space.txt", "émoji 🥁.txt", "quo\"te's.txt", "no-suffix", ".hidden", "x" * 100]
)
def test_unusual_names(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == [name]


def test_a_name_too_long_for_the_file_system(tmp_path):
    with pytest.raises(OutputError, match="too long"), atomic_path(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_a_result_has_the_permissions_of_a_normal_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "result.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o640


def test_two_writers_of_one_file_leave_one_whole_file(tmp_path):
    target = tmp_path / "result.txt"

    def write(letter):
        for _ in range(20):
            with atomic_path(target) as temporary:
                temporary.write_text(letter * 10_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_text() in ("a" * 10_000, "b" * 10_000)
    assert os.listdir(tmp_path) == ["result.txt"]


# --- what killed runs leave behind ---------------------------------------------------------------------------


def hidden_leftover(folder, name, age):
    """A temporary file or folder as a killed run leaves it, so many seconds old."""
    with atomic_path(folder / name) as temporary:
        temporary.write_bytes(b"half")
        left = folder / temporary.name
    left.write_bytes(b"half")
    return aged(left, age)


def aged(path, age):
    then = path.stat().st_mtime - age
    os.utime(path, times=(then, then))
    return path


@pytest.mark.parametrize(
    "name", ["model.pt", "no-suffix", "take 1 (2).wav", "émoji 🥁.txt", "x" * 100, "two\nlines.x"]
)
def test_the_next_write_removes_what_a_killed_run_left_an_hour_ago(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "_swept", set())
    old = hidden_leftover(tmp_path, name, STALE_SECONDS + 60)
    young = hidden_leftover(tmp_path, name, STALE_SECONDS - 60)  # somebody may still be writing it
    files._swept.clear()
    write_json(tmp_path / "result.json", {})
    assert not old.exists() and young.exists()


def test_only_our_own_leftovers_are_removed(tmp_path):
    names = (
        ".gitignore",
        ".model-12345678.pt",
        ".x-1234567g.tmp.pt",
        "x-12345678.tmp.pt",
        ".tmp",
        ".timbrekit",
    )
    kept = [tmp_path / name for name in names]
    for path in kept:
        path.write_text("mine")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".timbrekit-my notes").mkdir()
    for path in tmp_path.iterdir():
        aged(path, 10 * STALE_SECONDS)
    staging = tmp_path / ".timbrekit-ab_1x2y3"
    staging.mkdir()
    (staging / "model.pt").write_text("half")
    aged(staging, STALE_SECONDS + 60)
    sweep_stale(tmp_path)
    assert all(path.exists() for path in kept) and (tmp_path / "notes").exists()
    assert (tmp_path / ".timbrekit-my notes").exists() and not staging.exists()


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".timbrekit-abc").symlink_to(elsewhere)
    os.utime(folder / ".timbrekit-abc", times=(0, 0), follow_symlinks=False)
    sweep_stale(folder)
    assert (elsewhere / "precious").exists()


def test_a_folder_that_cannot_be_looked_through_is_left_as_it_is(tmp_path):
    sweep_stale(tmp_path / "nowhere")


def test_json_reads_back_the_same(tmp_path):
    content = {"name": "Ünïcode 🥁", "values": [1, 2.5, None, True]}
    write_json(tmp_path / "result.json", content)
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == content


def test_what_is_not_json_leaves_the_old_file(tmp_path):
    target = tmp_path / "result.json"
    write_json(target, {"old": 1})
    for content in (float("nan"), {"x": float("inf")}, object()):
        with pytest.raises((ValueError, TypeError)):
            write_json(target, content)
    assert json.loads(target.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["result.json"]


def test_windows_takes_every_name_that_is_shipped_or_written():
    """No character or device name that it keeps for itself, no dot or space at the end, none apart by case alone."""
    repository, package = Path(__file__).parents[1], Path(timbrekit.__file__).parent
    folders = [package, *(repository / name for name in ("docs", "notebooks", "sample_audio", "tests"))]
    shipped = [path.relative_to(folder.parent) for folder in folders for path in folder.rglob("*")]
    assert len(shipped) > 100
    for path in [*shipped, *map(Path, workflow.FILES)]:
        for name in path.parts:
            assert not set(name) & set('<>:"|?*\\') and name.rstrip(". ") == name, path
            assert not PureWindowsPath(name).is_reserved(), path
    assert len({str(path).casefold() for path in shipped}) == len(set(shipped))
