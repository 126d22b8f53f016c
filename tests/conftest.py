"""Shared fixtures. Golden vectors and real recordings live beside the project and may be absent."""

import gc
import os
from pathlib import Path

import pytest
from shared_material import REPOSITORY, shared_folder

# The tests' tensors are small, and several threads on a busy machine mostly wait for each other. Before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end, and need not be looked through for garbage again and again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of vectors measured on the real plug-in."""
    return shared_folder("golden")


def _arrays(file: Path) -> dict:
    import numpy as np

    with np.load(file) as data:
        return dict(data)


@pytest.fixture(scope="session")
def golden(golden_dir) -> dict:
    """A take, and what the real plug-in detects, hears, decides and plays of it with a known network."""
    return _arrays(golden_dir / "onset_features.npz")


@pytest.fixture(scope="session")
def golden_808(golden_dir) -> dict:
    """Single hits of the real plug-in's synthesiser, with their parameters and noise."""
    return _arrays(golden_dir / "snare808.npz")


@pytest.fixture(scope="session")
def shared_audio_dir() -> Path:
    """Folder of real recordings."""
    return shared_folder("audio")


@pytest.fixture(scope="session")
def oneshots_dir() -> Path:
    """Folder of single hits of real drums."""
    return shared_folder("oneshots")


@pytest.fixture(scope="session")
def sample_recording() -> Path:
    """The minute of playing that ships with the project."""
    return REPOSITORY / "sample_audio" / "snare_minute.flac"


@pytest.fixture(scope="module")
def forked_guard():
    """Strangers' models are tried in forks of this process, for tests that are about the models. See test_guard.py."""
    from forked_guard import run_in_fork

    with pytest.MonkeyPatch.context() as patch:
        if hasattr(os, "fork"):
            patch.setattr("timbrekit.export.guard._run", run_in_fork)
        yield


@pytest.fixture
def forked_worker(monkeypatch):
    """Second processes are forks of this one, for tests that are about what they do. See test_worker.py."""
    from forked_worker import start

    if hasattr(os, "fork"):
        monkeypatch.setattr("timbrekit.training.fast.worker.start", start)


@pytest.fixture(scope="module")
def few_imagined_hits():
    """A take is filled up to 24 hits and not to 120, for tests that are about training and not about what it learns."""
    import timbrekit.training.expected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timbrekit.training.expected, "ENOUGH", 24)
        yield


@pytest.fixture
def short_warm_start(monkeypatch):
    """The warm start with a hundredth of its work: all its steps, none of its patience."""
    import timbrekit.training.warm_start

    for name in ("MAPPING_STEPS", "SURROGATE_STEPS", "RELEARN_STEPS", "BESIDE_STEPS"):
        monkeypatch.setattr(timbrekit.training.warm_start, name, 20)
    monkeypatch.setattr(timbrekit.training.warm_start, "FIRST_RENDERS", 32)
    monkeypatch.setattr(timbrekit.training.warm_start, "ROUNDS", 2)
