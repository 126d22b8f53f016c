"""The page of a tone: its core in node against Python's listener, fit and instrument; the file; the commands."""

import json
import re

import numpy as np
import pytest
import torch
from page_support import node_core
from shared_material import shared_folder
from tone_support import lively_instrument, note, reed

from timbrekit import cli
from timbrekit.recording import read_recording
from timbrekit.tone.instrument import Ranges, save_instrument
from timbrekit.tone.live_page import TONE_PAGE, page_model, render_tone_page
from timbrekit.tone.pitch import CENTRE, FLOOR, HOP, RATE, hear
from timbrekit.tone.play import fit, play
from timbrekit.tone.synth import white_noise

RANGES = Ranges((55.0, 75.0), (-36.0, -20.0))  # soft enough not to be turned down


@pytest.fixture(scope="module")
def instrument():
    return lively_instrument(RANGES)


@pytest.fixture(scope="module")
def model(instrument):
    return page_model(instrument, {"recording": "reed.wav"})


@pytest.fixture
def core(tmp_path):
    return node_core(tmp_path, TONE_PAGE)


def play_in_node(core, model, samples, **task):
    """What node's player makes of a sound, in time with it, and what it heard and was asked for."""
    files = {"samples": core.write("samples", samples), "out": "audio"}
    (result,) = core.run({"task": "tone", "model": model, **files, **task})
    assert "error" not in result, result
    return core.read("audio")[HOP + CENTRE :], result


def check_equal(core, instrument, model, samples, tolerance=1e-4):
    expected = play(instrument, samples)
    hops = len(expected.asked)
    white = white_noise(1, hops, torch.Generator().manual_seed(0))
    noise = np.concatenate([white.numpy().ravel(), np.zeros(8 * HOP)])
    audio, result = play_in_node(core, model, samples, noise=core.write("noise", noise), fitted=True)
    assert result["fit"]["octaves"] == expected.octaves
    for name in ("pitch", "voiced", "loudness"):
        asked = [hop["asked"][name] for hop in result["hops"]][:hops]
        np.testing.assert_allclose(asked, getattr(expected.asked, name)[: len(asked)], atol=2e-4)
    assert "too_loud" not in [finding.kind for finding in expected.findings]
    np.testing.assert_allclose(audio, expected.samples, atol=tolerance)
    return audio


def test_the_page_plays_what_tone_play_plays(core, instrument, model):
    """Eight seconds with rests, glides between notes an octave apart, soft and loud; also of an odd length."""
    audio = check_equal(core, instrument, model, reed(8, seed=5)[:-77])
    assert np.abs(audio).max() > 0.05


def test_a_real_recording_sounds_in_the_page_as_tone_play_plays_it(core, instrument, model):
    cello = read_recording(shared_folder("tonal") / "cello_phrase.flac").samples
    check_equal(core, instrument, model, cello)


def test_the_page_hears_what_python_hears(core, model):
    random = np.random.default_rng(0)
    sounds = [
        note(40, RATE // 3, 0.5, random),
        np.zeros(3000),
        random.normal(0, 0.05, 9000),
        note(90, 9000, 0.1, random),
    ]
    samples = np.concatenate(sounds).astype(np.float32)
    _, result = play_in_node(core, model, samples)
    heard = hear(np.concatenate([samples, np.zeros(-len(samples) % HOP + CENTRE, np.float32)]))
    assert 0.2 < float((heard.voiced > 0.9).float().mean()) < 0.9
    for name, tolerance in (("pitch", 1e-4), ("voiced", 1e-4), ("loudness", 1e-3)):
        np.testing.assert_allclose(
            [hop[name] for hop in result["heard"]], getattr(heard, name), atol=tolerance
        )


@pytest.mark.parametrize("pitch", [36, 64, 90])
def test_the_page_fits_as_python_does(core, model, pitch):
    samples = note(pitch, RATE, 0.5, np.random.default_rng(0)).astype(np.float32)
    _, result = play_in_node(core, model, samples)
    heard = hear(np.concatenate([samples, np.zeros(-len(samples) % HOP + CENTRE, np.float32)]))
    _, octaves = fit(heard, RANGES)
    assert result["fit"]["octaves"] == octaves


def test_noise_is_not_fitted(core, model):
    _, result = play_in_node(core, model, np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32))
    assert result["fit"] is None


