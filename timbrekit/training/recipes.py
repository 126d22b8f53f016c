"""Settings of a recipe with a user's wishes, on a device that is there."""

from dataclasses import replace
from typing import Literal

import torch

from timbrekit.errors import TrainingError, first_line
from timbrekit.mapping import ModelName
from timbrekit.training.names import DEVICES
from timbrekit.training.published import published_settings
from timbrekit.training.settings import Listener, Settings


def make_settings(
    recipe: Literal["timbrekit", "published"] = "timbrekit",
    model: ModelName | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    listener: Listener = "torchdrum",
) -> Settings:
    """Settings of a recipe with a user's wishes.

    Args:
        model: None for that of the recipe.
        device: ``cpu``, ``cuda``, or ``auto``: cuda where there is one that works. ``mps`` trains on the CPU, with a
            warning that says why.
        listener: ``mel`` trains a mapping over looks, on the CPU.

    Raises:
        TrainingError: mel is asked for together with a recipe or a size of network; cuda is asked for and not there, or
            does not work; no such device.
    """
    if listener == "mel":
        if recipe != "timbrekit" or model is not None:
            raise TrainingError(
                "The mel listener has a recipe and a network of its own: leave out --recipe and --model, or --listener."
            )
        device = "cpu"
    settings = published_settings(model) if recipe == "published" else Settings(model=model or Settings.model)
    settings = replace(settings, seed=seed, device=find_device(device), listener=listener)
    return settings if epochs is None else replace(settings, epochs=epochs)


def find_device(device: str) -> str:
    """``cpu``, ``cuda`` or ``mps``, of one of ``DEVICES``.

    Raises:
        TrainingError: as :func:`make_settings`.
    """
    if device not in DEVICES:
        raise TrainingError(f"The device is one of {', '.join(DEVICES)}, not {device!r}.")
    if device in ("cpu", "mps"):
        return device
    fault = _fault_of_gpu()
    if fault is not None and device == "cuda":
        raise TrainingError(
            f"There is no GPU that torch can use here{fault}. Train on the CPU (--device cpu), or in Colab choose "
            "Runtime > Change runtime type > GPU."
        )
    return "cuda" if fault is None else "cpu"


def _fault_of_gpu() -> str | None:
    """What is wrong with the GPU, in brackets if torch says so, or None: one that is there may be too old for torch."""
    if not torch.cuda.is_available():
        return ""
    try:
        (torch.ones(1, device="cuda") + 1).item()
    except (RuntimeError, AssertionError) as error:
        return f" ({first_line(error)})"
    return None
