"""What a model file says about itself: the JSON inside it, and how a network is written down in it.

Schema 1. The document lies in the TorchScript archive as the extra file ``timbrekit.json``; docs/model_file.md
describes every key. Readers ignore keys that they do not know; a change that would mislead them counts the
schema up.
"""

import base64
import datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from timbrekit import __version__
from timbrekit.export.model_file import SCHEMA
from timbrekit.features import ONSET_FEATURE_UNITS, ONSET_FEATURES, ONSET_WINDOW
from timbrekit.mapping import Mapping
from timbrekit.presets import Preset
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take


def describe_training(
    mapping: Mapping,
    preset: Preset,
    take: Take,
    name: str,
    recording_seconds: float,
    settings: Settings,
    error_ratio: float,
) -> dict[str, Any]:
    """``build_metadata`` of a mapping trained on a take. ``error_ratio``: of the hits that were held out."""
    training = {
        "recording_seconds": recording_seconds,
        "hits": len(take),
        "settings": settings.to_json(),
        "error_ratio": error_ratio,
    }
    return build_metadata(
        mapping,
        preset,
        take.hits.sample_rate,
        take.hits.settings,
        take.minimum,
        take.maximum,
        name,
        training,
        take.onset.median(0).values,
    )


def onset_ranges(metadata: dict[str, Any]) -> NDArray[np.float32]:
    """``(2, 3)`` lowest and highest onset features of the training.

    Raises:
        KeyError, TypeError, ValueError: the description lacks them, or they are not three finite numbers each.
    """
    features = metadata["onset_features"]
    ranges = np.array([features["minimum"], features["maximum"]], dtype=np.float32)
    if ranges.shape != (2, len(ONSET_FEATURES)) or not np.isfinite(ranges).all():
        raise ValueError("the ranges of the onset features are not three numbers each")
    return ranges


def build_metadata(
    mapping: Mapping,
    preset: Preset,
    sample_rate: int,
    detector: DetectorSettings,
    feature_minimum: Tensor,
    feature_maximum: Tensor,
    name: str | None = None,
    training: dict[str, Any] | None = None,
    feature_median: Tensor | None = None,
) -> dict[str, Any]:
    """Everything that a player of the model, or its owner a year later, needs to know.

    Args:
        mapping: the trained network.
        preset: what it modulates.
        sample_rate: Hz that it was trained for.
        detector: onset settings that it was trained with.
        feature_minimum, feature_maximum: ``(3,)`` ranges of the onset features over the training take.
        name: for people; the preset's title by default.
        training: how it came about: hits used, errors, seed and the like. Plain JSON values.
        feature_median: ``(3,)`` of the onset features over the training take.
    """
    return {
        "schema": SCHEMA,
        "name": name or preset.title,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "sample_rate": sample_rate,
        "synth": preset.synth,
        "preset": {"name": preset.name, "title": preset.title, "values": preset.values},
        "parameters": [
            {"key": p.key, "title": p.title, "unit": p.unit, "min": p.minimum, "max": p.maximum}
            for p in preset.parameters
        ],
        "onset_features": {
            "order": list(ONSET_FEATURES),
            "units": list(ONSET_FEATURE_UNITS),
            "window_samples": ONSET_WINDOW,
            "minimum": [float(value) for value in feature_minimum],
            "maximum": [float(value) for value in feature_maximum],
            **({} if feature_median is None else {"median": [float(value) for value in feature_median]}),
        },
        "detector": detector.to_json(),
        "network": {"layers": network_layers(mapping)},
        "training": training or {},
        "versions": {"timbrekit": __version__, "torch": torch.__version__.split("+")[0]},
        **({} if preset.drum is None else {"drum": dict(preset.drum)}),
    }


def fold_centre(mapping: Mapping) -> nn.Sequential:
    """The mapping's network for plain [0, 1] inputs: W (x - c) + b is W x + (b - W c)."""
    first, *rest = mapping.network
    folded = nn.Linear(
        first.in_features, first.out_features, bias=first.bias is not None or bool(mapping.centre.any())
    )
    with torch.no_grad():
        folded.weight.copy_(first.weight)
        if folded.bias is not None:
            folded.bias.copy_((0 if first.bias is None else first.bias) - first.weight @ mapping.centre)
    return nn.Sequential(folded, *rest)


def network_layers(mapping: Mapping) -> list[dict[str, Any]]:
    """The network as a list of layers to apply in turn, from 3 features in [0, 1] to modulations."""
    layers: list[dict[str, Any]] = []
    for layer in fold_centre(mapping):
        if isinstance(layer, nn.Linear):
            layers.append(
                {
                    "type": "linear",
                    "rows": layer.in_features,
                    "cols": layer.out_features,
                    "weight": encode(layer.weight),
                    "bias": None if layer.bias is None else encode(layer.bias),
                }
            )
        elif isinstance(layer, nn.LayerNorm):
            layers.append({"type": "layer_norm", "eps": layer.eps})
        elif isinstance(layer, nn.ReLU):
            layers.append({"type": "relu"})
        elif isinstance(layer, nn.Tanh):
            layers.append({"type": "tanh"})
        elif isinstance(layer, nn.Hardtanh):
            layers.append({"type": "clamp", "min": layer.min_val, "max": layer.max_val})
        else:
            raise TypeError(f"no description for a layer of type {type(layer).__name__}")
    layers.append({"type": "scale", "weight": encode(mapping.damping)})
    return layers


def encode(values: Tensor) -> str:
    """Base64 of little-endian float32 in row-major order."""
    return base64.b64encode(values.detach().cpu().numpy().astype("<f4").tobytes()).decode("ascii")


def decode(text: str, *shape: int) -> np.ndarray:
    """The array that :func:`encode` wrote."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)
