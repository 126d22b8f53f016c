"""An instrument's name: made of recording and preset, or the user's own; changed after training without harm."""

import json
from dataclasses import replace

import pytest
import soundfile
import torch
from takes import RATE, varied_strokes

from timbrekit.cli import main
from timbrekit.errors import TimbrekitError
from timbrekit.export.check import check_model, open_model
from timbrekit.export.model_file import read_metadata
from timbrekit.files import safe_name
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.results.instruments import find_instruments
from timbrekit.results.naming import LONGEST, check_name, default_name, file_stem, rename
from timbrekit.training.settings import Settings
from timbrekit.workflow import train_model

SNARE = load_preset("snare-1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, few_imagined_hits):
    folder = tmp_path_factory.mktemp("named")
    soundfile.write(folder / "my take.wav", varied_strokes(20), RATE)
    settings = Settings(epochs=1, warm_start=False)
    train_model(prepare(folder / "my take.wav"), SNARE, folder / "out", settings)
    return folder / "out"


def test_a_name_is_made_of_the_recordings_and_the_presets():
    assert default_name("my take.wav", SNARE) == "my take as Snare 1"
    assert default_name("my take.wav", SNARE, "mel") == "my take as Snare 1, mel listener"
    assert len(default_name("x" * 300 + ".wav", SNARE)) <= LONGEST
    check_name(default_name("x" * 300 + ".wav", SNARE))


@pytest.mark.parametrize("name", ["", "  ", "x" * (LONGEST + 1), "a\x00b"])
def test_a_name_that_will_not_do_is_refused_in_words(name):
    with pytest.raises(TimbrekitError, match="name of 1 to 60 letters"):
        check_name(name)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "C:\\x", "con", "Ünïcode 🥁", "x" * 60])
def test_files_of_any_name_stay_in_their_folder(name):
    stem = file_stem(name)
    assert safe_name(stem) == stem and "/" not in stem and stem not in ("", ".", "..")


def test_training_writes_the_name_into_model_report_and_card(trained):
    report = json.loads((trained / "report.json").read_text())
    assert report["name"] == read_metadata(trained / "model.pt")["name"] == "my take as Snare 1"
    assert (trained / "card.txt").read_text().startswith("my take as Snare 1\n")


def test_another_name_changes_nothing_that_is_played(trained):
    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    before = open_model(trained / "model.pt").module(inputs)
    rename(trained, "  Attic   snare ", SNARE)
    model = open_model(trained / "model.pt")
    assert model.metadata["name"] == "Attic snare" and check_model(trained / "model.pt").ready
    assert torch.equal(model.module(inputs), before)
    assert (trained / "card.txt").read_text().startswith("Attic snare\n")
    assert [found.name for found in find_instruments(trained.parent)] == ["Attic snare"]


def test_all_instruments_are_listed_with_their_verdicts(trained, capsys):
    (trained.parent / "broken").mkdir(exist_ok=True)
    for name in ("model.pt", "report.json"):
        (trained.parent / "broken" / name).write_text("[1, 2]")
    assert main(["instruments", str(trained.parent), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["instruments"]
    report = json.loads((trained / "report.json").read_text())
    assert (listed["word"], listed["ticks"], listed["hits"]) == (report["word"], report["ticks"], 20)
    assert listed["listener"] == "torchdrum"
    assert main(["instruments", str(trained.parent)]) == 0
    said = "does not follow you" if report["word"] == "not" else f"follows you {report['word']}"
    assert said in capsys.readouterr().out
    (found,) = find_instruments(trained.parent)
    rows = found.row(), replace(found, listener="mel").row()
    assert [row["listener"] for row in rows] == ["TorchDrum's", "mel"]


def test_a_folder_without_instruments_and_one_that_is_not_there_are_said(tmp_path, capsys):
    assert main(["instruments", str(tmp_path)]) == 0
    assert "There is no instrument in" in capsys.readouterr().out
    assert main(["instruments", str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_a_strangers_report_cannot_write_on_the_terminal(tmp_path, capsys):
    (tmp_path / "model.pt").touch()
    report = {"preset": "snare-1", "hits_kept": 3, "name": "\x1b[31mred\nline"}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert main(["instruments", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable() and "red line: not measured, 3 hits" in line
