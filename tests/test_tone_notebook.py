"""What the cells of 09_sing_it call: a whole way, going on where it was, and what is said when a step is missing."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

import timbrekit.notebook.tone_journey as tone_journey
from timbrekit.notebook.journey import Journey
from timbrekit.notebook.tone_journey import ToneJourney
from timbrekit.tone.make import CONTENTS, MODEL, ZIP
from timbrekit.tone.pitch import PITCHED, hear
from timbrekit.tone.sample import BASS_LINE, bass_line


@pytest.fixture
def journey(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr(tone_journey, "SAMPLE_SECONDS", 25.0)
    return ToneJourney(Journey.start())


def test_the_whole_way_with_the_sample(journey, capsys):
    journey.choose_recording()
    assert "two minutes are the least" in journey.recording.text and "A3 to C5" in journey.recording.text
    journey.train()
    assert "cut to 4 steps" in capsys.readouterr().out
    about = json.loads((journey.folder / "report.json").read_text())
    assert about["steps"] == 4 and about["recording"] == "a reed, made by timbrekit.flac"
    journey.show_report()
    assert about["verdict"][:20] in capsys.readouterr().out
    journey.listen(transpose=5)
    assert journey.played.octaves in (1, 2)
    assert np.abs(journey.played.samples).max() > 0.01
    journey.play_live()
    assert "it plays here in a live notebook" in capsys.readouterr().out
    journey.download()
    with zipfile.ZipFile(journey.folder / ZIP) as archive:
        assert sorted(archive.namelist()) == sorted(CONTENTS)
    model = (journey.folder / MODEL).read_bytes()
    again = ToneJourney(Journey.start())
    again.train()
    assert "trained on this recording before" in capsys.readouterr().out
    assert (again.folder / MODEL).read_bytes() == model


def test_steps_out_of_order_are_answered_in_words(journey, capsys):
    for step in (journey.show_report, journey.listen, journey.play_live, journey.download):
        step()
        assert "Run the step that trains one first" in capsys.readouterr().out.replace("\n", " ")


def test_the_bass_line_is_heard_as_it_is_written():
    heard = hear(bass_line(1))
    middles = [int((n + 0.5) * 0.5 * 48_000 / 256) + 4 for n in range(len(BASS_LINE))]
    assert (heard.voiced[middles] > PITCHED).all()
    assert heard.pitch[middles].tolist() == pytest.approx(BASS_LINE, abs=0.1)
