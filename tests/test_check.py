"""Any file a user may have is checked, never trusted, and answered in words."""

import errno
import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import model_files
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import Malicious, Published, metadata_of, rezipped, scripted, trained_mapping
from torch import nn

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import MAX_ENTRIES, MAX_READ_BYTES
from timbrekit.export.check import check_model, open_model, read_metadata
from timbrekit.export.examine import ALLOWED_OPERATORS
from timbrekit.export.torchdrum import serialize

pytestmark = pytest.mark.usefixtures("forked_guard")


@pytest.fixture(scope="module")
def good():
    mapping = trained_mapping()
    return serialize(mapping, metadata_of(mapping))


@pytest.fixture(scope="module")
def smallest():
    mapping = trained_mapping("linear")
    return serialize(mapping, metadata_of(mapping))


@pytest.fixture
def check(tmp_path):
    def check(content):
        path = tmp_path / "someone's model.pt"
        path.write_bytes(content)
        return check_model(path)

    return check


def refusal(result):
    """The one sentence that says why a file is not ready."""
    assert not result.ready and len(result.problems) == 1
    (problem,) = result.problems
    assert problem.endswith(".") and len(problem) < 400 and "Traceback" not in problem
    return problem


def zipped(**parts):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(content, legacy=False):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def test_our_own_file_is_ready(check, good):
    result = check(good)
    assert result.ready and not result.problems and not result.notes
    assert result.metadata["preset"]["name"] == "snare-1"


def test_a_file_of_the_published_training_code_is_ready(check):
    result = check(scripted(Published().eval()))
    assert result.ready and not result.problems
    assert len(result.notes) == 1 and "gradients" in result.notes[0]
    assert result.metadata == {}


def test_without_dropout_training_mode_changes_nothing(check):
    assert check(scripted(Published().train())).ready


def test_a_traced_and_a_frozen_model_are_ready(check):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Published().eval(), torch.ones(1, 3)), buffer)
    assert check(buffer.getvalue()).ready
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.freeze(torch.jit.script(Published().eval().requires_grad_(False))), buffer)
    assert check(buffer.getvalue()).ready and not check(buffer.getvalue()).notes


@pytest.mark.parametrize(
    "activation", [nn.GELU(), nn.SiLU(), nn.ELU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Dropout(0.3)]
)
def test_other_common_layers_are_ready(check, activation):
    assert check(scripted(Published(activation).eval())).ready


@pytest.mark.parametrize("module", [Published(nn.Dropout(0.3)), Published(nn.Dropout(1e-4))])
def test_dropout_in_training_mode_is_refused(check, module):
    assert "training mode" in refusal(check(scripted(module.train())))
    module.eval()
    module.net[3].train()  # only this layer
    assert "training mode" in refusal(check(scripted(module)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Wide", r"\(2, 28\).*\(2, 14\)"),
        ("ThreeDimensional", r"\(1, 2, 14\)"),
        ("Pair", "a tuple"),
        ("Double", "float64"),
        ("InfiniteAtZero", "not a finite number for 8%"),
        ("TwoInputs", "three features.*'more'"),
        ("FourFeatures", "three features.*out of range"),
        ("NoForward", "no forward method"),
        ("Random", "aten::rand"),
        ("RmsNorm", r"aten::rms_norm.*libtorch 2\.1\.1"),
        ("Loop", "prim::Loop"),
        ("Print", "prim::Print"),
        ("ReadFile", "aten::from_file"),
        ("SaveFile", "aten::save"),
        ("OnLoad", "runs code of its own"),
    ],
)
def test_a_model_that_is_not_what_the_plugin_needs(check, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    assert re.search(words, refusal(check(scripted(getattr(model_files, name)().eval()))))
    assert os.listdir(tmp_path) == ["someone's model.pt"]


@pytest.mark.parametrize("name", ["OnLoad", "ReadFile", "SaveFile", "Loop"])
def test_a_model_that_could_do_harm_is_not_loaded_for_rehearsal_either(tmp_path, name):
    path = tmp_path / "model.pt"
    path.write_bytes(scripted(getattr(model_files, name)().eval()))
    with pytest.raises(ModelFileError, match=r"^model\.pt: The model (uses|runs)"):
        open_model(path)
    path.write_bytes(scripted(model_files.Answer().eval()))
    assert open_model(path).module(torch.ones(1, 3)).shape == (2, 14)


class OutOfTheBlue(model_files.Answer):
    """Values decide how much memory it takes."""

    def forward(self, features):
        return self.rows + torch.where(self.rows > features[0, 0])[0].sum()


def test_a_model_whose_memory_depends_on_what_it_is_given_is_refused(check):
    assert "aten::where" in refusal(check(scripted(OutOfTheBlue().eval())))


def test_code_that_runs_on_loading_cannot_hide_behind_the_name_of_its_file(check):
    # libtorch takes a part called .PY for the .py that it looks for.
    content = scripted(model_files.OnLoad().eval())
    hidden = rezipped(content, lambda name, data: (name.replace(".py", ".PY"), data))
    assert "code of its own" in refusal(check(hidden))


def test_a_model_of_a_thousand_operations_is_refused(check):

    assert "more than 1000" in refusal(check(scripted(model_files.Long().eval())))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"garbage" * 1000,
        b"\x00" * 5000,
        b"PK",
        b"PK\x03\x04",
        b"PK\x05\x06" + b"\0" * 18,
        b"RIFF\0\0\0\0WAVE",
    ],
    ids=range(8),
)
def test_garbage(check, content):
    refusal(check(content))