@pytest.mark.parametrize("block", [1, 128, 1000])
def test_the_block_size_changes_nothing(core, model, block):
    samples = reed(1.0)
    whole, _ = play_in_node(core, model, samples)
    blocks, _ = play_in_node(core, model, samples, block=block)
    np.testing.assert_array_equal(blocks, whole)


def test_transpose_and_force_do_what_they_say(core, model):
    tone = note(62, RATE, 0.3, np.random.default_rng(0))
    samples = np.concatenate([np.zeros(10 * HOP), tone]).astype(np.float32)
    plain, _ = play_in_node(core, model, samples)
    higher, _ = play_in_node(core, model, samples, settings={"transpose": 5})
    assert float(hear(higher).pitch[60:150].median()) == pytest.approx(67, abs=0.05)
    softer, result = play_in_node(core, model, samples, settings={"gain": -10})
    drop = hear(plain).loudness[60:150].median() - hear(softer).loudness[60:150].median()
    assert float(drop) == pytest.approx(10, abs=3)
    assert result["hops"][0]["asked"]["loudness"] == FLOOR  # silence is not made louder or softer


def test_a_key_sounds_at_its_pitch_and_force_and_fades_when_it_is_let_go(core, model):
    silence = np.zeros(RATE, np.float32)
    keys = {
        "keys": [[0.1, "press", 60, 0.2], [0.3, "press", 67, 1.0], [0.5, "release", 67], [0.7, "release", 60]]
    }
    audio, result = play_in_node(core, model, silence, block=HOP, **keys)
    asked = {
        seconds: result["hops"][int(seconds * RATE / HOP)]["asked"]
        for seconds in (0.05, 0.25, 0.45, 0.65, 0.95)
    }
    soft, loud = RANGES.loudness
    assert asked[0.05]["loudness"] == asked[0.95]["loudness"] == FLOOR
    assert (asked[0.25]["pitch"], asked[0.45]["pitch"], asked[0.65]["pitch"]) == (60, 67, 60)
    assert asked[0.25]["loudness"] == pytest.approx(soft + 0.2 * (loud - soft))
    assert asked[0.45]["loudness"] == pytest.approx(loud)
    assert np.abs(audio[int(0.4 * RATE) : int(0.5 * RATE)]).max() > 0.02
    assert np.abs(audio[-1000:]).max() < 1e-5


@pytest.mark.parametrize("poison", [np.nan, np.inf, 3e38])
def test_broken_samples_count_as_silence(core, model, poison):
    clean = reed(1.0)
    clean[5000:5300] = 0
    broken = clean.copy()
    broken[5000:5300] = poison
    expected, _ = play_in_node(core, model, clean)
    played, result = play_in_node(core, model, broken)
    assert result["broken"] == 300
    np.testing.assert_array_equal(played, expected)


def test_panic_silences_at_once_and_it_plays_on_after_it(core, model):
    samples = reed(1.0)
    audio, _ = play_in_node(core, model, samples, block=HOP, keys=[[0.5, "panic"]])
    lag, hop = HOP + CENTRE, int(0.5 * RATE / HOP) * HOP
    assert np.abs(audio[hop - lag - 2000 : hop - lag]).max() > 1e-3
    assert not audio[hop - lag : hop - lag + HOP].any()
    assert np.abs(audio[hop - lag + 2000 :]).max() > 1e-3


def test_the_page_is_one_file_that_names_no_other_and_nobody(instrument):
    page = render_tone_page(instrument, {"recording": "</script>my reed.wav", "findings": ["private"]})
    assert "@@" not in page and "private" not in page
    assert set(re.findall(r"\b(?:https?|wss?|ftp)://[^\"'\s)]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|sendBeacon|importScripts|eval)\b", page)
    model = json.loads(re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.S)[1])
    assert model["name"] == "script>my reed"
    assert len(page) < 1_100_000


def test_both_commands_write_it(tmp_path, instrument, capsys):
    save_instrument(tmp_path / "tone.pt", instrument, {"recording": "reed.wav"})
    for command in (["tone", "export"], ["tone", "export", "--to", "page"], ["page"]):
        out = tmp_path / "play.html"
        assert cli.main([*command, str(tmp_path / "tone.pt"), "--out", str(out)]) == 0
        assert "<title>reed" in out.read_text(encoding="utf-8")
        out.unlink()
    (tmp_path / "no model").write_text("nothing")
    assert cli.main(["page", str(tmp_path / "no model"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not out.exists()
