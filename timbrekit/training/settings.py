"""How to train: the choices in one place, ours and the published ones."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import torch

from timbrekit.errors import TimbrekitWarning, TrainingError, first_line
from timbrekit.mapping import ModelName

DEVICES = ("auto", "cpu", "cuda", "mps")
NO_FLOAT64 = (
    "Apple's GPUs (mps) have no float64, which the synthesiser computes with: training runs on the CPU."
)


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are what was found to play best; docs/training.md has the figures.

    Raises:
        TrainingError: there is no such device. (``mps`` becomes ``cpu``, with a warning that says why.)
    """

    model: ModelName = "mlp-large"
    recipe: Literal["timbrekit", "published"] = "timbrekit"
    epochs: int | None = None  # None: as many as make 220 steps, from 20 to 60
    batch_size: int = 16  # hits; larger batches fall out of the processor's cache and are slower per hit
    learning_rate: float = (
        2e-3  # at its highest: it rises over a tenth of the steps, then falls along a cosine
    )
    sketch: bool = True  # start from a mapping fitted to a learned stand-in for the synthesiser
    balanced: bool = True  # weight each feature by 1 / its spread over the take
    shifted_share: float = 0.5  # share of inputs heard a little early or late: like strokes sound alike
    growing_share: float = 0.3  # share of inputs heard with ranges that are still growing
    fresh_noise: bool = True  # new noise in every batch and a random phase at every hit, as in the plug-in
    slope_limit: float = 2.0  # a hit's, in typical ones, so that no leap throws all over; 0: none
    restraint: float = 0.3  # weight of the mean squared modulation: what need not move stays with the preset
    averaging: float = 0.98  # per step: what is validated and kept is a running mean of the weights
    centred: bool = False  # subtract the reference hit's inputs, as the published code does
    forgets_centre: bool = False  # … and leave that out of the trained mapping, as its export does
    features: Literal["gated", "published"] = "gated"  # published: silence counts
    thinned: bool = True  # hear every fourth frame of the sustain
    damping: Literal["preset", "published"] = "preset"  # published: 1 for the noise cutoff too
    plateau: bool = (
        False  # halve the learning rate where the validation loss stays, which alone picks the epoch
    )
    seed: int = 0
    device: str = "cpu"  # or cuda

    def __post_init__(self):
        if self.device == "mps":
            warnings.warn(NO_FLOAT64, TimbrekitWarning, stacklevel=3)
            object.__setattr__(self, "device", "cpu")
        if self.device.partition(":")[0] not in ("cpu", "cuda"):  # cuda:1 is the second of several
            raise TrainingError(f"The device to train on is cpu or cuda, not {self.device!r}.")


# NIME 2024, section 4.2, on the takes of ``published_windows``.
PUBLISHED = Settings(
    model="mlp",
    recipe="published",
    epochs=250,
    learning_rate=5e-4,
    sketch=False,
    balanced=False,
    shifted_share=0.0,
    growing_share=0.0,
    slope_limit=0.0,
    restraint=0.0,
    averaging=0.0,
    fresh_noise=False,
    centred=True,
    forgets_centre=True,
    features="published",
    thinned=False,
    damping="published",
    plateau=True,
)
PUBLISHED_LINEAR_RATE = 5e-3


def make_settings(
    recipe: Literal["timbrekit", "published"] = "timbrekit",
    model: ModelName | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Settings:
    """Settings of a recipe with a user's wishes.

    Args:
        model: None for that of the recipe.
        device: ``cpu``, ``cuda``, or ``auto``: cuda where there is one that works. ``mps`` trains on the CPU, with a
            warning that says why.

    Raises:
        TrainingError: cuda is asked for and not there, or does not work; no such device.
    """
    if device not in DEVICES:
        raise TrainingError(f"The device is one of {', '.join(DEVICES)}, not {device!r}.")
    if device in ("auto", "cuda"):
        fault = _fault_of_gpu()
        if fault is not None and device == "cuda":
            raise TrainingError(
                f"There is no GPU that torch can use here{fault}. Train on the CPU (--device cpu), or in Colab choose "
                "Runtime > Change runtime type > GPU."
            )
        device = "cuda" if fault is None else "cpu"
    settings = PUBLISHED if recipe == "published" else Settings()
    settings = replace(settings, model=model or settings.model, seed=seed, device=device)
    if recipe == "published" and model == "linear":
        settings = replace(settings, learning_rate=PUBLISHED_LINEAR_RATE)
    return settings if epochs is None else replace(settings, epochs=epochs)


def _fault_of_gpu() -> str | None:
    """What is wrong with the GPU, in brackets if torch says so, or None: one that is there may be too old for torch."""
    if not torch.cuda.is_available():
        return ""
    try:
        (torch.ones(1, device="cuda") + 1).item()
    except (RuntimeError, AssertionError) as error:
        return f" ({first_line(error)})"
    return None
