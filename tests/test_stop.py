"""Stop, as Ctrl-C and as the notebook's ■: at any moment of a long run it is answered at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest
import soundfile
from takes import RATE, varied_strokes

from timbrekit.export.check import check_model
from timbrekit.notebook.verdict_panel import VerdictPanel
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.results.bundle import bundle_contents, write_bundle
from timbrekit.training.settings import Settings
from timbrekit.workflow import FILES, train_model

psutil = pytest.importorskip("psutil", reason="needs the test extra")

SNARE = load_preset("snare-1")
SOON = 2.0  # s
KEPT = set(FILES) - {"report.png", "rehearsal.wav"}
EPOCHS = "epochs"
STAGES = ("Training", "Measuring", EPOCHS, "Rehearsing", "Measuring on playing that it has not heard")
# Without a warm start the later steps are reached sooner; each step says so on standard output as it begins. Here as
# for a user, there is no torchaudio.
SCRIPT = """
import sys
sys.modules["torchaudio"] = None
from dataclasses import replace
import timbrekit.training.recipes as recipes
make = recipes.make_settings
recipes.make_settings = lambda *options: replace(make(*options), warm_start=sys.argv[1] == "Training")
del sys.argv[1]
import timbrekit.commands.output as output
tell = output.Bar.__call__
output.Bar.__call__ = lambda self, epoch: (tell(self, epoch), print("epochs", flush=True))
from timbrekit.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process alone")
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_is_answered_within_two_seconds_in_every_step(stage, sample_recording, tmp_path):
    """By the process's own clock: another program may have the processor meanwhile."""
    epochs = "100" if stage == EPOCHS else "1"
    options = [str(sample_recording), "--out", str(tmp_path / "out"), "--epochs", epochs, "--hold", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, stage, "train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert any(line.strip() == stage for line in process.stdout)
        if stage == "Training":
            time.sleep(0.5)  # into the warm start
        before = psutil.Process(process.pid).cpu_times()
        process.send_signal(signal.SIGINT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
    has_model = stage in STAGES[2:]
    assert process.returncode == 130 and said == ("" if has_model else "timbrekit: stopped.\n")
    assert used.ru_utime + used.ru_stime - before.user - before.system < SOON
    left = {path.name for path in (tmp_path / "out").iterdir()} if (tmp_path / "out").exists() else set()
    reached = {"unfinished.pt"} if stage != "Training" else set()  # for the next run
    assert left == reached | (KEPT if has_model else set())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, few_imagined_hits):
    """Training that is stopped after its second epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    soundfile.write(folder / "take.wav", varied_strokes(16), RATE)

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    prepared, settings = prepare(folder / "take.wav"), Settings(epochs=50, warm_start=False)
    return folder / "out", train_model(prepared, SNARE, folder / "out", settings, progress=stop)


def test_after_a_stop_the_best_so_far_is_kept_and_nothing_more_is_measured(stopped):
    folder, outcome = stopped
    assert outcome.trained.interrupted and {path.name for path in folder.iterdir()} == KEPT
    assert check_model(outcome.model).ready
    report, card = json.loads((folder / "report.json").read_text()), (folder / "card.txt").read_text()
    assert report["training"]["interrupted"] and report["as_played"] == {} and "unseen" not in report
    assert "Not measured" in report["verdict"] and "Not measured" in card and "unseen hits" not in card
    with zipfile.ZipFile(write_bundle(folder, SNARE)) as archive:
        stem = "take as Snare 1"
        assert set(archive.namelist()) == set(bundle_contents(stem)) - {f"{stem} preview.wav", "report.png"}


def test_a_stopped_model_can_be_measured_on_other_playing(stopped, tmp_path):
    folder, _ = stopped
    shutil.copytree(folder, tmp_path / "model")
    soundfile.write(tmp_path / "other.wav", varied_strokes(30, seed=5), RATE)
    panel = VerdictPanel(tmp_path / "model", SNARE, folder.parent / "take.wav")
    assert "Not measured" in panel.text
    panel.measure(tmp_path / "other.wav")
    assert "Not measured" not in panel.text and "which it had never heard" in " ".join(panel.text.split())
