"""Write a model file for the TorchDrum plug-in, and prove it before handing it over.

The contract: a frozen TorchScript module in evaluation mode, ``forward((1, 3)) -> (2, 14)``, row 0 the modulation
and row 1 the preset, both in normalised units. The plug-in runs it on the audio thread, in libtorch 2.1.1, and
does not say what is wrong with a file: so nothing leaves here that was not loaded again and checked.
"""

import copy
import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import pack, unpack
from timbrekit.export.examine import examine_module, load
from timbrekit.export.metadata import fold_centre
from timbrekit.export.model_file import EXTRA_FILE, ModelFile, description
from timbrekit.files import atomic_path
from timbrekit.mapping import NUM_INPUTS, Mapping

MAX_MODEL_BYTES = 128 * 1024
MAX_DRUM_BYTES = 512 * 1024  # more, where the file holds a drum
TOLERANCE = 1e-6  # between the file and the network it was written from
# between the file and the mapping before the centre was folded in, which rounds anew
FOLDING_TOLERANCE = 1e-4
PROBES = 1000  # random inputs on which the two are compared, besides the corners of the cube


class PluginModel(nn.Module):
    """What the plug-in calls: modulations of the inputs, then one row with the preset."""

    def __init__(self, mapping: Mapping):
        super().__init__()
        self.network = fold_centre(mapping)
        self.damping = nn.Parameter(mapping.damping.clone(), requires_grad=False)
        self.preset = nn.Parameter(mapping.preset[None].clone(), requires_grad=False)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, 3)`` in [0, 1] to ``(n + 1, 14)``; the plug-in gives one row and gets two."""
        return torch.cat([self.network(features) * self.damping, self.preset])


def write_model(mapping: Mapping, metadata: dict[str, Any], path: str | Path) -> ModelFile:
    """Write, reload, prove, and only then put the file in its place.

    Args:
        mapping: the trained network, preset and damping.
        metadata: from ``timbrekit.export.metadata.build_metadata``; embedded in the file.
        path: where; what was there before stays if anything fails.

    Returns:
        What was loaded from the file to prove it.

    Raises:
        ModelFileError: the file would not be what the plug-in needs; says in what.
        OutputError: it cannot be written.
    """
    most_bytes = MAX_MODEL_BYTES + MAX_DRUM_BYTES * ("drum" in metadata)
    return write_proved(
        serialize(mapping, metadata), path, lambda written: _prove(written, mapping, most_bytes)
    )


def write_proved(
    content: bytes, path: str | Path, prove: Callable[[bytes], torch.jit.ScriptModule]
) -> ModelFile:
    """Put a model file in its place once ``prove``, given what was written, has loaded and accepted it."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        written = temporary.read_bytes()
        module = prove(written)
    described, undescribed = description(unpack(written))
    return ModelFile(Path(path), module, described, (), undescribed)


def serialize(mapping: Mapping, metadata: dict[str, Any]) -> bytes:
    """The model file's bytes: the same for the same mapping and metadata.

    Raises:
        ModelFileError: a number in the metadata is not finite, which JSON does not know.
    """
    model = PluginModel(copy.deepcopy(mapping)).eval().requires_grad_(False)  # the original stays as it is
    return serialize_as(torch.jit.script, model, metadata)


def serialize_as(
    compile_model: Callable[[nn.Module], torch.jit.ScriptModule], model: nn.Module, metadata: dict[str, Any]
) -> bytes:
    """A model file's bytes. Raises as :func:`serialize` does.

    Args:
        compile_model: makes TorchScript of the model.
        model: in evaluation mode.
        metadata: embedded in the file.
    """
    try:
        document = json.dumps(metadata, allow_nan=False)
    except ValueError as error:
        raise ModelFileError(f"The model's description cannot be written as JSON: {error}.") from error
    with warnings.catch_warnings():
        # TorchScript is deprecated in newer torch, and all that hosts load.
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.freeze(compile_model(model)), buffer, _extra_files={EXTRA_FILE: document})
    return pack(buffer.getvalue())


def _prove(content: bytes, mapping: Mapping, most_bytes: int) -> torch.jit.ScriptModule:
    """The model in the file, once it is known to answer as the mapping does."""
    if len(content) > most_bytes:
        raise ModelFileError(
            f"The model file would be {len(content) / 1024:.0f} KiB, more than {most_bytes // 1024}."
        )
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * NUM_INPUTS)
    probes = torch.cat([corners, torch.rand(PROBES, NUM_INPUTS, generator=torch.Generator().manual_seed(0))])
    with torch.no_grad():
        expected = (
            (PluginModel(mapping)(probes), TOLERANCE),
            (torch.cat([mapping(probes), mapping.preset[None]]), FOLDING_TOLERANCE),
        )
    return load_proved(content, len(mapping.preset), probes, expected)


def load_proved(
    content: bytes,
    parameters: int,
    probes: Tensor,
    expected: Sequence[tuple[Tensor, float]],
    hears_looks: bool = False,
) -> torch.jit.ScriptModule:
    """The model in a file, once it is known to work, and to answer ``probes`` as ``expected``, within tolerances."""
    loaded = load(content)
    verdict = examine_module(loaded, parameters, hears_looks)
    problems = verdict.harm or verdict.problems
    if problems:
        raise ModelFileError("The model file would not work: " + " ".join(problems))
    with torch.no_grad():
        played = loaded(probes)
    for answers, tolerance in expected:
        difference = float((played - answers).abs().max())
        if not difference <= tolerance:  # put this way, NaN does not pass
            raise ModelFileError(
                f"The model file does not play what was trained: it differs by {difference:.1e}, more than "
                f"{tolerance:.0e}."
            )
    return loaded
