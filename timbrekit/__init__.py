"""timbrekit: turn one minute of drumming into an instrument.

What a researcher imports stands here: ``Snare808``, the features, the loss, ``build_network``, ``Mapping`` and
``train``. They are loaded when they are asked for, so that a question to the command line need not wait for torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
SAMPLE_RATE = 48_000  # Hz; models are trained for it unless the player's DAW runs at another

_HOMES = {
    "Snare808": "synth.snare808",
    "onset_features": "features.onset",
    "TimbreFeatures": "features.timbre",
    "feature_difference_loss": "loss",
    "spread_weights": "loss",
    "build_network": "mapping",
    "Mapping": "mapping",
    "train": "training.train",
}
__all__ = ["SAMPLE_RATE", "__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
