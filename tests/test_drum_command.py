"""``timbrekit drum`` from files to files, and a model that plays the drum."""

import json

import numpy as np
import pytest
import soundfile
from drum_support import RATE, drum_preset, struck
from takes import varied_strokes

from timbrekit.cli import main
from timbrekit.drums import make_drum
from timbrekit.errors import RecordingError
from timbrekit.export.check import check_model, open_model
from timbrekit.presets import load_preset
from timbrekit.recording import write_wav
from timbrekit.recording.prepare import prepare
from timbrekit.training.settings import Settings
from timbrekit.workflow import rehearse_file, train_model

PARTS = ("modes", "noise", "onset", "sum")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which the command made a drum of two hits, and its JSON."""
    folder = tmp_path_factory.mktemp("drum")
    for name, strength in (("soft", 0.3), ("hard", 1.0)):
        write_wav(folder / f"{name}.wav", np.concatenate([np.zeros(500), 0.7 * struck(strength)]), RATE)
    return folder


def _run(folder, capsys):
    hits = [str(folder / name) for name in ("soft.wav", "hard.wav")]
    status = main(
        ["drum", *hits, "--out", str(folder / "my.json"), "--stems", str(folder / "stems"), "--json"]
    )
    return status, json.loads(capsys.readouterr().out)


def test_the_command_writes_a_preset_and_stems_and_says_how_near_they_are(made, capsys):
    status, said = _run(made, capsys)
    assert status == 0 and said["class"] == "tom" and said["hits"] == 2 and 4 <= said["modes"] <= 40
    for name in ("mss", "lsd", "onset_error"):
        assert 0 < said[name] < 2 and said[f"{name}_floor"] > 0
    assert said["seconds"] > 0 and load_preset(made / "my.json").synth == "drum"

    sounds = {name: soundfile.read(made / "stems" / f"{name}.wav") for name in PARTS}
    assert {rate for _, rate in sounds.values()} == {RATE}
    modes, noise, onset, total = (sounds[name][0] for name in PARTS)
    # The noise in its own file has the first 20 ms too, which in the sum are the onset's.
    np.testing.assert_allclose((modes + noise + onset)[2000:], total[2000:], atol=1e-3)
    assert not onset[2000:].any()
    recorded, _ = soundfile.read(made / "soft.wav")
    np.testing.assert_allclose(total[:900], recorded[:900], atol=2e-3)


def test_too_many_hits_or_a_bad_one_is_said(tmp_path, capsys):
    write_wav(tmp_path / "loop.wav", np.concatenate([struck(), struck()]), RATE)
    assert main(["drum", str(tmp_path / "loop.wav"), "--out", str(tmp_path / "my.json")]) == 2
    assert "2 strokes or more" in capsys.readouterr().err and not (tmp_path / "my.json").exists()
    with pytest.raises(RecordingError, match="9 hits were given; a drum is made of one to 8"):
        make_drum([tmp_path / "loop.wav"] * 9)


def test_a_hit_is_not_overwritten(tmp_path, capsys):
    write_wav(tmp_path / "hit.wav", struck(), RATE)
    assert main(["drum", str(tmp_path / "hit.wav"), "--out", str(tmp_path / "hit.wav")]) == 2
    assert "would be overwritten" in capsys.readouterr().err


@pytest.mark.usefixtures("forked_guard", "few_imagined_hits")
def test_a_drum_trains_and_rehearses_from_its_model_file_alone(tmp_path, short_warm_start):
    write_wav(tmp_path / "take.wav", varied_strokes(20), RATE)
    outcome = train_model(
        prepare(tmp_path / "take.wav"), drum_preset(), tmp_path / "out", Settings(model="mlp", epochs=2)
    )
    assert outcome.report["as_played"]["hits"] == 20
    card = (tmp_path / "out" / "card.txt").read_text()
    assert "timbrekit page model.pt" in card and "--to nn-tilde" in card
    checked = check_model(outcome.model)
    assert not checked.ready and "TorchDrum holds snare808 alone" in checked.problems[0]
    assert checked.hosts == ("the page", "nn~")
    model = open_model(outcome.model)
    assert model.synth == "drum" and model.metadata["drum"] == drum_preset().drum
    rehearse_file(outcome.model, tmp_path / "take.wav", tmp_path / "played.wav")
    played, _ = soundfile.read(tmp_path / "played.wav")
    np.testing.assert_allclose(played, outcome.played["cold"].rehearsal.audio, atol=1e-5)
