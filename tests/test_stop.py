"""Stop, as Ctrl-C and as the notebook's ■: at any moment of a long run it is answered at once."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from takes import RATE, varied_strokes

from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.results.situations import end_of_take
from timbrekit.training.settings import Settings
from timbrekit.workflow import FILES, train_model

psutil = pytest.importorskip("psutil", reason="needs the test extra")

SOON = 2.0  # s
STAGES = ("Training", "Measuring", "Rehearsing", "Measuring on playing that it has not heard")
# Without a warm start the later steps are reached sooner; each step says so on standard output as it begins.
SCRIPT = """
import sys
from dataclasses import replace
import timbrekit.training.recipes as recipes
make = recipes.make_settings
recipes.make_settings = lambda *options: replace(make(*options), warm_start=sys.argv[1] == "Training")
del sys.argv[1]
from timbrekit.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process alone")
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_is_answered_within_two_seconds_in_every_step(stage, sample_recording, tmp_path):
    """By the process's own clock: another program may have the processor meanwhile."""
    options = [str(sample_recording), "--out", str(tmp_path / "out"), "--epochs", "1", "--hold", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, stage, "train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert any(line.strip() == stage for line in process.stdout)
        before = psutil.Process(process.pid).cpu_times()
        process.send_signal(signal.SIGINT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 130 and said == "timbrekit: stopped.\n"
    assert used.ru_utime + used.ru_stime - before.user - before.system < SOON
    left = {path.name for path in (tmp_path / "out").iterdir()} if (tmp_path / "out").exists() else set()
    assert left == (set() if stage == "Training" else {"unfinished.pt"})  # what was reached, for the next run


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Training that is stopped after its second epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    soundfile.write(folder / "take.wav", varied_strokes(40), RATE)

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    prepared, settings = prepare(folder / "take.wav"), Settings(epochs=50, warm_start=False)
    return folder / "out", train_model(
        prepared, load_preset("snare-1"), folder / "out", settings, progress=stop
    )


def test_after_a_stop_the_best_so_far_is_measured_on_the_end_of_the_take_alone(stopped):
    folder, outcome = stopped
    assert outcome.trained.interrupted and {path.name for path in folder.iterdir()} == set(FILES)
    report = json.loads((folder / "report.json").read_text())
    held_out = len(outcome.trained.split.test)
    assert held_out and report["unseen"]["hits"] == report["as_played"]["hits"] == held_out
    assert report["unseen"]["source"] == "end of take" and report["training"]["interrupted"]
    assert set(outcome.played) == {"cold", "after_primer"}
    samples, rate = soundfile.read(folder / "rehearsal.wav")
    assert len(samples) / rate == pytest.approx(len(varied_strokes(40)) / RATE)  # all of it is heard


def test_the_end_of_a_take_has_its_held_out_hits_and_no_others(stopped):
    _, outcome = stopped
    take, split = outcome.take, outcome.trained.split
    samples = varied_strokes(40)
    end = end_of_take(np.asarray(samples, np.float32), take, split)
    assert len(end.take) == len(split.test)
    assert np.allclose(end.take.intended.numpy(), take.intended[split.test].numpy(), atol=0.05)
