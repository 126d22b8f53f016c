"""The same recording, preset and seed give the same model file, byte for byte, but for the date it carries."""

import json
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from takes import RATE, varied_strokes

from timbrekit.cli import main

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

DESCRIPTION = "archive/extra/timbrekit.json"


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
        arguments = ["train", take, "--out", tmp_path / out, "--epochs", 1, "--seed", 7, "--device", "cpu"]
        assert main([str(argument) for argument in arguments]) == 0
        return tmp_path / out

    first = trained("first")
    torch.manual_seed(99)  # what other code draws has no say
    np.random.seed(99)  # noqa: NPY002
    second = trained("second")
    assert parts_of(first / "model.pt") == parts_of(second / "model.pt")
    for name in ("rehearsal.wav", "primer.wav", "card.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, other = (json.loads((folder / "report.json").read_text()) for folder in (first, second))
    assert one.pop("training") and other.pop("training")  # it holds seconds
    assert one == other
