"""How to train: the choices in one place."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from timbrekit.errors import TrainingError, first_line
from timbrekit.mapping import ModelName

DEVICES = ("auto", "cpu", "cuda")
# Names of fields in the files of version 0.1, which stay.
JSON_NAMES = {
    "warm_start": "sketch",
    "shift_probability": "shifted_share",
    "growing_probability": "growing_share",
    "gradient_clip": "slope_limit",
    "l2_penalty": "restraint",
    "ema": "averaging",
}


@dataclass(frozen=True)
class Settings:
    """Hyperparameters. The defaults are what was found to play best; docs/training.md has the figures."""

    model: ModelName = "mlp-large"
    recipe: Literal["timbrekit", "published"] = "timbrekit"
    epochs: int | None = None  # None: as many as make 220 steps, from 20 to 60
    batch_size: int = 16  # hits; larger batches fall out of the processor's cache and are slower per hit
    learning_rate: float = 2e-3  # at its highest: a tenth of the steps warm up, then it falls along a cosine
    warm_start: bool = True  # start from a mapping fitted to a learned surrogate of the synthesiser
    balanced: bool = True  # weight each feature by 1 / its spread over the take
    shift_probability: float = 0.5  # augmentation: an input heard a little early or late
    growing_probability: float = 0.3  # augmentation: an input heard with ranges that are still growing
    fresh_noise: bool = True  # new noise in every batch and random phases at every hit, as in the plug-in
    gradient_clip: float = 2.0  # longest gradient of a hit, in typical ones; 0: no clipping
    l2_penalty: float = 0.3  # weight of the mean squared modulation: what need not move stays with the preset
    ema: float = (
        0.98  # decay per step of the exponential moving average of the weights that is validated and kept
    )
    centred: bool = False  # subtract the reference hit's inputs, as the published code does
    features: Literal["gated", "published"] = "gated"  # published: silence counts
    thinned: bool = True  # hear every fourth frame of the sustain
    plateau: bool = False  # the published schedule: halve the rate where the validation loss stays
    seed: int = 0
    device: str = "cpu"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model file, by the names and in the order that version 0.1 wrote."""
        content: dict[str, Any] = {}
        for name, value in asdict(self).items():
            content[JSON_NAMES.get(name, name)] = value
            if name == "centred":
                content["forgets_centre"] = self.recipe == "published"
            if name == "thinned":
                content["damping"] = "published" if self.recipe == "published" else "preset"
        return content


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
        device: ``cpu``, ``cuda``, or ``auto``: cuda where there is one that works.

    Raises:
        TrainingError: cuda is asked for and not there, or does not work; no such device.
    """
    if recipe == "published":
        from timbrekit.training.published import published_settings as settings_of  # it builds on this module
    else:
        settings_of = _own_settings
    settings = replace(settings_of(model), seed=seed, device=find_device(device))
    return settings if epochs is None else replace(settings, epochs=epochs)


def _own_settings(model: ModelName | None) -> Settings:
    return Settings(model=model or Settings.model)


def find_device(device: str) -> str:
    """``cpu`` or ``cuda``, of one of ``DEVICES``.

    Raises:
        TrainingError: as :func:`make_settings`.
    """
    if device not in DEVICES:
        raise TrainingError(f"The device is one of {', '.join(DEVICES)}, not {device!r}.")
    if device == "cpu":
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
    import torch

    if not torch.cuda.is_available():
        return ""
    try:
        (torch.ones(1, device="cuda") + 1).item()
    except (RuntimeError, AssertionError) as error:
        return f" ({first_line(error)})"
    return None
