"""What every synthesiser keeps, and that a second one goes all the way."""

import json
import re

import numpy as np
import pytest
import torch
from drum_support import drum_preset
from takes import RATE, varied_strokes
from toy_synth import ToySynth, toy_preset

import timbrekit.synth
from timbrekit.errors import ModelFileError, PresetError
from timbrekit.export.check import check_model, open_model
from timbrekit.export.live_page import build_page
from timbrekit.export.model_file import HOSTS
from timbrekit.export.nn_tilde.write import VOICES as nn_voices
from timbrekit.export.nn_tilde.write import write_nn_tilde
from timbrekit.export.page_file import FURNITURE
from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.presets import load_preset, save_preset
from timbrekit.recording import write_wav
from timbrekit.recording.prepare import prepare
from timbrekit.synth import find_synth
from timbrekit.synth.snare808 import Snare808
from timbrekit.training.settings import Settings
from timbrekit.workflow import rehearse_file, train_model

# Exact gradients where the plug-in's rounding can be turned off.
SYNTHS = {"snare808": (Snare808(plugin_rounding=False), load_preset("snare-1"))}
CLOSE = np.array(
    [0.3, 0.3, 0.03, 0.03, 0.8, 0.8, 1.0]
)  # dB, brightness, dB, scaled ms: over some dozen noises


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(timbrekit.synth.SYNTHS, "toy", ToySynth)


