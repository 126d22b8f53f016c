"""Training that is cut off goes on to the same result."""

import os
import pickle

import pytest
import torch
from takes import tiny_take, weights_of

from timbrekit.presets import load_preset
from timbrekit.training.checkpoint import load_checkpoint, save_checkpoint
from timbrekit.training.fast.train import train
from timbrekit.training.looks import train_looks
from timbrekit.training.published import PUBLISHED
from timbrekit.training.settings import Settings

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

QUICK = {"epochs": 4, "warm_start": False, "batch_size": 4}
MEL = QUICK | {"epochs": 2, "listener": "mel", "split": "whole"}


class Killed(Exception):
    """Stands for the end of the process: nothing in training catches it."""


@pytest.mark.parametrize(
    ("train", "settings", "killed_after", "epochs"),
    [
        (train, Settings(**QUICK), 2, 4),
        (train, Settings(**{**PUBLISHED.__dict__, "epochs": 4}), 2, 4),
        *[(train_looks, Settings(**MEL), after, 4) for after in (1, 2, 3)],  # in two rounds of two
    ],
)
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path, train, settings, killed_after, epochs):
    take, preset, checkpoint = tiny_take(), load_preset("snare-1"), tmp_path / "with spaces" / "run.pt"
    whole = train(take, preset, settings)

    def kill(epoch):
        if epoch.number == killed_after:
            raise Killed

    with pytest.raises(Killed):
        train(take, preset, settings, kill, checkpoint)
    told, said = [], []
    resumed = train(take, preset, settings, lambda epoch: told.append(epoch.number), checkpoint, said.append)
    assert told == list(range(killed_after + 1, epochs + 1))
    assert len(said) == 1 and f"after {killed_after} of {epochs}" in said[0]
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert [e.validation_loss for e in resumed.history] == [e.validation_loss for e in whole.history]
    told.clear()
    once_more = train(take, preset, settings, lambda epoch: told.append(epoch.number), checkpoint)
    assert not told and torch.equal(weights_of(once_more), weights_of(whole))  # kept until its result is safe


def test_another_runs_checkpoint_is_not_taken(tmp_path):
    take, checkpoint = tiny_take(), tmp_path / "run.pt"
    with pytest.raises(Killed):
        train(take, load_preset("snare-1"), Settings(**QUICK), _kill, checkpoint)
    told = []
    train(
        take, load_preset("snare-2"), Settings(**QUICK), lambda epoch: told.append(epoch.number), checkpoint
    )
    assert told == [1, 2, 3, 4]


def _kill(epoch):
    raise Killed


@pytest.mark.parametrize("damage", [b"", b"garbage", "truncated"])
def test_a_damaged_checkpoint_starts_the_run_afresh(tmp_path, damage):
    checkpoint = tmp_path / "run.pt"
    save_checkpoint(checkpoint, "print", {"weights": torch.ones(3)})
    content = checkpoint.read_bytes()[:-100] if damage == "truncated" else damage
    checkpoint.write_bytes(content)
    assert load_checkpoint(checkpoint, "print") is None


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was run"),)

    checkpoint = tmp_path / "run.pt"
    torch.save({"fingerprint": "print", "state": Attack()}, checkpoint)
    assert load_checkpoint(checkpoint, "print") is None
    checkpoint.write_bytes(pickle.dumps(Attack()))
    assert load_checkpoint(checkpoint, "print") is None
    assert not (tmp_path / "was run").exists()


def test_what_was_saved_comes_back(tmp_path):
    state = {"weights": torch.arange(3.0), "history": [(1, 2, 0.5, 0.4, 3.0)], "best_loss": 0.25}
    save_checkpoint(tmp_path / "run.pt", "print", state)
    loaded = load_checkpoint(tmp_path / "run.pt", "print")
    assert torch.equal(loaded["weights"], state["weights"])
    assert loaded["history"] == state["history"] and loaded["best_loss"] == 0.25
