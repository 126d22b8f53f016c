"""One's own work in the next notebook: in Colab, where each has a machine of its own, and on one's computer."""

import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

from colab_stand_in import Colab

from timbrekit.errors import SessionError
from timbrekit.notebook import colab, journey
from timbrekit.notebook.carry import ZIP_NAME
from timbrekit.notebook.train_step import BOTH
from timbrekit.session import Session
from timbrekit.session.archive import pack_session, unpack_session

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
STEPS = ["01_upload_and_find_hits", "02_choose_a_preset", "03_train", "04_audition", "05_download"]


@pytest.fixture
def take(sample_recording) -> bytes:
    """Eight seconds, as a WAV file: somebody's own recording."""
    samples, rate = soundfile.read(sample_recording, start=48_000, stop=9 * 48_000, dtype="float32")
    path = Path("own.wav")
    soundfile.write(path, samples, rate)
    content = path.read_bytes()
    path.unlink()
    return content


class Machines:
    """Colab: a fresh machine for each notebook that is opened."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, sample: Path):
        self.folder, self.patch, self.sample = folder, monkeypatch, sample
        self.drive = folder / "drive"
        self.drive.mkdir()
        monkeypatch.setattr(colab, "DRIVE", self.drive)

    def run(
        self, name: str, uploads: Sequence[tuple[str, bytes]] = (), **fields: object
    ) -> tuple[str, Colab]:
        """*Run all* in a notebook with fields of its forms filled in. All that was said, and what was downloaded."""
        machine = self.folder / f"machine {len(list(self.folder.iterdir()))}"
        (machine / "sample_audio").mkdir(parents=True)
        shutil.copy(self.sample, machine / "sample_audio")
        self.patch.chdir(machine)
        self.patch.setattr(colab, "default_folder", lambda name: machine / "sessions" / name)
        fake = Colab().install(self.patch)
        fake.mounts_at = self.drive
        said: list[str] = []
        self.patch.setattr(
            "builtins.print", lambda *words, **_options: said.append(" ".join(map(str, words)))
        )
        queue = list(uploads)
        upload = fake.upload

        def next_upload() -> dict[str, bytes]:
            fake.uploads = [queue.pop(0)]
            return upload()

        self.patch.setattr(sys.modules["google.colab.files"], "upload", next_upload)
        space: dict[str, object] = {}
        for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells:
            if cell.cell_type == "code":
                lines = cell.source.splitlines()
                for at, line in enumerate(lines):
                    field = line.partition(" = ")[0]
                    if "#@param" in line and field in fields:
                        lines[at] = f"{field} = {fields[field]!r}"
                exec("\n".join(lines), space)
        return " ".join(" ".join(said).split()), fake


@pytest.fixture
def machines(tmp_path, monkeypatch, sample_recording):
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr("timbrekit.notebook.widgets.display", lambda *_args, **_options: None)
    monkeypatch.setattr("IPython.display.display", lambda *_args, **_options: None)
    folder = tmp_path / "colab"
    folder.mkdir()
    return Machines(folder, monkeypatch, sample_recording)


def test_without_anything_each_step_says_that_it_shows_the_sample_and_what_to_do(machines):
    said, fake = machines.run("02_choose_a_preset")
    assert "no recording of yours here yet: this notebook shows the sample recording" in said
    assert "keep_my_work_on_google_drive ticked" in said and "go_on_from_a_session_zip ticked" in said
    assert "nothing to take along" in said and fake.downloaded == []


def test_run_all_on_the_sample_downloads_nothing_unless_asked(machines, monkeypatch):
    monkeypatch.setattr(journey.Journey, "show_verdict", lambda *_: None)  # which would train
    said, fake = machines.run("05_download")
    assert "sample recording's instrument, so nothing is downloaded" in said and fake.downloaded == []


def test_the_zip_of_each_step_brings_ones_own_recording_through_all_five(machines, take):
    said, fake = machines.run(STEPS[0], [("own.wav", take)], recording="upload a file")
    ((name, content),) = fake.downloaded
    assert name == ZIP_NAME and "Take it along" in said
    for step in STEPS[1:]:
        said, fake = machines.run(step, [(name, content)], go_on_from_a_session_zip=True)
        assert 'This notebook works on your recording "own.wav".' in said, step
        assert "sample" not in said, step
        ((name, content),) = fake.downloaded
    assert name == "own as Snare 1.zip"


@pytest.mark.usefixtures("forked_guard")
def test_the_zip_brings_the_models_of_both_listeners_and_each_is_handed_over(machines, take):
    said, fake = machines.run(STEPS[0], [("own.wav", take)], recording="upload a file")
    said, fake = machines.run(STEPS[2], fake.downloaded, go_on_from_a_session_zip=True, to_play=BOTH)
    assert "Both are kept, and the one for page, Max and Pd plays" in said
    said, fake = machines.run(STEPS[4], fake.downloaded, go_on_from_a_session_zip=True)
    assert "trained with snare-1 (mel listener)" in said and "training one now" not in said
    names = [name for name, _ in fake.downloaded]
    assert names == ["own as Snare 1.zip", "own as Snare 1, mel listener.zip"]


def test_google_drive_brings_it_along_too_and_nothing_is_downloaded(machines, take):
    fields = {"keep_my_work_on_google_drive": True}
    machines.run(STEPS[0], [("own.wav", take)], recording="upload a file", **fields)
    said, fake = machines.run(STEPS[1], **fields)
    assert 'works on your recording "own.wav"' in said and fake.downloaded == []
    assert "if keep_my_work_on_google_drive is ticked there" in said


def test_a_wrong_zip_is_said_and_the_sample_shown(machines, tmp_path):
    with zipfile.ZipFile(tmp_path / "instrument.zip", "w") as archive:
        archive.writestr("model.pt", b"model")
    content = (tmp_path / "instrument.zip").read_bytes()
    said, _ = machines.run(STEPS[1], [("instrument.zip", content)], go_on_from_a_session_zip=True)
    assert "is not a session" in said and "with a card in it is an instrument" in said
    assert "shows the sample recording" in said


# --- the zip itself ----------------------------------------------------------------------------------------


def test_a_session_comes_out_of_its_zip_as_it_went_in(tmp_path):
    session = Session.open(tmp_path / "here")
    session.keep_recording("take one.wav", b"sound")
    session.keep_detector({"hold": 800}, 12)
    session.keep_preset({"name": "mine", "values": {}})
    session.model_dir.mkdir(parents=True)
    session.model_path.write_bytes(b"model")
    session.keep_listener("mel")
    session.model_dir.mkdir(parents=True)
    session.model_path.write_bytes(b"with mel")
    session.keep_listener("torchdrum")
    found = unpack_session(pack_session(session, tmp_path / "s.zip"), tmp_path / "there")
    assert found.state == session.state and found.is_trained
    assert found.recording_path.read_bytes() == b"sound" and found.model_path.read_bytes() == b"model"
    assert (found.trained_dirs["mel"] / "model.pt").read_bytes() == b"with mel"


def test_what_is_there_already_stays(tmp_path):
    session, there = Session.open(tmp_path / "here"), Session.open(tmp_path / "there")
    session.keep_recording("take.wav", b"mine")
    there.keep_recording("other.wav", b"other")
    packed = pack_session(session, tmp_path / "s.zip")
    assert unpack_session(packed, tmp_path / "there").state.recording == "take.wav"
    assert (tmp_path / "there" / "recording" / "other.wav").read_bytes() == b"other"
    unpack_session(packed, tmp_path / "there")  # twice is as good as once
    Session.open(tmp_path / "third").keep_recording("take.wav", b"another of that name")
    with pytest.raises(SessionError, match=r'another recording called "take\.wav", and it is kept'):
        unpack_session(packed, tmp_path / "third")
    assert (tmp_path / "third" / "recording" / "take.wav").read_bytes() == b"another of that name"


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/evil", "recording/../../evil", "models/evil.pt", "recording/a/b.wav", "evil.sh"],
)
def test_nothing_is_written_outside_of_a_session(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("state.json", "{}")
        archive.writestr(name, b"evil")
    with pytest.raises(SessionError, match="does not belong in a session"):
        unpack_session(tmp_path / "s.zip", tmp_path / "there" / "deep")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_zip_that_is_damaged_is_said_in_words(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "s.zip").write_bytes(rng.bytes(500))
    with pytest.raises(SessionError, match=r'"s\.zip" cannot be unpacked'):
        unpack_session(tmp_path / "s.zip", tmp_path / "there")
