"""The verdict in the notebook: a word, three ticks, and what is played now measured in place of the take's end."""

import json

import pytest
import soundfile
from takes import RATE, varied_strokes

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

from timbrekit.notebook.verdict_panel import VerdictPanel
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.training.settings import Settings
from timbrekit.workflow import train_model

SNARE = load_preset("snare-1")


@pytest.fixture(scope="module")
def panel(tmp_path_factory, few_imagined_hits):
    folder = tmp_path_factory.mktemp("verdict")
    soundfile.write(folder / "take.wav", varied_strokes(20), RATE)
    train_model(prepare(folder / "take.wav"), SNARE, folder / "model", Settings(epochs=1, warm_start=False))
    return VerdictPanel(folder / "model", SNARE, folder / "take.wav")


def report_of(panel):
    return json.loads((panel.folder / "report.json").read_text(encoding="utf-8"))


def test_something_else_that_is_played_takes_the_place_of_the_end_of_the_take(panel, tmp_path):
    assert "end of your take" in " ".join(panel.text.split())
    assert all(name in panel.words.value for name in ("loudness", "brightness", "length"))
    before = bytes(panel.picture.value)
    soundfile.write(tmp_path / "other.wav", varied_strokes(14, seed=5), RATE)
    panel.measure(tmp_path / "other.wav")
    report = report_of(panel)
    assert report["unseen"]["source"] == "second take" and report["unseen"]["hits"] == 14
    card = " ".join((panel.folder / "card.txt").read_text(encoding="utf-8").split())
    for said in (card, " ".join(panel.text.split())):
        assert "on the other recording, which it had never heard (14 hits)" in said
        assert "end of your take" not in said
    assert bytes(panel.picture.value) != before


def test_a_recording_without_a_hit_is_said_and_changes_nothing(panel, tmp_path):
    before = report_of(panel)
    soundfile.write(tmp_path / "quiet.wav", 1e-4 * varied_strokes(4), RATE)
    panel.measure(tmp_path / "quiet.wav")
    assert "No hit was found in quiet.wav" in panel.words.value or "quiet.wav" in panel.words.value
    assert report_of(panel) == before
