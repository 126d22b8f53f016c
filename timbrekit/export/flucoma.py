"""Write a model's mapping for FluCoMa: JSON for ``fluid.mlpregressor~`` and ``fluid.normalize~``.

FluCoMa's network is layers of weights, each with one of four activations. So it holds a mapping without layer
normalisation, with the damping and the preset as one more layer: out come 14 normalised parameters. The features
that go in and the 808 that plays are the patch's own. docs/hosts.md tells how to load the files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from timbrekit.errors import ModelFileError, OutputError, first_line
from timbrekit.export.metadata import decode, onset_ranges
from timbrekit.export.model_file import ModelFile
from timbrekit.files import atomic_path
from timbrekit.plugin.rehearse import NUM_FEATURES, run_network
from timbrekit.synth.parameters import NUM_PARAMETERS

IDENTITY, RELU, TANH = 0, 2, 3  # FluCoMa's numbers; 1 is the sigmoid
TOLERANCE = 1e-5  # between the JSON's answers and the model file's, in normalised units
MAPPING_NAME, NORMALIZE_NAME = "mapping.json", "normalize.json"


def write_flucoma(model: ModelFile, out: str | Path) -> tuple[Path, Path]:
    """Write both files, or neither, once their answers have been held against the model's.

    Args:
        model: a file that training wrote, with ``--model mlp-plain`` or ``linear``.
        out: a folder, for ``mapping.json`` and ``normalize.json``; or the mapping's file, ``NAME.json``, beside
            which ``NAME-normalize.json`` is written.

    Returns:
        The paths of the mapping and of the normaliser.

    Raises:
        ModelFileError: the model has layer normalisation, or is not one that timbrekit wrote.
        OutputError: the files cannot be written.
    """
    out = Path(out)
    metadata = model.for_export("flucoma").metadata
    _, preset = run_network(model.module, np.zeros((0, NUM_FEATURES), np.float32))
    try:
        mapping = {"layers": _layers(metadata["network"]["layers"], preset, model.name)}
        normalizer = _normalizer(metadata)
        contents = [json.dumps(content, allow_nan=False) + "\n" for content in (mapping, normalizer)]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{model.name}: its description of the network is not whole ({type(error).__name__}: "
            f"{first_line(error)}). Train or export the model again with this version of timbrekit."
        ) from error
    _prove(json.loads(contents[0]), model.module, preset)
    mapping_path, normalizer_path = _paths(out)
    with atomic_path(mapping_path) as first, atomic_path(normalizer_path) as second:
        first.write_text(contents[0], encoding="utf-8")
        second.write_text(contents[1], encoding="utf-8")
    return mapping_path, normalizer_path


def evaluate(mapping: dict[str, Any], features: NDArray[np.float64]) -> NDArray[np.float64]:
    """What ``fluid.mlpregressor~`` answers: (n, inputs) to (n, outputs), of a mapping in its format."""
    activations = (lambda x: x, lambda x: 1 / (1 + np.exp(-x)), lambda x: np.maximum(x, 0), np.tanh)
    for layer in mapping["layers"]:
        total = features @ np.array(layer["weights"]) + np.array(layer["biases"])
        features = activations[layer["activation"]](total)
    return features


def _paths(out: Path) -> tuple[Path, Path]:
    if out.suffix.lower() == ".json":
        return out, out.with_name(f"{out.stem}-normalize.json")
    if out.suffix and not out.is_dir():
        raise OutputError(
            f"FluCoMa reads JSON, and {out.name} is neither a .json file nor a folder: give NAME.json."
        )
    return out / MAPPING_NAME, out / NORMALIZE_NAME


def _layers(described: list[dict[str, Any]], preset: NDArray[np.float32], name: str) -> list[dict[str, Any]]:
    """FluCoMa's layers for those of the model file, with the preset added at the end."""
    layers: list[dict[str, Any]] = []
    scale = np.ones(NUM_PARAMETERS)
    offset = np.zeros(NUM_PARAMETERS)
    mixing = np.eye(NUM_PARAMETERS)  # of the last layer, from what stands before it
    for layer in described:
        if layer["type"] == "linear":
            weight = decode(layer["weight"], layer["cols"], layer["rows"]).astype(float)
            bias = np.zeros(layer["cols"]) if layer["bias"] is None else decode(layer["bias"], layer["cols"])
            layers.append(_layer(weight.T, bias, IDENTITY))
        elif layer["type"] in ("relu", "tanh"):
            layers[-1]["activation"] = RELU if layer["type"] == "relu" else TANH
        elif layer["type"] == "clamp":
            # relu(x - low) - relu(x - high) + low: two of each, and the last layer takes their difference.
            low, high, eye = float(layer["min"]), float(layer["max"]), np.eye(NUM_PARAMETERS)
            ends = np.repeat([-low, -high], NUM_PARAMETERS)
            layers.append(_layer(np.hstack([eye, eye]), ends, RELU))
            mixing, offset = np.vstack([eye, -eye]), np.full(NUM_PARAMETERS, low)
        elif layer["type"] == "scale":
            scale = decode(layer["weight"], NUM_PARAMETERS).astype(float)
        else:
            raise ModelFileError(
                f"{name} has a layer of type {layer['type']}, which FluCoMa's network cannot express."
            )
    layers.append(_layer(mixing * scale, offset * scale + preset, IDENTITY))
    return layers


def _layer(weights: NDArray, biases: NDArray, activation: int) -> dict[str, Any]:
    """``weights``: (inputs, outputs), the transpose of torch's."""
    rows, cols = weights.shape
    return {
        "activation": activation,
        "biases": np.asarray(biases, float).tolist(),
        "rows": rows,
        "cols": cols,
        "weights": np.asarray(weights, float).tolist(),
    }


def _normalizer(metadata: dict[str, Any]) -> dict[str, Any]:
    minimum, maximum = onset_ranges(metadata).tolist()
    for i in range(NUM_FEATURES):
        if minimum[i] == maximum[i]:  # FluCoMa makes 0 of an empty range, the plug-in 0.5
            minimum[i], maximum[i] = minimum[i] - 0.5, maximum[i] + 0.5
    return {"cols": NUM_FEATURES, "data_min": minimum, "data_max": maximum, "min": 0.0, "max": 1.0}


def _prove(mapping: dict[str, Any], network: torch.jit.ScriptModule, preset: NDArray[np.float32]) -> None:
    axis = np.linspace(0, 1, 7)
    grid = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, NUM_FEATURES)
    modulation, _ = run_network(network, grid.astype(np.float32))
    difference = np.abs(evaluate(mapping, grid) - (preset + modulation)).max()
    if not difference <= TOLERANCE:  # put this way, NaN does not pass
        raise ModelFileError(
            f"The files for FluCoMa would not answer as the model does: they differ by {difference:.1e}, more than "
            f"{TOLERANCE:.0e}. The model file's description does not fit its network: export the model again."
        )
