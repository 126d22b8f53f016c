"""What timbrekit did not write is tried in a process with limits; whatever happens there is answered in a sentence."""

import os
import sys

import model_files
import pytest
from by_hand.hostile import Hungry, Laughing, Slow
from forked_guard import run_in_fork
from model_files import metadata_of, rezipped, scripted, trained_mapping

from timbrekit.errors import ModelFileError
from timbrekit.export import guard
from timbrekit.export.check import check_model, open_model
from timbrekit.export.torchdrum import write_model
from timbrekit.mapping import MODEL_NAMES

needs_memory_limit = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")


@pytest.fixture
def file(tmp_path):
    def file(content):
        (tmp_path / "model.pt").write_bytes(content)
        return tmp_path / "model.pt"

    return file


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("centred", [False, True])
def test_what_our_exporter_writes_needs_no_guard(tmp_path, monkeypatch, name, centred):
    def tried(content, *kind):
        raise AssertionError("it was taken for a stranger's")

    monkeypatch.setattr("timbrekit.export.check.try_out", tried)
    mapping = trained_mapping(name, seed=3, centred=centred)
    assert check_model(write_model(mapping, metadata_of(mapping), tmp_path / "model.pt").path).ready


@pytest.mark.parametrize("part", ["constants.pkl", "data.pkl", ".py", "constants/0", "version"])
def test_our_file_with_anything_but_its_numbers_changed_is_a_strangers(file, monkeypatch, part):
    mapping = trained_mapping()
    content = write_model(mapping, metadata_of(mapping), file(b"x")).path.read_bytes()
    changed = rezipped(content, lambda name, data: (name, data + b" " if name.endswith(part) else data))
    tried = []
    monkeypatch.setattr("timbrekit.export.check.try_out", lambda c, *_: tried.append(c) or guard.Verdict())
    check_model(file(changed))
    assert tried == [changed]


@needs_memory_limit
def test_a_model_that_asks_for_far_too_much_memory(file, monkeypatch):
    path = file(scripted(Hungry().eval()))
    result = check_model(path)
    assert not result.ready and "asks for more than 1024 MiB" in result.problems[0]
    monkeypatch.setattr(guard, "_run", run_in_fork)  # the same once more
    with pytest.raises(ModelFileError, match=r"model\.pt.*1024 MiB"):  # neither rehearsed nor exported
        open_model(path)


def test_a_model_that_does_not_come_to_an_end(file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(guard, "SECONDS", 1.0)
        for module in (Slow, Laughing):
            result = check_model(file(scripted(module().eval())))
            assert not result.ready and "tried for 1 s" in result.problems[0]
            if hasattr(os, "fork"):  # one start of Python is enough
                monkeypatch.setattr(guard, "_run", run_in_fork)
    assert check_model(file(scripted(model_files.Answer().eval()))).ready  # the next one is not held up


def test_damage_that_crashes_the_loader_does_not_crash_us(file, monkeypatch):
    dying = "import sys; print('ready', flush=True); sys.stdin.buffer.read(8); sys.exit(5)"
    monkeypatch.setattr(guard, "_PROGRAM", dying)
    result = check_model(file(scripted(model_files.Answer().eval())))
    assert not result.ready and "brought down the process" in result.problems[0]


def test_without_a_process_the_reason_is_said(file, monkeypatch):
    path = file(scripted(model_files.Answer().eval()))
    monkeypatch.setattr(guard, "_PROGRAM", "import sys; sys.exit(3)")
    with pytest.raises(ModelFileError, match=r"cannot be started here.*status 3"):
        check_model(path)
    monkeypatch.setattr(sys, "executable", os.path.join(os.sep, "no", "python"))
    with pytest.raises(ModelFileError, match="cannot be started here"):
        check_model(path)


def test_a_module_in_the_current_folder_is_not_what_the_process_imports(file, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert check_model(file(scripted(model_files.Answer().eval()))).ready
