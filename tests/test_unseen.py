"""Playing that was not trained on, beside loudness alone and the player's own scatter."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from takes import RATE, still_mapping, strokes, tiny_take, varied_strokes
from toy_synth import ToySynth, toy_preset

from timbrekit.cli import main
from timbrekit.errors import RecordingError, TimbrekitWarning
from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import PluginModel, write_model
from timbrekit.plugin.as_played import measure_as_played
from timbrekit.presets import load_preset
from timbrekit.recording import Recording, read_recording, write_wav
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.results.measure import measure_model
from timbrekit.results.unseen import measure_other, measure_unseen, other_take, scatter_of
from timbrekit.synth import SYNTHS
from timbrekit.training.split import split_hits
from timbrekit.training.take import make_take
from timbrekit.training.velocity import fit_velocity, velocity_mapping

SNARE = load_preset("snare-1")


def louder_and_softer(levels):
    """A take that differs in nothing but level."""
    return strokes(levels, [400] * len(levels), noise_share=0.3)


# --- differences from another take's reference hit ---------------------------------------------------------


def test_a_take_against_itself_is_the_take():
    take = tiny_take()
    same = make_take(take.hits, against=take)
    assert torch.equal(same.intended, take.intended) and torch.equal(same.lengths, take.lengths)
    assert same.reference is None and same.gain == take.gain


def test_a_take_against_another_is_heard_with_that_ones_ranges():
    take = tiny_take()
    softer = replace(take.hits, surroundings=take.hits.surroundings * np.float32(10 ** (-6 / 20)))
    heard = make_take(softer, against=take)
    span = take.maximum[0] - take.minimum[0]
    assert torch.equal(heard.ranges, take.ranges)
    assert torch.allclose(heard.inputs[:, 0], take.inputs[:, 0] - 6 / span, atol=1e-3)


def test_a_second_take_played_softer_differs_by_that_much_from_the_first_ones_reference():
    take = tiny_take()
    softer = replace(take.hits, segments=take.hits.segments * np.float32(10 ** (-6 / 20)))
    differences = make_take(softer, against=take).intended - take.intended
    assert differences[:, 0].numpy() == pytest.approx(-6, abs=0.2)  # LKFS of the attack
    assert differences[:, 2].numpy() == pytest.approx(0, abs=0.2)  # its brightness stays


# --- loudness alone ----------------------------------------------------------------------------------------


def test_loudness_alone_raises_the_levels_of_the_sources_and_nothing_else():
    take = tiny_take()
    mapping = velocity_mapping(take, SNARE, 0.5)
    modulation = mapping(take.inputs)
    raised = [index for index, p in enumerate(SNARE.parameters) if p.key.endswith("_gain.gain")]
    others = [index for index in range(14) if index not in raised]
    assert not modulation[:, others].any()
    assert modulation[take.reference].abs().max() < 1e-6
    decibels = modulation[:, raised] * 66  # the range of each level
    heard = take.onset[:, 0] - take.onset[take.reference, 0]
    assert torch.allclose(decibels, 0.5 * heard[:, None].expand(-1, 3), atol=1e-4)


def test_where_only_the_level_changes_loudness_alone_follows_it():
    levels = [-6, -12, -18, -24, -30, -9, -15, -21, -27, -12, -18, -24]
    samples = louder_and_softer(levels)
    take = make_take(find_hits(samples, RATE))
    mapping = PluginModel(fit_velocity(take, SNARE, np.arange(len(take)))).eval()
    ranges = torch.stack([take.minimum, take.maximum]).numpy()
    played = measure_as_played(mapping, samples, take, initial_ranges=ranges)
    assert played.ratio_per_feature[0] < 0.2  # loudness of the attack
    assert played.rank_correlation[0] > 0.95


def test_a_synthesiser_of_its_own_has_levels_of_its_own(monkeypatch):
    monkeypatch.setitem(SYNTHS, "toy", ToySynth)
    preset = toy_preset()
    modulation = velocity_mapping(tiny_take(), preset, 1.0)(tiny_take().inputs)
    moved = {p.key for p, column in zip(preset.parameters, modulation.T, strict=True) if column.any()}
    assert moved == {f"partial{number}.level" for number in range(1, 7)} | {"noise.level"}


# --- what was played of unseen hits ------------------------------------------------------------------------


def rehearsed(take, samples):
    module = PluginModel(still_mapping()).eval()
    return measure_as_played(module, samples, take)


def test_only_the_hits_asked_for_are_compared():
    take = tiny_take()
    played = rehearsed(take, varied_strokes(12))
    split = split_hits(take)
    unseen = measure_unseen(played, played, take, "end of take", take, split.test)
    assert len(unseen.played) == len(split.test)
    assert np.array_equal(unseen.intended, take.intended[torch.from_numpy(split.test)].numpy())


def test_a_model_that_never_moves_misses_everything_on_another_take_too():
    take, other = tiny_take(), varied_strokes(9, seed=4)
    still = PluginModel(still_mapping()).eval()
    ranges = torch.stack([take.minimum, take.maximum]).numpy()
    unseen = measure_other(
        still, still, other_take(recording(other, "other.wav"), take), take, ranges, SNARE.instrument()
    )
    assert unseen.error_ratio == pytest.approx(1, abs=1e-3) and unseen.source == "second take"
    assert json.loads(json.dumps(unseen.summary()))["hits"] == 9


def test_another_take_without_a_hit_is_refused_in_words():
    with pytest.raises(RecordingError, match=r"No hit was found in quiet\.wav .* same gain"):
        other_take(recording(np.zeros(RATE, np.float32), "quiet.wav"), tiny_take())


def recording(samples, name):
    return Recording(samples, RATE, RATE, 1, Path(name), ())


# --- the player's own scatter ------------------------------------------------------------------------------


def test_eight_hits_meant_alike_at_the_beginning_are_found_and_varied_ones_are_not():
    generator = np.random.default_rng(0)

    def drawn(spread, count):  # dB, octaves, and the same for noise and decay
        level, tone, noise, decay = generator.uniform(-spread, spread, (4, count))
        return [-18 + 12 * level, 600 * 2**tone, 0.3 * 10**noise, 0.03 * 2**decay]

    meant_alike, varied = drawn(0.07, 8), drawn(1, 16)

    def take(*parts):
        level, tone, noise, decay = (np.concatenate(each) for each in zip(*parts, strict=True))
        return make_take(find_hits(strokes(level, tone, RATE, 0, noise, decay), RATE))

    assert 0 < scatter_of(take(meant_alike, varied)) < 0.4
    assert scatter_of(take(varied, meant_alike)) is None
    assert scatter_of(tiny_take(12)) is None  # too few to tell


# --- a model file ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of the tiny take with its recording, and another one."""
    folder, take = tmp_path_factory.mktemp("measure"), tiny_take()
    about = build_metadata(still_mapping(), SNARE, RATE, DetectorSettings(), take.minimum, take.maximum)
    write_model(still_mapping(), about, folder / "model.pt")
    write_wav(folder / "trained.wav", varied_strokes(12), RATE)
    write_wav(folder / "other.wav", varied_strokes(10, seed=7), RATE)
    return folder


