"""What earlier versions wrote goes on loading. (tests/data/v0/README.md says how the files came about.)"""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from model_files import trained_mapping

from timbrekit.cli import main
from timbrekit.errors import OutputError
from timbrekit.experiment.results import read_models
from timbrekit.export.check import check_model, open_model
from timbrekit.export.torchdrum import serialize
from timbrekit.notebook.journey import Journey
from timbrekit.plugin.as_played import measure_as_played
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.session import Session
from timbrekit.training.take import make_take

OLD = Path(__file__).parent / "data" / "v0"
RESULTS = OLD / "session" / "models" / "snare-1-9c485147"
MODEL, TAKE = RESULTS / "model.pt", OLD / "session" / "recording" / "take.ogg"
CLASS_PATH = "code/__torch__/timbrekit/export/torchdrum.py"  # in the archive: of timbrekit.export.torchdrum.PluginModel


@pytest.fixture
def session(tmp_path):
    """A copy of the old session: opening one may write to it."""
    return Session.open(shutil.copytree(OLD / "session", tmp_path / "session"))


@pytest.fixture(scope="module")
def report():
    return json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))


def test_an_old_model_is_ready_for_the_plugin_and_says_what_it_is():
    result = check_model(MODEL)
    assert result.ready and not result.problems
    assert result.metadata["name"] == "Snare 1" and result.metadata["schema"] == 1


def test_the_class_in_a_model_file_has_the_path_that_it_always_had(tmp_path):
    new = tmp_path / "new.pt"
    new.write_bytes(serialize(trained_mapping(), {}))
    for path in (MODEL, new):
        with zipfile.ZipFile(path) as archive:
            (code,) = [name for name in archive.namelist() if name.endswith(CLASS_PATH)]
            assert b"class PluginModel(Module)" in archive.read(code)


def test_an_old_model_plays_what_its_report_says(report):
    recording = read_recording(TAKE, report["sample_rate"])
    hits = find_hits(recording.samples, recording.sample_rate, DetectorSettings(**report["detector"]))
    played = measure_as_played(open_model(MODEL).module, recording.samples, make_take(hits))
    assert len(hits) == report["hits_kept"]
    assert played.error_ratio == pytest.approx(report["as_played"]["error_ratio"], rel=1e-3)


def test_old_models_are_rehearsed_and_exported(tmp_path, capsys):
    for command in (
        ["check", MODEL],
        ["rehearse", MODEL, TAKE, tmp_path / "heard.wav"],
        ["page", MODEL, "--out", tmp_path / "play.html"],
        ["export", MODEL, "--to", "nn-tilde", "--out", tmp_path / "drum.ts"],
    ):
        assert main([str(word) for word in command]) == 0, capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"heard.wav", "play.html", "drum.ts"}


def test_an_old_session_is_resumed_with_its_model(session):
    assert session.resumed and session.is_trained and session.model_path.parent.name == RESULTS.name
    assert session.describe().endswith("11 hits, trained with snare-1.")
    assert session.recording_path.read_bytes() == TAKE.read_bytes()


def test_a_notebook_shows_the_verdict_of_an_old_session(session, report):
    journey = Journey(session)
    journey.show_verdict()
    said = journey.steps["verdict"].text
    assert "did not work" not in said and " ".join(report["verdict"].split())[:40] in " ".join(said.split())


def test_an_old_preset_keeps_its_sound():
    mine, shipped = load_preset(OLD / "mine.json"), load_preset("snare-2")
    assert mine.title == "My own snare" and mine.values == shipped.values and mine.damping == shipped.damping


def test_an_old_experiments_results_are_refused_in_words():
    with pytest.raises(OutputError, match=r"results of timbrekit 0\.x"):
        read_models(OLD)
