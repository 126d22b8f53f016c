"""Training, measuring, findings, the report and the commands of timbrekit.tone, on a reed that the tests synthesise."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from shared_material import shared_folder
from tone_support import SCALE, note, reed

import timbrekit.tone.train as training
from timbrekit import cli
from timbrekit.errors import TrainingError
from timbrekit.recording import Recording, read_recording, write_wav
from timbrekit.tone.findings import tone_findings
from timbrekit.tone.instrument import Instrument, load_instrument
from timbrekit.tone.measure import Measured, compare, measure_held_out, octave_errors
from timbrekit.tone.pitch import CENTRE, HOP, RATE, Heard, hear
from timbrekit.tone.report import picture, verdict
from timbrekit.tone.train import Settings, Trained, divide, draw_starts, prepare, train

SECONDS = 40.0
SMALL = Settings(steps=4, batch=2, hops=40, warm_up=8, validate_every=2)


@pytest.fixture(scope="module")
def data():
    return prepare(reed(SECONDS))


@pytest.fixture(scope="module")
def trained(data):
    """As long as it takes to be better than at the start by far; loudness weighs more than in a longer run."""
    return train(
        data, Settings(steps=110, batch=2, hops=60, warm_up=20, validate_every=55, loudness_weight=0.5)
    )


def test_a_step_and_a_performance_stay_on_the_device_they_were_given(data, monkeypatch):
    """Torch's device "meta" has shapes and no arithmetic, and refuses to mix with the CPU as a GPU does."""
    leaps = torch.zeros(3, 2, dtype=torch.long, device="meta")
    monkeypatch.setattr(
        torch, "nonzero", lambda values: leaps
    )  # how many there are, only arithmetic could tell
    instrument, there = Instrument(data.ranges).to("meta"), data.to("meta")
    starts, white = torch.zeros(2, dtype=torch.long), torch.zeros(2, 48, 514)
    loss, beside = training.crop_losses(instrument, there, SMALL, starts, white, (4096, 128))
    (loss + beside).backward()
    assert {weights.grad.device.type for weights in instrument.parameters()} == {"meta"}
    assert instrument.play(there.heard.part(0, 20)).shape == (20 * HOP,)


def recording(samples: np.ndarray, tmp_path) -> Recording:
    write_wav(tmp_path / "take.wav", samples, RATE)
    return read_recording(tmp_path / "take.wav")


def kinds(samples: np.ndarray, tmp_path) -> set[str]:
    take = recording(samples, tmp_path)
    return {finding.kind for finding in tone_findings(take, hear(take.samples))}


def test_the_parts_of_a_recording_are_contiguous_and_cover_it_once(data):
    parts = data.parts
    stretches = sorted(stretch for stretches in parts.values() for stretch in stretches)
    assert stretches[0][0] == 0 and stretches[-1][1] == len(data.heard)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(stretches))
    assert len(parts["test"]) == len(parts["validation"]) == 1
    share = (parts["test"][0][1] - parts["test"][0][0]) / len(data.heard)
    assert 0.05 < share < 0.16


def test_borders_lie_where_it_is_soft():
    loudness = torch.full((3000,), -20.0)
    loudness[[700, 960, 1900, 2300]] = -60
    heard = Heard(torch.full((3000,), 60.0), torch.ones(3000), loudness)
    assert divide(heard)["validation"] == [(700, 960)]
    assert divide(heard)["test"] == [(1900, 2300)]


def test_the_sound_to_learn_is_the_one_that_was_heard(data):
    """The middle of a hop's window, 1024 samples before its end, stands at that end in what training compares with."""
    samples = reed(SECONDS)
    assert np.array_equal(data.samples[CENTRE:].numpy(), samples[: len(data.samples) - CENTRE])
    assert data.ranges.pitch == pytest.approx((min(SCALE), max(SCALE)), abs=0.1)


