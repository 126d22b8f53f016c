"""Is a file what the plug-in needs? Says why not in words, for any file that a user may have.

No pickled Python is ever executed: the archive is looked into as a zip, its operators are held against a list, and
only a model made of plain arithmetic is run.
"""

import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from timbrekit.errors import ModelFileError
from timbrekit.export.metadata import EXTRA_FILE, SCHEMA
from timbrekit.mapping import NUM_INPUTS
from timbrekit.parameters import NUM_PARAMETERS

MAX_MODEL_BYTES = 128 * 1024  # what timbrekit writes
MAX_READ_BYTES = 16 * 1024 * 1024  # what it looks into at all, unpacked; the published models are 30 KB
MAX_ENTRIES = 1000
GRID = 21  # points per axis of the input cube on which the output has to be finite

# Operators of arithmetic that libtorch 2.1.1 has. One that it lacks takes the plug-in's host down with it; one with
# side effects (files, printing, loops) has no place in a model.
ALLOWED_OPERATORS = frozenset(
    f"aten::{name}"
    for name in """
    abs add add_ addmm alias arange batch_norm bmm broadcast_to cat ceil celu chunk clamp clamp_ clamp_max clamp_min
    clip concat constant_pad_nd contiguous cos detach div div_ dropout elu eq erf exp expand expand_as flatten floor
    full full_like ge gelu gt hardsigmoid hardswish hardtanh hardtanh_ index_select layer_norm le leaky_relu lerp
    linear log log1p log_softmax logical_and logical_not lt matmul maximum mean minimum mish mm mul mul_ narrow ne neg
    ones ones_like permute pow prelu reciprocal relu relu6 relu_ reshape rsqrt rsub select selu sigmoid sign silu sin
    size slice softmax softplus split sqrt squeeze stack std sub sub_ sum t tanh tanh_ tensor to transpose unbind
    unsqueeze unsqueeze_ var view vstack where zeros zeros_like
    """.split()
) | frozenset(
    f"prim::{name}"
    for name in "Constant GetAttr ListConstruct ListUnpack NumToTensor TupleConstruct TupleUnpack device dtype".split()
)


@dataclass(frozen=True)
class CheckResult:
    """Whether the plug-in will load and play a file, and why not."""

    ready: bool
    problems: list[str]  # one sentence each
    notes: list[str]  # what works, but not as well as it could
    metadata: dict[str, Any]  # as written by timbrekit; empty for a file from elsewhere


