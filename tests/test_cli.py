"""The command line as scripts and players meet it: keys, exit statuses, one line for what is wrong."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from model_files import metadata_of, trained_mapping
from takes import RATE, strokes, varied_strokes

from timbrekit.cli import main
from timbrekit.errors import TrainingError
from timbrekit.export.torchdrum import write_model
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.presets import load_preset, preset_names, save_preset
from timbrekit.training.settings import NO_FLOAT64

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

FILES = {"model.pt", "report.json", "report.png", "rehearsal.wav", "primer.wav", "card.txt"}
DETECTOR_KEYS = {"on_threshold", "off_threshold", "hold"}
ODD_NAME = 'mein Übungsraum/🥁 it\'s "take" 1'


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("takes") / "strokes.wav"
    soundfile.write(path, varied_strokes(), RATE, subtype="PCM_24")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.pt"
    mapping = trained_mapping()
    return write_model(mapping, metadata_of(mapping), path).path


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit status, stdout, stderr."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse
            status = ended.code
        return status, *capsys.readouterr()

    return run


def last_json(stdout: str) -> dict:
    return json.loads(stdout.strip().splitlines()[-1])


def assert_bad_input(result, *words):
    status, _, stderr = result
    assert status == 2
    assert len(stderr.strip().splitlines()) == 1, stderr
    assert stderr.startswith("timbrekit: ") and "Traceback" not in stderr
    for word in words:
        assert word in stderr, stderr


# --- train -------------------------------------------------------------------------------------------------


def test_train_leaves_everything_and_says_so_in_json(run, recording, tmp_path, short_warm_start):
    out = tmp_path / ODD_NAME
    status, stdout, _ = run("train", recording, "--preset", "snare-2", "--out", out, "--epochs", 1, "--json")
    assert status == 0 and {path.name for path in out.iterdir()} == FILES
    assert len(stdout.strip().splitlines()) == 1
    result = last_json(stdout)
    assert Path(result["model"]) == out / "model.pt"
    assert result["hits_kept"] == 12 and result["hits_dropped"] == 0 and result["seconds"] > 0
    assert set(result["error_ratio_per_feature"]) == set(TIMBRE_FEATURES)
    assert result["error_ratio"] == pytest.approx(np.mean(list(result["error_ratio_per_feature"].values())))
    assert set(result["detector"]) == DETECTOR_KEYS
    played = result["as_played"]
    assert played["error_ratio"] > 0 and played["first_8_error_ratio"] > 0
    assert set(played["rank_correlation"]) == set(TIMBRE_FEATURES)

    report = json.loads((out / "report.json").read_text())
    card = " ".join((out / "card.txt").read_text(encoding="utf-8").split())  # its lines are wrapped
    assert report["preset"] == "snare-2" and report["verdict"] in card
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    for sound in ("rehearsal.wav", "primer.wav"):
        samples, rate = soundfile.read(out / sound)
        assert rate == RATE and np.abs(samples).max() > 0.001
    assert run("check", out / "model.pt")[0] == 0


def test_train_talks_to_people_and_takes_a_preset_of_their_own(run, recording, tmp_path):
    preset = save_preset(load_preset("kick"), tmp_path / "My kick 🥁.json")
    options = ("--preset", preset, "--recipe", "published", "--epochs", 1, "--model", "linear")
    status, stdout, stderr = run("train", recording, "--out", tmp_path / "out", *options)
    assert status == 0 and stderr == ""  # no bar where stderr is no terminal
    assert "12 hits found" in stdout and "Rehearsing" in stdout and "model.pt" in stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["preset"] == "my-kick"


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_train_runs_at_the_daws_rate(run, recording, tmp_path, rate):
    options = ("--recipe", "published", "--epochs", 1, "--sample-rate", rate, "--json")
    status, _, stderr = run("train", recording, "--out", tmp_path, *options)
    assert (status, stderr) == (0, "")
    assert soundfile.info(tmp_path / "rehearsal.wav").samplerate == rate


# --- bad input ---------------------------------------------------------------------------------------------


def wav(folder, samples, rate=RATE, name="bad.wav", subtype="PCM_24"):
    soundfile.write(folder / name, samples, rate, subtype=subtype)
    return folder / name


def file_with(folder, content, name="bad.wav"):
    (folder / name).write_bytes(content)
    return folder / name


BAD_RECORDINGS = {
    "missing": lambda folder: folder / "not there.wav",
    "a folder": lambda folder: folder,
    "empty": lambda folder: file_with(folder, b""),
    "garbage": lambda folder: file_with(folder, bytes(range(256)) * 40),
    "a text": lambda folder: file_with(folder, b"hello drummer\n" * 99, "take.mp3"),
    "header only": lambda folder: file_with(folder, wav(folder, np.zeros(9)).read_bytes()[:44]),
    "too short": lambda folder: wav(folder, varied_strokes(2)[:4800]),
    "silent": lambda folder: wav(folder, np.zeros(2 * RATE)),
    "no hits": lambda folder: wav(folder, np.random.default_rng(0).normal(0, 0.01, 2 * RATE)),
    "one hit": lambda folder: wav(folder, strokes([-6], [400])),
    "not a number": lambda folder: wav(folder, np.full(RATE, np.nan), subtype="FLOAT"),
    "far beyond full scale": lambda folder: wav(folder, varied_strokes() * 1e6, subtype="FLOAT"),
    "rate too low": lambda folder: wav(folder, varied_strokes(4, 8000), 4000),
}


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_a_bad_recording_costs_one_line_and_nothing_else(run, tmp_path, kind):
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.pt").write_bytes(b"yesterday's")
    bad = BAD_RECORDINGS[kind](tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = run("train", bad, "--out", out, "--epochs", 1, "--json")
    assert_bad_input(result)
    assert result[1] == "" and len(result[2]) > 40
    assert sorted(tmp_path.rglob("*")) == before and (out / "model.pt").read_bytes() == b"yesterday's"
    for command in ("inspect", "onsets"):
        status, _, stderr = run(command, bad)
        assert (
            status in (0, 2) and "Traceback" not in stderr and len(stderr.strip().splitlines()) == status // 2
        )


def preset_with(**changed):
    content = load_preset("snare-1").to_json()
    content["values"] = {**content["values"], **changed}
    return json.dumps(content).encode()


BAD_PRESETS = {
    "unknown name": (None, ["snare-99", "snare-1"]),
    "not JSON": (b"{", ["own.json"]),
    "no values": (b'{"values": {}}', ["osc1.freq"]),
    "out of range": (preset_with(**{"osc1.freq": 99_999}), ["osc1.freq", "20", "2000"]),
    "not a number": (preset_with(**{"osc1.freq": float("nan")}), ["osc1.freq"]),
    "a text": (preset_with(**{"osc1.freq": "high"}), ["osc1.freq", '"high"']),
    "unknown key": (preset_with(wobble=1), ["wobble"]),
}


@pytest.mark.parametrize("kind", BAD_PRESETS)
def test_a_bad_preset_names_the_key_and_the_range(run, recording, tmp_path, kind):
    content, words = BAD_PRESETS[kind]
    preset = "snare-99" if content is None else file_with(tmp_path, content, "own.json")
    assert_bad_input(run("train", recording, "--preset", preset, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


BAD_ARGUMENTS = {
    "no command": [],
    "unknown command": ["practise"],
    "no recording": ["train", "--out", "x"],
    "no out": ["train", "take.wav"],
    "unknown size": ["train", "take.wav", "--out", "x", "--model", "huge"],
    "no epochs": ["train", "take.wav", "--out", "x", "--epochs", "0"],
    "epochs in words": ["train", "take.wav", "--out", "x", "--epochs", "many"],
    "a seed beyond bounds": ["train", "take.wav", "--out", "x", "--seed", "99999999999999999999"],
    "a threshold beyond bounds": ["onsets", "{recording}", "--on-threshold", "99"],
    "a threshold that is none": ["onsets", "{recording}", "--on-threshold", "nan"],
    "a negative hold": ["onsets", "{recording}", "--hold", "-3"],
    "a rate beyond bounds": ["train", "{recording}", "--out", "x", "--sample-rate", "1"],
    "a sensitivity beyond bounds": ["rehearse", "{model}", "{recording}", "x.wav", "--sensitivity", "9"],
    "an unknown host": ["export", "{model}", "--to", "kazoo", "--out", "x"],
}


@pytest.mark.parametrize("kind", BAD_ARGUMENTS)
def test_a_wrong_argument_costs_one_line(run, recording, model, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    arguments = [text.format(recording=recording, model=model) for text in BAD_ARGUMENTS[kind]]
    assert_bad_input(run(*arguments))
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(run, recording, tmp_path):
    assert_bad_input(run("train", recording, "--out", tmp_path / "o", "--device", "cuda"), "--device cpu")


def test_an_apple_gpu_is_answered_in_one_line_and_the_cpu_trains(run, recording, tmp_path, monkeypatch):
    devices = []

    def stop(prepared, preset, folder, settings, *told, **more):
        devices.append(settings.device)
        raise TrainingError("Enough.")

    monkeypatch.setattr("timbrekit.workflow.train_model", stop)
    _, _, stderr = run("train", recording, "--out", tmp_path / "o", "--device", "mps")
    assert devices == ["cpu"]
    first, second = stderr.splitlines()
    assert first == f"timbrekit: {NO_FLOAT64}" and second == "timbrekit: Enough."


def test_an_output_folder_that_cannot_be_one_is_found_out_before_training(
    run, recording, tmp_path, monkeypatch
):
    monkeypatch.setattr("timbrekit.workflow.train", lambda *a: pytest.fail("trained for nothing"))
    in_the_way = file_with(tmp_path, b"mine", "out")
    assert_bad_input(run("train", recording, "--out", in_the_way), "out")
    assert in_the_way.read_bytes() == b"mine"
    (tmp_path / "folder" / "model.pt").mkdir(parents=True)
    assert_bad_input(run("train", recording, "--out", tmp_path / "folder"), "model.pt")


def test_what_was_there_before_stays_when_writing_fails(run, recording, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for name in FILES:
        (out / name).write_bytes(b"yesterday's")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("timbrekit.workflow.save_report_picture", full)
    result = run("train", recording, "--out", out, "--recipe", "published", "--epochs", 1, "--json")
    assert_bad_input(result, "No space left")
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    assert kept.pop("unfinished.pt")  # what was trained is not lost
    assert kept == dict.fromkeys(FILES, b"yesterday's")


def stop(*arguments):
    raise KeyboardInterrupt


def test_what_was_trained_is_kept_when_measuring_is_stopped(run, recording, tmp_path):
    options = ("--recipe", "published", "--epochs", 1, "--out", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timbrekit.workflow.measure_held_out", stop)
        assert run("train", recording, *options)[0] == 130
    assert [path.name for path in tmp_path.iterdir()] == ["unfinished.pt"]
    status, said, _ = run("train", recording, *options)
    assert status == 0 and "goes on where it was cut off, after 1 of 1" in said
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


# --- Ctrl-C: with real signals in test_stop.py -------------------------------------------------------------


def test_ctrl_c_during_training_keeps_the_best_and_says_so_in_json(run, recording, tmp_path, monkeypatch):
    monkeypatch.setattr("timbrekit.commands.Bar.__call__", stop)
    options = ("--recipe", "published", "--epochs", 1000, "--out", tmp_path, "--json")
    status, stdout, stderr = run("train", recording, *options)
    assert status == 130 and stderr == ""
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == FILES - {"report.png", "rehearsal.wav"} | {"unfinished.pt"}
    assert last_json(stdout)["hits_kept"] == 12
    training = json.loads((tmp_path / "report.json").read_text())["training"]
    assert training["interrupted"] is True


def test_ctrl_c_before_there_is_a_model_leaves_no_folder(run, recording, tmp_path, monkeypatch):
    monkeypatch.setattr("timbrekit.workflow.train", stop)
    before = signal.getsignal(signal.SIGINT)
    status, _, stderr = run("train", recording, "--out", tmp_path / "a" / "b")
    assert status == 130 and stderr == "timbrekit: stopped.\n" and not any(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is before


# --- the other commands ------------------------------------------------------------------------------------


def test_rehearse_writes_sound_and_trace(run, model, recording, tmp_path):
    sound, trace = tmp_path / ODD_NAME / "sound.wav", tmp_path / "trace.npz"
    status, stdout, _ = run("rehearse", model, recording, sound, "--trace", trace, "--json")
    result = last_json(stdout)
    assert status == 0 and result["triggers"] == 12 and soundfile.info(sound).samplerate == RATE
    steps = np.load(trace)
    assert steps["sample_rate"] == RATE and steps["triggers"].shape == steps["detections"].shape == (12,)
    for name, width in (
        ("raw_features", 3),
        ("normalized_features", 3),
        ("modulation", 14),
        ("parameters", 14),
    ):
        assert steps[name].shape == (12, width)


def test_rehearse_takes_a_primer_and_another_rate(run, model, recording, tmp_path):
    options = ("--primer", recording, "--sample-rate", 44_100, "--seed", 3, "--dry-wet", 0.5)
    assert run("rehearse", model, recording, tmp_path / "a.wav", *options)[0] == 0
    assert soundfile.info(tmp_path / "a.wav").samplerate == 44_100


def test_a_file_that_is_read_is_never_written_over(run, model, recording, tmp_path):
    take = file_with(tmp_path, recording.read_bytes(), "rehearsal.wav")
    for arguments in (
        ("train", take, "--out", tmp_path),
        ("rehearse", model, take, take),
        ("page", model, "--out", model),
        ("export", model, "--to", "flucoma", "--out", model),
    ):
        content = model.read_bytes()
        assert_bad_input(run(*arguments), "overwritten")
        assert take.read_bytes() == recording.read_bytes() and model.read_bytes() == content


def test_onsets_at_the_recordings_own_rate(run, tmp_path):
    path = wav(tmp_path, varied_strokes(5, 44_100), 44_100)
    status, stdout, _ = run("onsets", path, "--json")
    result = last_json(stdout)
    assert status == 0 and result["sample_rate"] == 44_100
    places = (np.arange(5) + 0.5) * 0.3 * 44_100
    assert np.abs(np.array(result["detections"]) - places).max() < 100
    assert set(result["suggested"]) == DETECTOR_KEYS and len(result["suggested_detections"]) == 5
    strict = last_json(run("onsets", path, "--json", "--on-threshold", 32, "--hold", 5000)[1])
    assert len(strict["detections"]) <= 5
    assert "plug-in" in run("onsets", path)[1]


def test_presets_lists_all(run):
    assert all(name in run("presets")[1] for name in preset_names())
    result = last_json(run("presets", "--json")[1])
    assert [preset["name"] for preset in result["presets"]] == preset_names() and len(
        result["parameters"]
    ) == 14


def test_check_says_ready_or_why_not(run, model, tmp_path):
    status, stdout, stderr = run("check", model, "--json")
    result = last_json(stdout)
    assert (status, stderr) == (0, "") and result["ready"] is True and result["problems"] == []
    assert result["metadata"]["preset"]["name"] == "snare-1"
    assert "is ready" in run("check", model)[1]

    garbage = file_with(tmp_path, b"PK\x03\x04 nonsense", "bad model.pt")
    refused = run("check", garbage, "--json")
    assert_bad_input(refused, "bad model.pt")
    assert last_json(refused[1])["ready"] is False and last_json(refused[1])["problems"]
    assert_bad_input(run("check", tmp_path / "none.pt"), "none.pt")


@pytest.mark.parametrize("command", ["rehearse", "page", "export"])
def test_a_file_that_is_no_model_is_refused_and_nothing_written(run, recording, tmp_path, command):
    garbage = file_with(tmp_path, b"no model", "bad.pt")
    out = tmp_path / "result.ts"
    arguments = {
        "rehearse": (garbage, recording, out),
        "page": (garbage, "--out", out),
        "export": (garbage, "--to", "nn-tilde", "--out", out),
    }[command]
    assert_bad_input(run(command, *arguments), "bad.pt")
    assert not out.exists()


def test_inspect_finds_what_is_wrong(run, recording, tmp_path):
    clipped = wav(tmp_path, np.clip(varied_strokes() * 8, -1, 1))
    result = last_json(run("inspect", clipped, "--json")[1])
    kinds = {finding["kind"] for finding in result["findings"]}
    assert {"clipped", "few_hits"} <= kinds
    assert all(set(f) == {"kind", "severity", "value", "limit", "advice"} for f in result["findings"])
    assert "12 hits" in run("inspect", recording)[1]


def test_a_terminal_that_cannot_show_a_name_shows_the_rest(recording, tmp_path, monkeypatch):
    drum = file_with(tmp_path, recording.read_bytes(), "🥁.wav")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["inspect", str(drum)]) == 0
    terminal.flush()
    said = terminal.buffer.getvalue()
    assert rb"\U0001f941.wav" in said and b"12 hits" in said


def test_page_and_export_write_files(run, model, tmp_path):
    assert run("page", model, "--out", tmp_path / "play.html")[0] == 0
    assert (tmp_path / "play.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert run("export", model, "--to", "nn-tilde", "--out", tmp_path / "x.ts")[0] == 0
    assert (tmp_path / "x.ts").stat().st_size > 1000


def test_a_reader_that_has_had_enough_is_no_error(model):
    """timbrekit … | head"""
    command = [sys.executable, "-m", "timbrekit.cli", "presets", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(timeout=300) == 0 and stderr == b""


def test_it_tells_its_version(run):
    status, stdout, _ = run("--version")
    assert status == 0 and stdout.startswith("timbrekit ")