def test_crops_lie_within_their_stretches_and_reach_all_of_them():
    draw = torch.Generator().manual_seed(0)
    starts = draw_starts([(0, 100), (200, 230)], 20, 2000, draw).tolist()
    assert all(0 <= start <= 80 or 200 <= start <= 210 for start in starts)
    assert {0, 80, 200, 210} <= set(starts)
    with pytest.raises(TrainingError, match="too short"):
        draw_starts([(0, 10)], 20, 1, draw)


def test_training_gets_better_and_follows(trained, data):
    torch.manual_seed(0)
    untrained = training.part_loss(Instrument(data.ranges), data, "validation")
    assert trained.history[-1].validation_loss < 0.75 * untrained
    measured = measure_held_out(trained.instrument, data)
    assert measured.pitch_cents_median < 5
    assert measured.octave_error_share < 0.02
    assert measured.loudness_rank > 0.9


def test_what_training_keeps_is_what_validated_best(trained, data):
    best = min(entry.validation_loss for entry in trained.history)
    assert training.part_loss(trained.instrument, data, "validation") == pytest.approx(best, abs=1e-3)


def test_equal_runs_give_equal_weights(data):
    one, two = (train(data, SMALL).instrument.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_training_that_was_cut_off_goes_on_to_the_same_end(data, tmp_path):
    class CutOff(Exception):
        pass

    def cut(progress):
        raise CutOff

    whole = train(data, SMALL)
    with pytest.raises(CutOff):
        train(data, SMALL, cut, tmp_path / "unfinished.pt")
    assert (tmp_path / "unfinished.pt").is_file()
    seen = []
    resumed = train(data, SMALL, seen.append, tmp_path / "unfinished.pt")
    assert [progress.number for progress in seen] == [4]
    assert len(resumed.history) == 2
    weights, expected = resumed.instrument.state_dict(), whole.instrument.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not (tmp_path / "unfinished.pt").exists()


def test_another_runs_state_and_a_damaged_one_are_not_taken_up(data, tmp_path):
    path = tmp_path / "unfinished.pt"
    for content in (b"damaged", None):
        if content:
            path.write_bytes(content)
        else:
            torch.save({"fingerprint": "another", "state": {}}, path)
        seen = []
        train(data, SMALL, seen.append, path)
        assert [progress.number for progress in seen] == [2, 4]


def test_ctrl_c_keeps_the_best_so_far(data):
    def interrupt(progress):
        raise KeyboardInterrupt

    stopped = train(data, SMALL, interrupt)
    assert stopped.interrupted and len(stopped.history) == 1


def test_a_recording_without_notes_is_refused():
    with pytest.raises(TrainingError, match="have a pitch"):
        prepare(np.random.default_rng(0).normal(0, 0.1, 25 * RATE).astype(np.float32))
    with pytest.raises(TrainingError, match=r"10\.0 s long"):
        prepare(reed(10))


def test_good_playing_has_no_findings_but_its_length(tmp_path):
    take = recording(reed(30), tmp_path)
    heard = hear(take.samples)
    assert {finding.kind for finding in tone_findings(take, heard)} == {"too_short"}
    long = dataclasses.replace(take, samples=np.tile(take.samples, 5))
    assert {finding.kind for finding in tone_findings(long, heard)} == set()


def test_findings_name_what_is_wrong(tmp_path):
    random = np.random.default_rng(0)
    playing = reed(10)
    assert "silence" in kinds(np.concatenate([playing, np.zeros(10 * RATE, np.float32)]), tmp_path)
    assert "unpitched" in kinds(random.normal(0, 0.1, 5 * RATE), tmp_path)
    assert "clipped" in kinds(np.clip(20 * playing, -1, 1), tmp_path)
    chord = sum(note(pitch, 5 * RATE, 0.5, random) for pitch in (60, 63.1, 67.2))
    assert "polyphony" in kinds(chord, tmp_path)
    long_note = note(60, 5 * RATE, 0.5, random)
    assert {"narrow_range", "even_loudness"} <= kinds(long_note, tmp_path)


def test_real_playing_of_one_note_at_a_time_is_not_called_polyphonic(tmp_path):
    folder = shared_folder("tonal")
    saxophone = read_recording(folder / "alto_sax.flac").samples[: 20 * RATE]
    cello = read_recording(folder / "cello_phrase.flac").samples[: 20 * RATE]
    assert "polyphony" not in kinds(saxophone, tmp_path)
    assert "polyphony" not in kinds(cello, tmp_path)
    assert "polyphony" in kinds(0.5 * (saxophone + cello), tmp_path)


def test_a_comparison_takes_what_sounds_a_lag_later():
    pitch = torch.arange(100.0) / 10 + 50
    asked = Heard(pitch, torch.ones(100), -pitch)
    later = torch.cat([torch.zeros(CENTRE // HOP), pitch[: -CENTRE // HOP]])
    heard = Heard(later + 0.1, torch.ones(100), -later)
    distance, (told, got) = compare(asked, heard)
    assert distance == pytest.approx(0.1, abs=1e-4)
    assert np.array_equal(told, got)


def test_octave_errors_are_told_from_wrong_notes():
    distance = np.array([0.0, 0.9, 7.0, 11.5, -12.4, 24.0, 30.0])
    assert octave_errors(distance).tolist() == [False, False, False, True, True, True, False]


def test_the_verdict_says_what_falls_short():
    assert "never heard" in verdict(Measured(4, 1.0, 0.0, 0.99))
    words = verdict(Measured(4, 45.0, 0.1, 0.5))
    assert "45 cents" in words and "10.0%" in words and "0.50" in words
    assert "nan" in verdict(Measured(4, float("nan"), 0.0, 0.99))


def test_the_picture_is_a_png(trained, data):
    assert picture(trained, data)[:8] == b"\x89PNG\r\n\x1a\n"
    untrained = Trained(trained.instrument, [], True)
    assert picture(untrained, data)[:4] == b"\x89PNG"


def test_the_commands_train_play_and_export(tmp_path, capsys):
    write_wav(tmp_path / "reed.wav", reed(25), RATE)
    write_wav(tmp_path / "tune.wav", note(48, RATE, 0.5, np.random.default_rng(0)), RATE)
    out = tmp_path / "out folder"
    assert (
        cli.main(["tone", "train", str(tmp_path / "reed.wav"), "--out", str(out), "--steps", "2", "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    keys = {"model", "seconds", "spectral_loss", "pitch_cents_median", "octave_error_share", "loudness_rank"}
    assert keys <= set(told) and told["model"] == str(out / "tone.pt")
    assert {path.name for path in out.iterdir()} == {"tone.pt", "report.json", "report.png"}
    report = json.loads((out / "report.json").read_text())
    assert report["verdict"] == told["verdict"] and report["steps"] == 2
    _, about = load_instrument(out / "tone.pt")
    assert about["recording"] == "reed.wav"
    played = tmp_path / "played.wav"
    command = [
        "tone",
        "play",
        told["model"],
        str(tmp_path / "tune.wav"),
        str(played),
        "--transpose",
        "-1",
        "--json",
    ]
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out)["octaves"] == 1
    assert float(hear(read_recording(played).samples).pitch[60:150].median()) == pytest.approx(59, abs=0.1)
    assert cli.main(["tone", "export", told["model"], "--out", str(tmp_path / "tone.ts")]) == 0
    assert (tmp_path / "tone.ts").is_file()


def test_wrong_input_is_answered_in_one_line(tmp_path, capsys):
    write_wav(tmp_path / "a.wav", reed(1), RATE)
    assert (
        cli.main(
            ["tone", "play", str(tmp_path / "none.pt"), str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
        )
        == 2
    )
    assert "timbrekit tone train" in capsys.readouterr().err
    assert cli.main(["tone", "train", str(tmp_path / "a.wav"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit, match="2"):
        cli.main(["tone", "play", "a", "b", "c", "--transpose", "99"])
