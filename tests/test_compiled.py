"""Machine code: kept for the next run, shared by no two processes, made anew where what was kept is damaged.

(First runs of the whole program at once, by hand: ``python -m tests.by_hand.first_runs``.)
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import pytest

from timbrekit.compiled import archive_name, compiled, pack, unpack, use_private_cache

# Generalised ufuncs are what broke: numba keeps wrapper and inner function in files of their own, which only fit
# together if one process wrote both. Processes that start a moment apart, as here, find some of the functions and
# compile others. With numba's own cache, shared by them, most trials like this ended in segmentation faults, and so did
# the run alone afterwards (`python -m tests.by_hand.first_runs shared`). librosa has ten such functions.
PROGRAM = (
    """
from timbrekit.compiled import compiled, use_private_cache

use_private_cache()
import numba
import numpy as np

"""
    + "".join(
        f"""
@numba.guvectorize(["void(float32[:], float32[:])"], "(n)->(n)", nopython=True, cache=True)
def times{factor}(x, y):
    for i in range(len(x)):
        y[i] = {factor} * x[i]

print(times{factor}(np.ones(2, np.float32)).tolist())
"""
        for factor in range(4)
    )
    + """
@compiled
def halved(x):
    return x * 0.5

print(halved(3.0), "found" if halved.stats.cache_hits else "compiled")
"""
)
ANSWER = "[0.0, 0.0]\n[1.0, 1.0]\n[2.0, 2.0]\n[3.0, 3.0]\n1.5 "
COMPILED, FOUND = f"{ANSWER}compiled\n", f"{ANSWER}found\n"
APART_SECONDS = 0.7  # between the starts of first runs, on a machine where one takes 5


def start(program: Path, cache: Path) -> subprocess.Popen:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return stdout


def test_first_runs_at_once_leave_sound_machine_code_and_damage_to_it_is_noticed(tmp_path):
    program, cache = tmp_path / "program.py", tmp_path / "cache"
    program.write_text(PROGRAM, encoding="utf-8")
    first = []
    for _ in range(3):
        first.append(start(program, cache))
        time.sleep(APART_SECONDS)
    answers = [
        finish(process) for process in first
    ]  # on a quick machine the last may find what the first kept
    assert answers[0] == COMPILED and set(answers) <= {COMPILED, FOUND}
    assert finish(start(program, cache)) == FOUND
    (archive,) = cache.iterdir()  # and none of the folders that the processes worked in
    assert {path.name for path in tmp_path.iterdir()} == {"program.py", "cache"}  # nothing beside the source

    damaged = bytearray(archive.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    archive.write_bytes(damaged)
    assert finish(start(program, cache)) == COMPILED
    assert finish(start(program, cache)) == FOUND


@pytest.fixture
def filled(tmp_path) -> Path:
    """A folder as numba leaves it, and what is not to be kept."""
    folder = tmp_path / "filled" / "recording_0123"
    folder.mkdir(parents=True)
    for name, content in (("a.nbi", b"index"), ("a.1.nbc", b"code" * 100), ("a.2.nbc.tmp.01", b"half of i")):
        (folder / name).write_bytes(content)
    return folder.parent


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_is_packed_is_unpacked(filled, tmp_path):
    pack(filled, tmp_path / "kept.zip")
    assert unpack(tmp_path / "kept.zip", tmp_path / "other")
    whole = {"recording_0123/a.nbi": b"index", "recording_0123/a.1.nbc": b"code" * 100}
    assert contents(tmp_path / "other") == whole


def test_of_an_archive_with_any_byte_changed_or_missing_nothing_is_used(filled, tmp_path):
    pack(filled, tmp_path / "kept.zip")
    whole = (tmp_path / "kept.zip").read_bytes()
    for place in range(len(whole)):
        changed = bytes((*whole[:place], whole[place] ^ 0x40, *whole[place + 1 :]))
        for damaged in (changed, whole[:place]):
            (tmp_path / "damaged.zip").write_bytes(damaged)
            assert unpack(tmp_path / "damaged.zip", tmp_path / "other") == b""
    assert unpack(tmp_path / "missing.zip", tmp_path / "other") == b""
    assert not (tmp_path / "other").exists()


@pytest.fixture
def at_exit(monkeypatch):
    """What would be done at the end of the process, and numba's own folder back where it was."""
    registered = []
    monkeypatch.setattr("atexit.register", lambda *call: registered.append(call))
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)

    def end():
        function, *arguments = registered.pop()
        function(*arguments)

    return end


def open_cache(where: Path) -> Path:
    numba.config.CACHE_DIR = str(where)
    return use_private_cache.__wrapped__()


def compile_into(folder: Path, *names: str) -> None:
    (folder / "part").mkdir(exist_ok=True)
    for name in names:
        (folder / "part" / f"{name}.nbi").write_text(name)


def test_of_two_processes_that_end_one_after_the_other_the_fuller_cache_stays(tmp_path, at_exit, monkeypatch):
    endings = []
    monkeypatch.setattr("atexit.register", lambda *call: endings.append(call))
    for names in (("a",), ("a", "b", "c"), ("d", "e")):
        compile_into(open_cache(tmp_path), *names)
    for function, *arguments in endings:
        function(*arguments)
    kept = tmp_path / "kept"
    assert unpack(tmp_path / archive_name(), kept)
    assert set(contents(kept)) == {"part/a.nbi", "part/b.nbi", "part/c.nbi"}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_process_whose_folder_was_tidied_away_keeps_nothing(tmp_path, at_exit):
    compile_into(open_cache(tmp_path), "a", "b")
    at_exit()
    before = (tmp_path / archive_name()).read_bytes()
    folder = open_cache(tmp_path)
    (folder / "part" / "a.nbi").unlink()
    compile_into(folder, "c")
    at_exit()
    assert (tmp_path / archive_name()).read_bytes() == before


def test_folders_of_killed_processes_and_archives_of_old_versions_go(tmp_path, at_exit):
    killed, old = tmp_path / ".timbrekit-k1ll3d", tmp_path / "numba-0123456789abcdef.zip"
    killed.mkdir()
    old.write_bytes(b"old")
    for path, days in ((killed, 1), (old, 100)):
        os.utime(path, (time.time() - days * 86_400,) * 2)
    compile_into(open_cache(tmp_path), "a")
    at_exit()
    assert [path.name for path in tmp_path.iterdir()] == [archive_name()]


def test_where_the_cache_folder_cannot_be_written_it_lasts_for_the_process(tmp_path, at_exit, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    folder = open_cache(tmp_path / "file" / "in the way")
    assert folder.is_dir() and folder.parent == Path(tempfile.gettempdir())
    compile_into(folder, "a")
    at_exit()
    assert not folder.exists()

    def refused(**where):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    assert open_cache(tmp_path) is None


def test_compiles_where_no_cache_can_be_written():
    """No folder anywhere: numba has nowhere to keep machine code, detection works anyway."""
    script = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from timbrekit.recording.onsets import detect\n"
        "print(detect(np.zeros(1000), 48000).positions.size)\n"
    )
    quickly = {**os.environ, "NUMBA_OPT": "0"}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=quickly, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "0"


def test_compiled_functions_compute_what_python_does():
    def halves(x):
        return x * 0.5

    assert compiled(halves)(3.0) == 1.5
