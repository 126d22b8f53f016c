"""Training that was cut off goes on where it was. Tensors, numbers and text only: nothing in a checkpoint can run."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from timbrekit import __version__
from timbrekit.files import atomic_path
from timbrekit.presets import Preset
from timbrekit.training.take import Take


def save_checkpoint(path: str | Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Write the state of a training run, whole or not at all.

    Args:
        path: what was there before is replaced.
        fingerprint: of the run, from :func:`fingerprint_of`.
        state: tensors, numbers, texts, lists and dictionaries of them.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"fingerprint": fingerprint, "state": state}, buffer)
    with atomic_path(path) as temporary:  # torch.save has an error of its own for a full disk
        temporary.write_bytes(buffer.getvalue())


def load_checkpoint(path: str | Path | None, fingerprint: str) -> dict[str, Any] | None:
    """The state that was saved for this very run; None if there is none, or it is another run's, or damaged.

    A checkpoint saves work, it holds none that cannot be done again: one that does not fit is no error.
    """
    if path is None or not Path(path).is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's reader stumbles over a stranger's bytes in many ways
        return None
    if not isinstance(content, dict) or content.get("fingerprint") != fingerprint:
        return None
    return content["state"]


def goes_on(say: Callable[[str], None] | None, done: int, of: int) -> None:
    """Tell the user that training is resumed, and after how many epochs."""
    if say:
        say(f"Training goes on where it was cut off, after {done} of {of} epochs")


def fingerprint_of(take: Take, preset: Preset, settings: Any) -> str:
    """Equal for runs that give the same result: same hits, preset, settings and versions."""
    digest = hashlib.sha256()
    for values in (take.shifted_onset, take.timbre, take.reference_timbre, take.lengths):
        digest.update(values.numpy().tobytes())
    digest.update(preset.normalized().tobytes() + preset.damping_vector().tobytes())
    digest.update(preset.synth.encode())
    if preset.drum is not None:
        digest.update(json.dumps(dict(preset.drum), sort_keys=True).encode())
    digest.update(repr((sorted(asdict(settings).items()), take.reference, take.hits.sample_rate)).encode())
    digest.update(f"{__version__} {torch.__version__}".encode())
    return digest.hexdigest()
