"""A recording's hits as a MIDI file, read back with mido and held against rehearsal and the plug-in's detector."""

import json
import re
import subprocess
import sys
from fractions import Fraction

import mido
import numpy as np
import pytest
import torch
from drum_support import drum_preset
from looks_support import looks_mapping, looks_metadata
from model_files import metadata_of, trained_mapping

from timbrekit import cli
from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.check import open_model
from timbrekit.export.looks_model import write_looks_model
from timbrekit.export.midi import hits_of, midi_file, write_midi
from timbrekit.export.model_file import ModelFile
from timbrekit.export.torchdrum import write_model
from timbrekit.features import onset_features
from timbrekit.plugin.rehearse import rehearse
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording, write_wav
from timbrekit.recording.hits import onset_windows
from timbrekit.recording.onsets import TRIGGER_DELAY, DetectorSettings, detect
from timbrekit.synth.parameters import PARAMETERS

SETTINGS = DetectorSettings(on_threshold=14.0, off_threshold=5.0, hold=1500)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    mapping = trained_mapping()
    metadata = metadata_of(mapping)
    metadata |= {
        "name": "Küchensnare",
        "detector": {"on_threshold": 14.0, "off_threshold": 5.0, "hold": 1500},
    }
    return write_model(mapping, metadata, tmp_path_factory.mktemp("model") / "model.pt").path


@pytest.fixture(scope="module", params=[44_100, 48_000])
def take(request, sample_recording):
    """Eight seconds of drumming, and their rate."""
    return read_recording(sample_recording, request.param).samples[: 8 * request.param], request.param


def written(model, samples, rate, out):
    opened = open_model(model)
    write_midi(opened, hits_of(opened, samples, rate, SETTINGS), out)
    return mido.MidiFile(out, charset="utf-8")


def with_ticks(track):
    now = 0
    for message in track:
        now += message.time
        yield now, message


@pytest.fixture(scope="module")
def file(model, take, tmp_path_factory):
    return written(model, *take, tmp_path_factory.mktemp("midi") / "hits.mid")


def test_each_hit_is_a_note_where_it_was_detected_to_a_tick(file, take):
    samples, rate = take
    found = detect(samples, rate, SETTINGS)
    kept = np.setdiff1d(found.positions, found.dropped)
    assert len(kept) > 20 and file.ticks_per_beat == 960
    notes = [(tick, message) for tick, message in with_ticks(file.tracks[1]) if message.type == "note_on"]
    exact = [Fraction(int(position), rate) * 1920 for position in kept]
    assert [tick for tick, _ in notes] == [int(tick + Fraction(1, 2)) for tick in exact]
    now, seconds = 0.0, []  # by mido's own clock
    for message in file:
        now += message.time
        if message.type == "note_on":
            seconds.append(now)
    np.testing.assert_allclose(seconds, kept / rate, atol=0.5 / 1920 + 1e-9)
    assert {(message.channel, message.note) for _, message in notes} == {(9, 38)}


def test_velocity_is_where_the_loudness_lies_in_the_trainings_range(file, model, take):
    samples, rate = take
    loudness = rehearse(open_model(model).module, samples, rate, SETTINGS).raw_features[:, 0]
    velocities = [message.velocity for message in file.tracks[1] if message.type == "note_on"]
    expected = 1 + 126 * np.clip((loudness + 40) / 34, 0, 1)  # of metadata_of: -40 to -6 dB
    np.testing.assert_allclose(velocities, expected, atol=0.51)
    assert max(velocities) - min(velocities) > 30


def test_controllers_are_the_features_and_the_modulations_and_come_before_their_note(file, model, take):
    samples, rate = take
    ranges = np.array([[-40.0, 60.0, -50.0], [-6.0, 110.0, -3.0]])
    promised = rehearse(open_model(model).module, samples, rate, SETTINGS, initial_ranges=ranges)
    expected = np.hstack(
        [
            127 * np.clip((promised.raw_features - ranges[0]) / (ranges[1] - ranges[0]), 0, 1),
            64 + 63 * promised.modulation,
        ]
    )
    rows, row, numbers = [], {}, [20, 21, 22, *range(102, 116)]
    for message in file.tracks[1]:
        if message.type == "control_change":
            row[message.control] = message.value
        elif message.type == "note_on":
            assert list(row) == numbers
            rows.append(list(row.values()))
            row = {}
    np.testing.assert_allclose(rows, expected, atol=0.51)
    assert np.ptp(np.array(rows)[:, 3:], axis=0).max() > 10


def test_every_note_ends_and_before_the_next_one_begins(file):
    on = 0
    for _, message in with_ticks(file.tracks[1]):
        if message.type in ("note_on", "note_off"):
            on += 1 if message.type == "note_on" else -1
            assert on in (0, 1)
    assert on == 0


def test_the_file_says_what_everything_in_it_means(file):
    assert file.type == 1
    assert [track.name for track in file.tracks] == ["timbrekit", "Küchensnare"]
    texts = [message.text for message in file.tracks[0] if message.type == "text"]
    assert any(text.startswith("Note 38 on channel 10: a hit") for text in texts)
    assert any(text.startswith("Velocity: loudness") for text in texts)
    named = {int(re.match(r"CC (\d+)", text)[1]): text for text in texts if text.startswith("CC ")}
    used = {message.control for message in file.tracks[1] if message.type == "control_change"}
    assert set(named) == used
    for number, parameter in zip(range(102, 116), PARAMETERS, strict=True):
        assert parameter.title in named[number]


