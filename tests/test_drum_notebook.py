"""What the cells of 08_your_own_drum call: a whole way, hits of every source, and what is said of bad ones."""

import zipfile

import numpy as np
import pytest
import soundfile

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

from drum_support import RATE, struck

import timbrekit.drums
from timbrekit.notebook.colab import Upload
from timbrekit.notebook.drum_journey import (
    LAST_DRUM,
    LAST_OTHER,
    MEDIAN,
    TOM,
    DrumJourney,
    sample_hits,
)
from timbrekit.notebook.journey import Journey
from timbrekit.notebook.player import flac
from timbrekit.notebook.recording_panel import keep_if_readable
from timbrekit.presets import load_preset
from timbrekit.synth.struck_tom import STRENGTHS, struck_tom

pytestmark = pytest.mark.usefixtures("few_imagined_hits")


@pytest.fixture(scope="module", autouse=True)
def analysed_once():
    """The same hits make the same drum (test_drum_analysis), and to analyse them takes seconds: once for all tests."""
    found, analyse = {}, timbrekit.drums.analyse

    def analysed(hits, say):
        key = tuple(np.asarray(hit).tobytes() for hit in hits)
        if key not in found:
            found[key] = analyse(hits, say)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timbrekit.drums, "analyse", analysed)
        yield


@pytest.fixture
def drum(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    return DrumJourney(Journey.start())


def uploads(*strengths):
    return [Upload(f"hit {s}.flac", flac(0.7 * struck(s), RATE, 24)) for s in strengths]


@pytest.mark.usefixtures("forked_guard")
def test_the_whole_way_with_the_samples(drum, capsys, sample_recording):
    """Of the recording eight seconds."""
    samples, rate = soundfile.read(sample_recording, start=RATE, stop=9 * RATE, dtype="float32")
    keep_if_readable(drum.journey.session, "take.flac", flac(samples, rate))
    drum.choose_hits()
    assert "of 3 hits, soft to hard" in drum.panel.text and drum.panel.png.startswith(b"\x89PNG")
    journey = drum.journey
    journey.choose_preset()
    assert journey.preset.preset.synth == "drum" and len(journey.preset._sliders) == 16
    assert [name for _, name in journey.preset._chooser.options] == ["sample"]  # no 808: it has other knobs
    journey.preset._sliders["pitch"].value = 5.0
    assert journey.work.preset().values["pitch"] == 5.0
    journey.train()
    journey.listen()
    journey.play_live()
    journey.show_verdict()
    assert "did not work" not in capsys.readouterr().out
    journey.download()
    (path,) = journey.session.model_dir.glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert sorted(names) == sorted({name for name in names}) and "card.png" not in names
        page = next(name for name in names if name.endswith(".html"))
        assert b'"synth":"drum"' in archive.read(page)


def test_a_drum_is_kept_and_made_again(drum):
    drum.panel = None
    drum.choose_hits(TOM)
    kept = sorted(path.name for path in (drum.journey.session.folder / "hits").iterdir())
    assert kept == ["tom 1.flac", "tom 2.flac", "tom 3.flac"]
    preset = load_preset(drum.journey.session.folder / "presets" / "sample.json")
    again = DrumJourney(Journey.start())
    again.choose_hits(LAST_DRUM)
    assert again.panel.made.preset.drum == preset.drum


def test_the_median_hit_of_the_recording_becomes_a_drum(drum):
    drum.choose_hits(MEDIAN)
    assert "snare_minute, one hit" in drum.panel.text and "harder is only louder" in drum.panel.text
    assert drum.panel.made.drum.kind == "snare" and 0.1 < len(drum.panel.made.hit) / RATE < 1


def test_two_drums_become_one_and_the_other_is_kept_too(drum):
    drum.choose_hits(TOM, MEDIAN)
    made = drum.panel.made
    assert made.drum.other.kind == "snare" and "blended with a snare" in drum.panel.text
    assert "Half way" in drum.panel._sound.value and drum.journey.work.preset().values["blend"] == 50
    first, half, other = (made.render(blend=blend) for blend in (0, 50, 100))
    assert np.std(first - half) > 0.1 * np.std(first) < 10 * np.std(half - other)
    again = DrumJourney(Journey.start())
    again.choose_hits(LAST_DRUM, LAST_OTHER)
    assert again.panel.made.drum.to_json() == made.drum.to_json()


def test_uploaded_hits_become_a_drum_and_bad_ones_are_answered_in_words(drum):
    drum.choose_hits("upload one to eight hits")
    assert "Choose the hits above" in drum.panel.text
    drum.panel.take([Upload("loop.flac", flac(np.concatenate([struck(), struck()]), RATE, 24))])
    assert "2 strokes or more" in drum.panel.text and drum.panel.made is None
    assert not (drum.journey.session.folder / "hits").exists()
    drum.panel.take(uploads(0.3, 1.0))
    assert drum.panel.made.preset.name == "hit-0-3" and len(drum.panel.made.drum.loudness) == 2
    drum.panel.take([Upload("snare-1.flac", flac(struck(), RATE, 24))])
    assert drum.journey.work.preset().name == "snare-1-of-my-own"  # not the 808's


def test_the_sample_tom_is_harder_brighter_and_never_clips():
    soft, _, hard = (struck_tom(strength) for strength in STRENGTHS)
    assert np.abs(hard).max() < 1

    def centroid(sound):
        power = np.square(np.abs(np.fft.rfft(sound)))
        return (power * np.arange(len(power))).sum() / power.sum()

    assert centroid(hard) > 1.2 * centroid(soft)
    assert len(sample_hits()) == len(STRENGTHS)