def test_a_model_file_is_measured_on_a_recording_it_was_not_trained_on(files):
    unseen = measure_model(files / "model.pt", files / "other.wav", files / "trained.wav")
    assert len(unseen.played) == 10 and unseen.error_ratio == pytest.approx(1, abs=1e-3)
    assert unseen.velocity.error_ratio < 1


def test_the_command_line_gives_the_figures_as_json(files, capsys):
    command = [
        "measure",
        str(files / "model.pt"),
        str(files / "other.wav"),
        "--trained-on",
        str(files / "trained.wav"),
    ]
    assert main(command) == 0
    assert "does not follow your playing" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hits"] == 10 and tuple(told["rank_correlation"]) == tuple(told["error_ratio_per_feature"])
    assert 0 < told["velocity_only"]["error_ratio"] < 1
    assert -1 <= told["image_correlation"] <= 1 and 0 < told["image_chance"] < 1


def test_training_with_a_second_take_holds_nothing_back_for_a_test(files, tmp_path, capsys):
    command = [
        "train",
        str(files / "trained.wav"),
        "--out",
        str(tmp_path),
        "--test",
        str(files / "other.wav"),
    ]
    assert main([*command, "--recipe", "published", "--model", "linear", "--epochs", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["unseen"]["source"] == "second take" and told["unseen"]["hits"] == 10
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["error_measured_on"] == "train" and report["verdict"] == told["verdict"]


def test_a_recording_that_it_was_not_trained_on_in_place_of_that_one_is_noticed(files):
    with pytest.warns(TimbrekitWarning, match="other\\.wav does not sound like the recording"):
        measure_model(files / "model.pt", files / "trained.wav", files / "other.wav")


def test_unseen_playing_of_a_real_pair_is_measured_as_the_baselines_have_it(shared_audio_dir):
    """Loudness alone on unseen brushes and body percussion: 1.00 and 0.90 in the baselines, snare-1."""
    for name, expected in (("20_brush", 1.00), ("body", 0.90)):
        folder = shared_audio_dir.parent / "pairs"
        trained_on = read_recording(folder / f"{name}_train.flac", RATE)
        take = make_take(find_hits(trained_on.samples, RATE, DetectorSettings(16, 8.5, 1000)))
        other = other_take(read_recording(folder / f"{name}_play.flac", RATE), take)
        module = PluginModel(fit_velocity(take, SNARE, np.arange(len(take)))).eval()
        ranges = torch.stack([take.minimum, take.maximum]).numpy()
        played = measure_as_played(module, other.samples, other.take, initial_ranges=ranges)
        assert played.error_ratio == pytest.approx(expected, abs=0.02)
