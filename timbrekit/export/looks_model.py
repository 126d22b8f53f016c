"""Write the model file of a mapping over looks, and prove it before handing it over. TorchDrum cannot play it.

The module: ``(n, 104)`` features in dB to ``(n + 1, 5, parameters)``, modulations at each look and then the preset, in
plain arithmetic as all models are (``timbrekit.export.examine``). docs/listener.md has the description inside.
"""

import copy
from pathlib import Path
from typing import Any

import torch

from timbrekit.export.metadata import encode
from timbrekit.export.model_file import LOOKS_SCHEMA, MEL, ModelFile
from timbrekit.export.torchdrum import load_proved, serialize_as, write_proved
from timbrekit.features.mel_looks import FEATURES, LOOKS
from timbrekit.mapping_looks import LooksMapping, LooksModel
from timbrekit.synth.updates import GLIDES

TOLERANCE = 1e-5  # between the file and the mapping it was written from
PROBES = 200  # random features


def describe_looks(metadata: dict[str, Any], mapping: LooksMapping) -> dict[str, Any]:
    """The description of a model (``timbrekit.export.metadata.build_metadata`` of its network) with all that is before
    the network."""
    estimator, aims = mapping.estimator, mapping.aims
    arrays = ("mean", "scale", "low", "high", "known", "offset", "linear", "weights")
    looks = {
        "windows": [[look.before, look.after, look.bands, look.parts] for look in LOOKS],
        "glide": list(GLIDES),
        "hits": len(estimator.known),
        **{name: encode(getattr(estimator, name)) for name in arrays},
        "aims": {name: encode(getattr(aims, name)) for name in ("now", "before", "offset")},
    }
    return {**metadata, "schema": LOOKS_SCHEMA, "listener": MEL, "looks": looks}


def write_looks_model(mapping: LooksMapping, metadata: dict[str, Any], path: str | Path) -> ModelFile:
    """As ``timbrekit.export.torchdrum.write_model``; to the metadata of the network what is before it is added."""
    content = serialize(mapping, describe_looks(metadata, mapping))
    return write_proved(content, path, lambda written: _prove(written, mapping))


def serialize(mapping: LooksMapping, metadata: dict[str, Any]) -> bytes:
    """As ``timbrekit.export.torchdrum.serialize``; ``metadata`` from :func:`describe_looks`."""
    model = LooksModel(copy.deepcopy(mapping)).eval().requires_grad_(False)
    return serialize_as(_traced, model, metadata)


def _traced(model: LooksModel) -> torch.jit.ScriptModule:
    """Traced, as the loop over looks has no place in plain arithmetic."""
    return torch.jit.trace(model, torch.zeros(2, FEATURES[-1]), check_trace=False)


def _prove(content: bytes, mapping: LooksMapping) -> torch.jit.ScriptModule:
    """The model in the file, once it is known to answer as the mapping does."""
    probes = torch.rand(PROBES, FEATURES[-1], generator=torch.Generator().manual_seed(1)) * 100 - 80
    with torch.no_grad():
        expected = LooksModel(mapping)(probes)
    return load_proved(content, len(mapping.preset), probes, [(expected, TOLERANCE)], hears_looks=True)
