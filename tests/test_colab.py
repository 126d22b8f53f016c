"""Files in and out, against a stand-in that behaves as Colab does, and without Colab."""

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("IPython", reason="needs the notebooks extra")

from colab_stand_in import Colab, MessageError

from timbrekit.notebook import colab


@pytest.fixture
def fake(monkeypatch, tmp_path) -> Colab:
    monkeypatch.chdir(tmp_path)
    drive = tmp_path / "drive"
    drive.mkdir()
    monkeypatch.setattr(colab, "DRIVE", drive)
    return Colab().install(monkeypatch)


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """HTML that was displayed."""
    pages: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda thing: pages.append(thing.data))
    return pages


def test_an_upload_comes_back_under_the_name_it_was_saved_as(fake):
    fake.uploads = [("x.wav", b"first")]
    assert colab.upload() == colab.Upload("x.wav", b"first")
    fake.uploads = [("x.wav", b"second")]
    assert colab.upload() == colab.Upload("x (1).wav", b"second")


def test_what_is_said_never_breaks_inside_a_word(fake, shown, capsys):
    fake.answer_js = lambda script: {"error": "NotAllowedError"}
    colab.record()
    colab.work_folder()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 96


def test_a_cancelled_upload_is_said_and_gives_none(fake, capsys):
    assert colab.upload() is None
    assert "Nothing was uploaded" in capsys.readouterr().out


def test_of_several_uploads_one_is_used_and_named(fake, capsys):
    fake.uploads = [("a.wav", b"1"), ("b.wav", b"2")]
    assert colab.upload().name == "a.wav"
    assert '2 files were uploaded; "a.wav" is used' in capsys.readouterr().out


def test_an_upload_that_the_browser_blocks_is_explained(fake, capsys):
    fake.cookies_blocked = True
    assert colab.upload() is None
    assert "Allow cookies" in capsys.readouterr().out


def test_a_refused_drive_is_said_and_work_goes_on_without_it(fake, capsys):
    fake.allows_drive = False
    assert colab.work_folder(keep_on_drive=True) == Path("/content/sessions/my session")
    said = capsys.readouterr().out
    assert "Google Drive is not connected" in said and "download it at the end" in said


def test_a_granted_drive_holds_the_work_in_a_folder_with_spaces(fake):
    folder = colab.work_folder(keep_on_drive=True, name="my first session")
    assert folder == colab.DRIVE / "MyDrive" / "timbrekit" / "my first session"
    folder.mkdir(parents=True)
    assert colab.work_folder(keep_on_drive=True, name="my first session") == folder  # mounted already


def test_drive_is_not_asked_for_unless_wanted(fake):
    colab.work_folder(keep_on_drive=False)
    assert not list(colab.DRIVE.iterdir())


def test_the_mount_point_has_no_space_which_colab_would_refuse():
    assert " " not in str(colab.DRIVE)
    with pytest.raises(ValueError, match="space"):
        Colab().mount("/content/my drive")


def test_a_download_hands_over_the_whole_file(fake, tmp_path, capsys):
    file = tmp_path / "my session" / "instrument.zip"
    file.parent.mkdir()
    file.write_bytes(b"zip" * 1000)
    colab.download(file)
    assert fake.downloaded == [("instrument.zip", b"zip" * 1000)]
    assert "instrument.zip (3 kB)" in capsys.readouterr().out


def test_a_download_of_nothing_is_an_error_before_colab_is_asked(fake, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.zip"):
        colab.download(tmp_path / "missing.zip")


def test_a_recording_arrives_whole_though_it_is_sent_in_pieces(fake, shown):
    wav = bytes(range(256)) * 10_000

    def browser(script):
        if script.startswith("timbrekitRecordForColab"):
            return {"bytes": len(wav)}
        start, size = map(int, script.removeprefix("timbrekitPiece(").rstrip(")").split(","))
        return base64.b64encode(wav[start : start + size]).decode()

    fake.answer_js = browser
    assert colab.record() == colab.Upload("my recording.wav", wav)
    assert len(fake.scripts) == 4  # the recording and three pieces of at most a megabyte
    assert "getUserMedia" in shown[0]


def test_a_refused_microphone_is_explained(fake, shown, capsys):
    fake.answer_js = lambda script: {"error": "NotAllowedError"}
    assert colab.record() is None
    assert "Allow the microphone" in capsys.readouterr().out


def test_a_recording_lost_on_the_way_is_explained(fake, shown, capsys):
    def lost(script):
        raise MessageError("Error: gone")

    fake.answer_js = lost
    assert colab.record() is None
    assert "did not arrive" in capsys.readouterr().out


def test_outside_colab_the_recorder_saves_to_a_file(shown):
    assert colab.record() is None
    assert "timbrekitRecordToFile(" in shown[0] and "my recording.wav" in shown[0]


def test_outside_colab_work_is_kept_beside_the_notebook(capsys):
    assert colab.work_folder(keep_on_drive=True) == Path("sessions/my session")
    assert colab.mount_drive() is None
    assert "on this computer" in capsys.readouterr().out


def test_outside_colab_a_download_is_a_visible_link_that_works_with_spaces(shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my session" / "snare & co.zip"
    file.parent.mkdir()
    file.write_bytes(b"0" * 2_500_000)
    colab.download(file)
    assert 'href="my%20session/snare%20%26%20co.zip"' in shown[0]
    assert 'download="snare &amp; co.zip"' in shown[0] and "2.5 MB" in shown[0]
    assert str(tmp_path) not in shown[0]


def test_recordings_are_found_in_folders_newest_first(tmp_path):
    import os

    for age, name in enumerate(
        ["a.wav", "Colab Notebooks/b.M4A", "notes.txt", "x/y/z/c.mp3", "x/y/z/w/deep.wav"]
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        os.utime(file, (1000 + age, 1000 + age))
    assert [file.name for file in colab.audio_files(tmp_path)] == ["c.mp3", "b.M4A", "a.wav"]


def test_colab_is_recognised_by_its_kernel_having_loaded_it(fake, monkeypatch):
    assert colab.in_colab()
    monkeypatch.delitem(sys.modules, "google.colab")
    assert not colab.in_colab()


def test_importing_the_module_needs_no_colab():
    code = "import sys, timbrekit.notebook.colab; assert 'google.colab' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_recorder_writes_a_wav_file_that_soundfile_reads(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("needs node to run the recorder's JavaScript")
    soundfile = pytest.importorskip("soundfile")
    script = Path(colab.__file__).with_name("recorder.js").read_text(encoding="utf-8")
    (tmp_path / "run.js").write_text(
        script + "\nconst blocks = [Float32Array.of(0, 0.5, -0.5), Float32Array.of(1.5, -1.5)];\n"
        "require('fs').writeFileSync(process.argv[2], Buffer.from(timbrekitWav(blocks, 5, 44100)));\n",
        encoding="utf-8",
    )
    subprocess.run(["node", tmp_path / "run.js", tmp_path / "out.wav"], check=True)
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 44_100 and samples == pytest.approx([0, 0.5, -0.5, 1, -1], abs=1e-6)