@pytest.fixture(params=["snare808", "toy", "drum"])
def case(request, toy):
    """A synthesiser, its preset, and three rows around that ``(3, parameters)``."""
    if request.param in SYNTHS:
        synth, preset = SYNTHS[request.param]
    else:
        preset = toy_preset() if request.param == "toy" else drum_preset()
        synth = preset.instrument()
    normalized = torch.from_numpy(preset.normalized()).double()
    around = (
        torch.rand(3, len(normalized), generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    )
    return synth, preset, (normalized + 0.1 * around).clamp(0.05, 0.95)


def test_keys_are_unique_and_values_go_there_and_back(case):
    synth, preset, _ = case
    assert find_synth(synth.name, preset.drum).parameters == synth.parameters
    assert len({p.key for p in synth.parameters}) == len(synth.parameters)
    for parameter in synth.parameters:
        assert parameter.minimum < parameter.maximum and parameter.title and 0 <= parameter.damping <= 1
        assert parameter.to_normalized(parameter.to_physical(0.37)) == pytest.approx(0.37)
    back = [
        p.to_physical(v) for p, v in zip(synth.parameters, preset.normalized().astype(float), strict=True)
    ]
    np.testing.assert_allclose(back, preset.physical(), rtol=1e-4, atol=1e-3)


def test_a_batch_sounds_as_its_rows_alone(case):
    synth, _, rows = case
    draws = synth.draw(3, 4096, torch.Generator().manual_seed(2))
    together = synth.render(RATE, 4096, rows, draws)
    assert together.shape == (3, 4096)
    for number in range(3):
        own = tuple(each if len(each) == 1 else each[number : number + 1] for each in draws)
        torch.testing.assert_close(
            synth.render(RATE, 4096, rows[number : number + 1], own)[0], together[number]
        )


def test_the_same_generator_draws_the_same_and_none_always_does(case):
    synth, _, _ = case
    for make in (lambda: torch.Generator().manual_seed(3), lambda: None):
        first, second = (synth.draw(3, 1000, make()) for _ in range(2))
        assert all(torch.equal(a, b) and len(a) in (1, 3) for a, b in zip(first, second, strict=True))


def test_gradients_agree_with_differences(case):
    synth, _, rows = case
    draws = tuple(each.double() for each in synth.draw(1, 480, torch.Generator().manual_seed(4)))
    weights = torch.rand(480, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    point = rows[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad((synth.render(8000, 480, point, draws) * weights).sum(), point)
    for index in range(point.shape[1]):
        step = torch.zeros_like(rows[:1])
        step[0, index] = 1e-6
        with torch.no_grad():
            up, down = (
                float((synth.render(8000, 480, rows[:1] + sign * step, draws) * weights).sum())
                for sign in (1, -1)
            )
        assert float(gradient[0, index]) == pytest.approx((up - down) / 2e-6, rel=1e-3, abs=1e-4), index


def test_what_training_hears_is_what_the_host_plays(case):
    synth, preset, _ = case
    features, count, length = TimbreFeatures(RATE), 16, 40_000
    generator, sounds = torch.Generator().manual_seed(6), []
    for _ in range(count):
        row = torch.from_numpy(preset.normalized())[None]
        sounds.append(synth.render(RATE, TIMBRE_SAMPLES, row, synth.draw(1, TIMBRE_SAMPLES, generator)))
    triggers = np.arange(1, count + 1) * length
    audio = synth.stream(preset.physical(), triggers, (count + 2) * length, RATE, seed=7)
    played = torch.from_numpy(np.stack([audio[t : t + TIMBRE_SAMPLES] for t in triggers]))
    difference = (features(torch.cat(sounds)).mean(0) - features(played).mean(0)).numpy()
    assert (np.abs(difference) < CLOSE).all(), difference


@pytest.mark.usefixtures("forked_guard", "few_imagined_hits")
def test_a_second_synthesiser_trains_rehearses_reports_and_is_refused_for_the_plug_in(
    tmp_path, short_warm_start
):
    preset = load_preset(save_preset(toy_preset(), tmp_path / "toy-drum.json"))
    assert preset == toy_preset() and json.loads((tmp_path / "toy-drum.json").read_text())["synth"] == "toy"
    write_wav(tmp_path / "take.wav", varied_strokes(20), RATE)
    outcome = train_model(
        prepare(tmp_path / "take.wav"), preset, tmp_path / "out", Settings(model="mlp", epochs=4)
    )
    assert outcome.report["preset"] == "toy-drum" and outcome.report["as_played"]["hits"] == 20
    assert outcome.report["as_played"]["second_pass"]["error_ratio"] < 1
    assert outcome.played["cold"].rehearsal.parameters.shape == (20, 20)
    assert (tmp_path / "out" / "report.png").stat().st_size > 10_000
    card = (tmp_path / "out" / "card.txt").read_text()
    assert "plays the synthesiser toy, and TorchDrum holds the 808 alone" in " ".join(card.split())

    model = open_model(outcome.model)
    assert model.synth == "toy"
    checked = check_model(outcome.model)
    assert not checked.ready and checked.problems == [
        "The model plays the synthesiser 'toy', and TorchDrum holds snare808 alone. Train with one of the 808's "
        "presets for it."
    ]
    assert checked.hosts == ()
    with pytest.raises(ModelFileError, match="plays the synthesiser 'toy'"):
        write_nn_tilde(model, tmp_path / "toy.ts")
    with pytest.raises(ModelFileError, match="plays the synthesiser 'toy'"):
        build_page(model.metadata, tmp_path / "toy.html")
    rehearse_file(outcome.model, tmp_path / "take.wav", tmp_path / "played.wav")
    assert (tmp_path / "played.wav").stat().st_size > 100_000


def test_a_host_has_a_voice_for_each_synthesiser_that_it_is_said_to_play():
    player = (FURNITURE / "drum" / "player.js").read_text(encoding="utf-8")
    voices = re.search(r"VOICES = \{(.*)\}", player)[1]
    assert {voice.split(":")[0].strip() for voice in voices.split(",")} == set(HOSTS["page"][1])
    assert set(HOSTS["nn-tilde"][1]) == set(nn_voices)


def test_a_preset_of_an_unknown_synthesiser_says_which_there_are(tmp_path):
    content = toy_preset().to_json() | {"synth": "theremin"}
    (tmp_path / "strange.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match=r"no synthesiser called 'theremin'.*snare808"):
        load_preset(tmp_path / "strange.json")
