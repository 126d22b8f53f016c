"""The same recording, preset and seed give the same model file, byte for byte, but for the date it carries."""

import json
import zipfile

import pytest
import soundfile
from takes import RATE, varied_strokes

import timbrekit.training.warm_start
from timbrekit.cli import main

DESCRIPTION = "archive/extra/timbrekit.json"


@pytest.fixture
def short_warm_start(monkeypatch):
    for name, few in (("FIRST_RENDERS", 32), ("ROUNDS", 1), ("MAPPING_STEPS", 20), ("SURROGATE_STEPS", 20)):
        monkeypatch.setattr(timbrekit.training.warm_start, name, few)


def parts_of(model):
    """Every part of the file in its order, the description read and without its date."""
    with zipfile.ZipFile(model) as archive:
        parts = [
            (item.filename, item.date_time, item.extra, archive.read(item)) for item in archive.infolist()
        ]
    description = json.loads(next(data for name, *_, data in parts if name == DESCRIPTION))
    assert description.pop("date")
    return [part for part in parts if part[0] != DESCRIPTION], list(description.items())


def test_training_twice_writes_the_same_model_and_sound(tmp_path, short_warm_start):
    take = tmp_path / "take.wav"
    soundfile.write(take, varied_strokes(8), RATE, subtype="PCM_24")

    def trained(out):
        arguments = ["train", take, "--out", tmp_path / out, "--epochs", 2, "--seed", 7, "--device", "cpu"]
        assert main([str(argument) for argument in arguments]) == 0
        return tmp_path / out

    first, second = trained("first"), trained("second")
    assert parts_of(first / "model.pt") == parts_of(second / "model.pt")
    for name in ("rehearsal.wav", "primer.wav", "card.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, other = (json.loads((folder / "report.json").read_text()) for folder in (first, second))
    assert one.pop("training") and other.pop("training")  # it holds seconds
    assert one == other