def check_model(path: str | Path) -> CheckResult:
    """Check any file against the plug-in's contract.

    Raises:
        ModelFileError: there is no such file, or it cannot be read at all.
    """
    path = Path(path)
    problem = _problem_with_archive(path)
    if problem:
        return CheckResult(False, [problem], [], {})
    metadata, metadata_problem = _read_embedded(path)
    problems = [metadata_problem] if metadata_problem else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        problems.append(f"The archive is damaged or is not TorchScript: {_first_line(error)}.")
        return CheckResult(False, problems, [], metadata)
    problems += _problems_of_graph(model)
    if not problems:
        problems += _problems_of_output(model)
    notes = []
    if any(weights.requires_grad for weights in model.parameters()):
        notes.append(
            "The model was saved with gradients on, which makes the first hit late (measured in the plug-in: 3.7 ms "
            "on the audio thread against 0.9). It works; frozen it would be quicker."
        )
    return CheckResult(not problems, problems, notes, metadata)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a model file written by timbrekit says about itself.

    Raises:
        ModelFileError: no such file, not a model file, or one without metadata.
    """
    path = Path(path)
    problem = _problem_with_archive(path)
    if problem:
        raise ModelFileError(f"{path.name}: {problem}")
    metadata, problem = _read_embedded(path)
    if problem or not metadata:
        raise ModelFileError(
            f"{path.name}: {problem or 'The file says nothing about its preset and ranges: timbrekit did not write it.'}"
        )
    return metadata


def _problem_with_archive(path: Path) -> str | None:
    """What is wrong with the file as an archive, found without loading it."""
    try:
        if not path.is_file():
            raise ModelFileError(f"There is no file {path}. Check the name and the folder.")
        if not zipfile.is_zipfile(path):
            return "This is not a model file: a model for the plug-in is a TorchScript archive."
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_ENTRIES or size > MAX_READ_BYTES:
                return (
                    f"The archive unpacks to {size / 2**20:.0f} MiB in {len(entries)} parts; a model for the plug-in "
                    f"is far smaller (at most {MAX_READ_BYTES // 2**20} MiB in {MAX_ENTRIES} parts)."
                )
            names = [entry.filename.partition("/")[2] for entry in entries]
            if "constants.pkl" not in names and "data.pkl" in names:
                return (
                    "This holds weights only (a state dict or a whole Python model), and the plug-in needs "
                    "TorchScript. Export the model with timbrekit, or with torch.jit.script and torch.jit.save."
                )
            if "constants.pkl" not in names or "data.pkl" not in names:
                return "This is an archive, but not a TorchScript model."
            for entry in entries:
                if entry.filename.endswith(".py") and b"__setstate__" in archive.read(entry):
                    return "The model runs code of its own when it is loaded; the plug-in's models do not."
    except ModelFileError:
        raise
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        return f"The archive is damaged ({_first_line(error)}). Copy or download the file again."
    return None


def _read_embedded(path: Path) -> tuple[dict[str, Any], str | None]:
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if n.endswith(f"/extra/{EXTRA_FILE}")), None)
        if name is None:
            return {}, None
        try:
            metadata = json.loads(archive.read(name))
        except (ValueError, zipfile.BadZipFile, RecursionError):
            metadata = None
    if not isinstance(metadata, dict):
        return {}, "The description inside the file (timbrekit.json) is damaged."
    if metadata.get("schema") != SCHEMA:
        return metadata, (
            f"The description inside the file has schema {metadata.get('schema')!r}, and this timbrekit reads schema "
            f"{SCHEMA}: update timbrekit."
        )
    return metadata, None


def _problems_of_graph(model: torch.jit.ScriptModule) -> list[str]:
    try:
        graph = model.inlined_graph
    except RuntimeError:
        return ["The model has no forward method that takes the three features."]
    problems = []
    operators = {node.kind() for node in _nodes(graph)}
    # A frozen module has no such attribute: it cannot be in training mode.
    if getattr(model, "training", False) and operators & {"aten::dropout", "aten::batch_norm"}:
        problems.append(
            "The model was saved in training mode, so its dropout or batch norm stays random: call eval()."
        )
    unknown = sorted(operators - ALLOWED_OPERATORS)
    if unknown:
        problems.append(
            f"The model uses {', '.join(unknown)}, which the plug-in's libtorch 2.1.1 may not have; the plug-in's host "
            "can crash on it."
        )
    return problems


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)


def _problems_of_output(model: torch.jit.ScriptModule) -> list[str]:
    axis = torch.linspace(0, 1, GRID)
    cube = torch.cartesian_prod(*[axis] * NUM_INPUTS)
    expected = (2, NUM_PARAMETERS)
    try:
        with torch.no_grad():
            first = model(torch.ones(1, NUM_INPUTS))
            if not isinstance(first, torch.Tensor) or tuple(first.shape) != expected:
                shape = tuple(first.shape) if isinstance(first, torch.Tensor) else type(first).__name__
                return [f"The model answers with {shape}; the plug-in needs a tensor of shape {expected}."]
            outputs = torch.stack([model(point[None]) for point in cube])
            again = model(torch.ones(1, NUM_INPUTS))
    except RuntimeError as error:
        return [f"The model cannot be called with three features: {_first_line(error)}."]
    if not outputs.isfinite().all():
        share = 1 - float(outputs.isfinite().all(-1).all(-1).float().mean())
        return [
            f"The model's output is not a finite number for {share:.0%} of the inputs; one such hit silences the "
            "plug-in until it is opened again."
        ]
    if not torch.equal(first, again):
        return ["The model answers the same input differently each time: something random is left in it."]
    return []


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
