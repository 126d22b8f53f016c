"""How to train: the choices in one place."""

import warnings
from dataclasses import asdict, dataclass
from typing import Any, Literal

from timbrekit.errors import TimbrekitWarning, TrainingError
from timbrekit.mapping import ModelName

NO_FLOAT64 = (
    "Apple's GPUs (mps) have no float64, which the synthesiser computes with: training runs on the CPU."
)

# How hits are held out (``timbrekit.training.split``): the end of the take; none for a test; as published.
SplitName = Literal["contiguous", "whole", "random"]

Listener = Literal["torchdrum", "mel"]

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
    """Hyperparameters. The defaults are what was found to play best; docs/training.md has the figures.

    Raises:
        TrainingError: there is no such device. (``mps`` becomes ``cpu``, with a warning that says why.)
    """

    model: ModelName = "mlp"
    recipe: Literal["timbrekit", "published"] = "timbrekit"
    epochs: int | None = None  # None: as many as make 220 steps, from 16 to 60
    batch_size: int = 16  # hits; larger batches fall out of the processor's cache and are slower per hit
    learning_rate: float = 2e-3  # at its highest: a tenth of the steps warm up, then it falls along a cosine
    warm_start: bool = True  # start from a mapping fitted to a learned surrogate of the synthesiser
    balanced: bool = True  # weight each feature by 1 / its spread over the take
    shift_probability: float = 1.0  # augmentation: an input heard a little early or late
    growing_probability: float = 0.1  # augmentation: an input heard with ranges that are still growing
    fresh_noise: bool = True  # new noise in every batch and random phases at every hit, as in the plug-in
    gradient_clip: float = 2.0  # longest gradient of a hit, in typical ones; 0: no clipping
    l2_penalty: float = 0.3  # weight of the mean squared modulation: what need not move stays with the preset
    # decay per step of the exponential moving average of the weights that is validated and kept
    ema: float = 0.98
    centred: bool = False  # subtract the reference hit's inputs, as the published code does
    features: Literal["gated", "published"] = "gated"  # published: silence counts
    thinned: bool = True  # hear every fourth frame of the sustain
    plateau: bool = False  # the published schedule: halve the rate where the validation loss stays
    split: SplitName = "contiguous"
    seed: int = 0
    device: str = "cpu"  # or cuda
    listener: Listener = "torchdrum"  # or mel: several looks while a hit rings (docs/listener.md)
    jitter: float = 0.03  # augmentation: standard deviation of noise on the inputs, which lie in [0, 1]
    expected: bool = True  # follow what onsets let expect where hits are few (training/expected.py)

    def __post_init__(self):
        if self.device == "mps":
            warnings.warn(NO_FLOAT64, TimbrekitWarning, stacklevel=3)
            object.__setattr__(self, "device", "cpu")
        if self.device.partition(":")[0] not in ("cpu", "cuda"):  # cuda:1 is the second of several
            raise TrainingError(f"The device to train on is cpu or cuda, not {self.device!r}.")

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model file, by the names and in the order that version 0.1 wrote."""
        content: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "listener" and value == "torchdrum":  # as files were before there was another
                continue
            content[JSON_NAMES.get(name, name)] = value
            if name == "centred":
                content["forgets_centre"] = self.recipe == "published"
            if name == "thinned":
                content["damping"] = "published" if self.recipe == "published" else "preset"
        return content
