"""From a recording to a folder: what is prepared, what is kept, what the outcome holds."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from takes import RATE, varied_strokes

from timbrekit.errors import RecordingError
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.recording.prepare import prepare
from timbrekit.training.recipes import make_settings
from timbrekit.workflow import FILES, rehearse_file, train_model

QUICK = make_settings("published", "linear", epochs=1, device="cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("takes") / "take.wav"
    soundfile.write(path, varied_strokes(), RATE, subtype="PCM_24")
    return path


@pytest.fixture(scope="module")
def trained(recording, tmp_path_factory):
    """A folder in which there was a file, the outcome of training into it, and what was said on the way."""
    folder, stages, epochs = tmp_path_factory.mktemp("trained"), [], []
    (folder / "notes.txt").write_text("mine")
    preset = load_preset("snare-1")
    outcome = train_model(prepare(recording), preset, folder, QUICK, epochs.append, stages.append)
    return folder, outcome, stages, epochs


def test_settings_are_suggested_unless_they_are_given(recording):
    suggested = prepare(recording)
    assert suggested.hits.settings == suggested.suggestion.settings
    given = DetectorSettings(14.0, 3.0, 500)
    prepared = prepare(recording, detector=given)
    assert prepared.suggestion is None and prepared.hits.settings == given


def test_a_recording_that_was_already_read_is_taken_as_it_is(recording):
    read = read_recording(recording, 44_100)
    prepared = prepare(read)
    assert prepared.recording is read and prepared.hits.sample_rate == 44_100


def test_findings_of_the_recording_and_of_its_hits_come_together(recording):
    assert "few_hits" in {finding.kind for finding in prepare(recording).findings}


def test_a_recording_without_hits_says_what_to_do(tmp_path):
    soundfile.write(tmp_path / "hum.wav", np.sin(np.arange(2 * RATE) / 50) * 0.1, RATE)
    with pytest.raises(RecordingError, match=r"hum\.wav.*Trigger Threshold"):
        prepare(tmp_path / "hum.wav", detector=DetectorSettings(32.0))


def test_the_outcome_is_what_lies_in_the_folder(trained):
    folder, outcome, stages, epochs = trained
    assert {path.name for path in folder.iterdir()} == {*FILES, "notes.txt"}
    assert json.loads((folder / "report.json").read_text()) == outcome.report
    assert outcome.model == folder / "model.pt" and len(epochs) == 1
    assert stages == ["Training", "Measuring", "Rehearsing", "Measuring on playing that it has not heard"]
    assert set(outcome.played) == {"cold", "second_pass", "after_primer", "other_rate"}
    heard, _ = soundfile.read(folder / "rehearsal.wav", dtype="float32")
    assert np.abs(heard - outcome.played["after_primer"].rehearsal.audio).max() < 1e-6


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_where_the_gpu_fails_training_starts_again_on_the_cpu_and_says_so(recording, trained, tmp_path):
    stages = []
    settings = replace(QUICK, device="cuda")
    outcome = train_model(prepare(recording), load_preset("snare-1"), tmp_path, settings, stage=stages.append)
    assert stages[0] == "Training" and stages[2:4] == ["Measuring", "Rehearsing"]
    assert re.fullmatch(r"Training on the GPU failed \(.+\)\. The CPU .+ It starts again there", stages[1])
    assert outcome.trained.settings.device == "cpu"
    assert outcome.report["error_ratio"] == trained[1].report["error_ratio"]


def test_training_again_replaces_what_was_there(recording, trained, tmp_path):
    for name in FILES:
        shutil.copy(trained[0] / name, tmp_path)
    train_model(prepare(recording), load_preset("kick"), tmp_path, QUICK)
    for name in FILES:
        changed = (tmp_path / name).read_bytes() != (trained[0] / name).read_bytes()
        assert changed or name == "primer.wav", name  # that one tells of the recording alone
    assert json.loads((tmp_path / "report.json").read_text())["preset"] == "kick"
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_rehearsing_runs_at_the_files_own_rate(trained, tmp_path):
    soundfile.write(tmp_path / "other.wav", varied_strokes(5, 44_100), 44_100)
    result = rehearse_file(trained[1].model, tmp_path / "other.wav", tmp_path / "out" / "sound.wav")
    assert result["sample_rate"] == 44_100 and result["triggers"] == 5
    assert soundfile.info(tmp_path / "out" / "sound.wav").samplerate == 44_100


def test_rehearsing_takes_the_models_own_detector_settings_unless_told(trained, tmp_path):
    soundfile.write(tmp_path / "take.wav", varied_strokes(5), 48_000)
    own = rehearse_file(trained[1].model, tmp_path / "take.wav", tmp_path / "own.wav")
    assert own["detector"] == trained[1].report["detector"] and own["detector_from"] == "model"
    settings = DetectorSettings(32.0, 4.66, 5000)
    given = rehearse_file(trained[1].model, tmp_path / "take.wav", tmp_path / "given.wav", settings=settings)
    assert given["detector"]["hold"] == 5000 and given["detector_from"] == "given"