def test_no_hits_are_no_notes(model, tmp_path):
    file = written(model, np.zeros(48_000, np.float32), 48_000, tmp_path / "silence.mid")
    assert not [message for message in file.tracks[1] if not message.is_meta]


def test_another_ending_is_refused_and_a_failure_leaves_nothing(model, tmp_path):
    opened = open_model(model)
    rehearsal = hits_of(opened, np.zeros(4_800, np.float32), 48_000)
    with pytest.raises(OutputError, match=r"ends in \.mid"):
        write_midi(opened, rehearsal, tmp_path / "hits.wav")
    for change, words in (
        ({"onset_features": {}}, "does not say the ranges"),
        ({"parameters": [{"title": f"P{i}", "unit": "Hz"} for i in range(19)]}, "19 parameters"),
    ):
        changed = ModelFile(opened.path, opened.module, {**opened.metadata, **change})
        with pytest.raises(ModelFileError, match=words):
            write_midi(changed, rehearsal, tmp_path / "hits.mid")
    assert list(tmp_path.iterdir()) == []
    undescribed = ModelFile(opened.path, opened.module, opened.metadata, undescribed="It says nothing.")
    with pytest.raises(ModelFileError, match="It says nothing"):
        hits_of(undescribed, np.zeros(4_800, np.float32), 48_000)


def test_a_feature_that_never_changed_in_training_is_half_way(model, take, tmp_path):
    opened = open_model(model)
    flat = {**opened.metadata["onset_features"], "minimum": [-40, 80, -50], "maximum": [-6, 80, -3]}
    changed = ModelFile(opened.path, opened.module, {**opened.metadata, "onset_features": flat})
    file = midi_file(changed, hits_of(changed, *take, SETTINGS))
    brightness = {m.value for m in file.tracks[1] if m.type == "control_change" and m.control == 21}
    assert brightness == {64}


def test_the_command_writes_it_with_the_models_own_settings(model, sample_recording, tmp_path, capsys):
    samples = read_recording(sample_recording, 48_000).samples[: 4 * 48_000]
    write_wav(tmp_path / "take.wav", samples, 48_000)
    out = tmp_path / "hits.mid"
    command = ["export", str(model), "--to", "midi", "--out", str(out)]
    assert cli.main([*command, "--recording", str(tmp_path / "take.wav"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    found = detect(read_recording(tmp_path / "take.wav").samples, 48_000, SETTINGS)
    assert result["hits"] == len(found.triggers) > 5
    assert (result["output"], result["sample_rate"], result["seconds"]) == (str(out), 48_000, 4.0)
    assert result["detector"] == {"on_threshold": 14.0, "off_threshold": 5.0, "hold": 1500}
    notes = [message for message in mido.MidiFile(out).tracks[1] if message.type == "note_on"]
    assert len(notes) == result["hits"]
    assert cli.main(command) == 2
    assert "add --recording FILE" in capsys.readouterr().err
    swelling = np.linspace(0, 0.2, 96_000) * np.sin(np.arange(96_000) * 2 * np.pi * 110 / 48_000)
    write_wav(tmp_path / "hum.wav", swelling.astype(np.float32), 48_000)
    before = out.read_bytes()
    assert cli.main([*command, "--recording", str(tmp_path / "hum.wav")]) == 2
    assert "No hit was found in hum.wav" in capsys.readouterr().err and out.read_bytes() == before
    assert cli.main([*command[:3], "flucoma", "--recording", "x.wav", "--out", "x"]) == 2
    assert "goes with --to midi" in capsys.readouterr().err
    over = ["--recording", str(out), "--out", str(out)]
    assert cli.main([*command[:4], *over]) == 2
    assert "overwritten" in capsys.readouterr().err


def test_mido_is_imported_only_for_midi():
    code = "import sys, timbrekit.export.midi, timbrekit.cli; assert 'mido' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("preset", [load_preset("snare-1"), drum_preset()], ids=["808", "a drum"])
def test_a_model_with_the_mel_listener_has_its_last_modulations_and_the_plug_in_s_features(
    tmp_path, preset, take
):
    samples, rate = take
    mapping = looks_mapping(preset)
    model = write_looks_model(mapping, looks_metadata(mapping, preset), tmp_path / "model.pt")
    played = rehearse_looks(model.module, samples, rate, SETTINGS, synth=preset.instrument())
    heard = detect(samples, rate, SETTINGS)
    low, high = (model.metadata["onset_features"][name] for name in ("minimum", "maximum"))
    loudness = onset_features(torch.from_numpy(onset_windows(samples, heard.triggers)), rate)[:, 0].numpy()
    expected = 1 + np.floor(126 * np.clip((loudness - low[0]) / (high[0] - low[0]), 0, 1) + 0.5)
    write_midi(model, hits_of(model, samples, rate, SETTINGS), tmp_path / "hits.mid")
    events = list(with_ticks(mido.MidiFile(tmp_path / "hits.mid", charset="utf-8").tracks[1]))
    notes = [(tick, message.velocity) for tick, message in events if message.type == "note_on"]
    moved = [m.value for _, m in events if m.type == "control_change" and m.control == 102]
    assert [tick for tick, _ in notes] == [
        round(1920 * int(at) / rate) for at in heard.triggers - TRIGGER_DELAY
    ]
    assert [velocity for _, velocity in notes] == expected.tolist()
    assert moved == np.clip(np.floor(64 + 63 * played.modulation[:, 0] + 0.5), 0, 127).tolist()