def test_an_archive_of_other_things(check):
    assert "not a TorchScript model" in refusal(check(zipped(**{"photos/cat.txt": b"meow"})))
    assert "not a TorchScript model" in refusal(check(zipped(**{"photos/constants.pkl": b"meow"})))


def test_a_state_dict(check):
    assert "weights only" in refusal(check(saved(Published().state_dict())))
    assert "not a model file" in refusal(check(saved(Published().state_dict(), legacy=True)))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_does_not(check, tmp_path, legacy):
    trap = tmp_path / "sprung"
    refusal(check(saved(Malicious(trap), legacy)))
    refusal(check(pickle.dumps(Malicious(trap))))
    assert not trap.exists()
    pickle.loads(pickle.dumps(Malicious(trap)))  # elsewhere it would have
    assert trap.exists()


@pytest.mark.parametrize("part", ["archive/data.pkl", "archive/constants.pkl"])
def test_a_pickle_in_a_torchscript_file_that_would_run_code_does_not(check, tmp_path, good, part):
    trap = tmp_path / "sprung"
    pickled = pickle.dumps(Malicious(trap), protocol=2)
    refusal(check(rezipped(good, lambda name, data: (name, pickled if name == part else data))))
    assert not trap.exists()


@pytest.mark.parametrize("part", ["archive/data.pkl", "archive/constants.pkl"])
def test_a_pickle_that_asks_for_gigabytes_gets_none(check, good, part):
    # LONG_BINPUT with a large index: libtorch would make room for four thousand million values.
    bomb = b"\x80\x02}r\xff\xff\xff\xff."
    assert "remembered as number 4294967295" in refusal(
        check(rezipped(good, lambda name, data: (name, bomb if name == part else data)))
    )


def test_a_zip_bomb_is_not_unpacked(check):
    bomb = zipped(**{"archive/data.pkl": b"\0" * (MAX_READ_BYTES + 1), "archive/constants.pkl": b""})
    assert len(bomb) < 100_000
    assert "unpacks to 16 MiB" in refusal(check(bomb))


def test_a_bomb_that_lies_about_its_size(check):
    bomb = bytearray(zipped(**{"archive/data.pkl": b"\0" * MAX_READ_BYTES, "archive/constants.pkl": b""}))
    true_size = MAX_READ_BYTES.to_bytes(4, "little")
    assert bomb.count(true_size) == 2
    lying = bytes(bomb).replace(true_size, (1000).to_bytes(4, "little"))
    assert "damaged" in refusal(check(lying))


def test_too_many_parts(check):
    parts = {f"archive/{i}": b"" for i in range(MAX_ENTRIES)}
    assert "1002 parts" in refusal(
        check(zipped(**parts, **{"archive/data.pkl": b"", "archive/constants.pkl": b""}))
    )


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "model.pt"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # takes no room on the disk
    assert "3072 MiB" in refusal(check_model(path))


def test_two_parts_of_one_name(check, good):
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".py"))
    content = io.BytesIO(good)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(name.upper(), b"class PluginModel(Module): pass")
    assert "same name" in refusal(check(content.getvalue()))


def test_two_archives_in_one_file(check, good):
    # Python's reader looks for the last archive in a file; others take the first.
    refusal(check(scripted(model_files.OnLoad().eval()) + good))
    refusal(check(b"prefix" + good))


def test_a_compressed_archive_is_read_as_libtorch_reads_it(check, good):
    assert check(rezipped(good, lambda *part: part, zipfile.ZIP_DEFLATED)).ready
    assert not check(rezipped(good, lambda *part: part, zipfile.ZIP_LZMA)).ready


def test_an_encrypted_archive(check, good):
    flagged = bytearray(good)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = flagged.find(signature)
        flagged[at + offset] |= 1
    refusal(check(bytes(flagged)))


def with_metadata(good, document):
    return rezipped(good, lambda name, data: (name, document if name.endswith("timbrekit.json") else data))


def test_a_description_of_a_later_schema_does_not_make_the_model_unplayable(check, good, tmp_path):
    document = json.dumps({"schema": 2, "new": True})
    result = check(with_metadata(good, document))
    assert result.ready and result.metadata["new"]
    assert "schema 2" in result.notes[0] and "update timbrekit" in result.notes[0]
    with pytest.raises(ModelFileError, match=r"someone's model\.pt.*update timbrekit"):
        read_metadata(tmp_path / "someone's model.pt")


@pytest.mark.parametrize(
    "document", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b"1e5", b"{}", b'{"schema": "1"}']
)
def test_a_damaged_description(check, good, tmp_path, document):
    result = check(with_metadata(good, document))
    assert result.ready and len(result.notes) == 1
    with pytest.raises(ModelFileError, match=r"someone's model\.pt"):
        read_metadata(tmp_path / "someone's model.pt")


def test_a_file_without_description_has_no_metadata(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(scripted(Published().eval()))
    with pytest.raises(ModelFileError, match="timbrekit did not write it"):
        read_metadata(path)


@pytest.mark.parametrize("content", [b"not a model", saved({"weight": torch.zeros(3)})])
def test_a_file_that_is_no_model_is_not_opened(tmp_path, content):
    path = tmp_path / "someone's model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"^someone's model\.pt: This"):
        open_model(path)


@pytest.mark.parametrize("reader", [check_model, open_model, read_metadata])
def test_what_is_no_file(tmp_path, reader):
    with pytest.raises(ModelFileError, match="no file"):
        reader(tmp_path / "missing.pt")
    with pytest.raises(ModelFileError, match="a folder"):
        reader(tmp_path)
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(ModelFileError):
            reader(name)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch, good):
    path = tmp_path / "model.pt"
    path.write_bytes(good)

    def refused(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ModelFileError, match="Permission denied"):
        check_model(path)


def test_a_file_cut_short_anywhere_is_refused(check, good):
    for length in range(0, len(good), 7):
        result = check(good[:length])
        assert not result.ready and len(result.problems) == 1, length


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.data())
def test_a_damaged_file_never_crashes_the_check(tmp_path_factory, smallest, data):
    content = bytearray(smallest)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("models") / "model.pt"
    path.write_bytes(content)
    result = check_model(path)
    assert result.ready != bool(result.problems)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.sampled_from(["data.pkl", "constants.pkl", ".py", "version", "constants/0", "byteorder"]), st.data()
)
def test_a_damaged_part_in_a_sound_archive_never_crashes_the_check(tmp_path_factory, smallest, part, data):
    def damage(name, content):
        if not name.endswith(part):
            return name, content
        content = bytearray(content)
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        return name, bytes(content)

    path = tmp_path_factory.mktemp("models") / "model.pt"
    path.write_bytes(rezipped(smallest, damage))
    result = check_model(path)
    assert result.ready != bool(result.problems)


def test_every_allowed_operator_exists_in_this_torch():
    # Those of libtorch 2.1.1 were compared by hand (docs/model_file.md); this keeps typing errors out.
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    built_in = {
        "prim::Constant",
        "prim::GetAttr",
        "prim::ListConstruct",
        "prim::ListUnpack",
        "prim::TupleConstruct",
    }
    assert ALLOWED_OPERATORS - known == built_in
