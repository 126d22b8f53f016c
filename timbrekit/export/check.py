"""Is a file what the plug-in needs? Says why not in words, for any file that a user may have.

No pickled Python is ever executed: the archive is looked into as a zip, its operators are held against a list, and
only a model made of plain arithmetic is run.
"""

import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import NotAModel, first_line, read_file, unpack
from timbrekit.export.metadata import EXTRA_FILE, SCHEMA
from timbrekit.mapping import NUM_INPUTS
from timbrekit.parameters import NUM_PARAMETERS

MAX_MODEL_BYTES = 128 * 1024  # what timbrekit writes
MAX_OPERATIONS = 1000  # in one model; the largest published one has 17
GRID = 13  # points per axis of the input cube on which the output has to be finite
RANDOM_PROBE = 7  # every so many of them are asked again, and have to answer the same

# Operators of arithmetic that libtorch 2.1.1 has (each verified there, docs/model_file.md). One that it lacks takes
# the plug-in's host down with it; one with side effects (files, printing, loops) has no place in a model.
ALLOWED_OPERATORS = frozenset(
    f"aten::{name}"
    for name in """
    abs add add_ addmm alias arange batch_norm bmm broadcast_to cat ceil celu chunk clamp clamp_ clamp_max
    clamp_min clip concat constant_pad_nd contiguous cos detach div div_ dropout elu eq erf exp expand expand_as
    flatten floor full full_like ge gelu gt hardsigmoid hardswish hardtanh hardtanh_ index_select layer_norm le
    leaky_relu lerp linear linspace log log1p log_softmax logical_and logical_not lt matmul maximum mean minimum
    mish mm mul mul_ narrow ne neg ones ones_like permute pow prelu reciprocal relu relu6 relu_ reshape rsqrt
    rsub select selu sigmoid sign silu sin size slice softmax softplus split sqrt squeeze stack std sub sub_ sum
    t tanh tanh_ tensor to transpose unbind unsqueeze unsqueeze_ var view vstack where zeros zeros_like
    """.split()
) | frozenset(
    f"prim::{name}"
    for name in "Constant GetAttr ListConstruct ListUnpack NumToTensor TupleConstruct TupleUnpack device dtype".split()
)
NEWER_FORMS = frozenset(
    {"aten::addmm.dtype", "aten::bmm.dtype", "aten::mm.dtype"}
)  # of allowed ones, since 2.1.1


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
    try:
        content = read_file(Path(path))
        entries = unpack(content)
    except NotAModel as problem:
        return CheckResult(False, [str(problem)], [], {})
    metadata, metadata_problem = _read_embedded(entries)
    notes = [f"{metadata_problem} The plug-in does not look at it."] if metadata_problem else []
    try:
        model = _load(content)
    except NotAModel as problem:
        return CheckResult(False, [str(problem)], notes, metadata)
    problems = _problems_of_graph(model) or _problems_of_output(model)
    if any(weights.requires_grad for weights in model.parameters()):
        notes.append(
            "The model was saved with gradients on, which makes the first hit late (measured in the plug-in: 3.7 ms "
            "on the audio thread against 0.9). It works; frozen it would be quicker."
        )
    return CheckResult(not problems, problems, notes, metadata)


def load_harmless(path: str | Path) -> torch.jit.ScriptModule:
    """Load a model file to run it, once its archive and its operators are known to do no harm.

    What it answers is not looked at: :func:`check_model` says whether the plug-in can use it.

    Raises:
        ModelFileError: there is no such file, or it is no model, or does more than arithmetic.
    """
    path = Path(path)
    try:
        content = read_file(path)
        unpack(content)
        model = _load(content)
    except NotAModel as problem:
        raise ModelFileError(f"{path.name}: {problem}") from problem
    problems = _problems_of_graph(model)
    if problems:
        raise ModelFileError(f"{path.name}: {problems[0]}")
    return model


def _load(content: bytes) -> torch.jit.ScriptModule:
    """Load an archive that was looked into (:func:`unpack`). Its code is not run by that."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(io.BytesIO(content), map_location="cpu")
    except Exception as error:  # mostly RuntimeError; what libtorch throws at damaged code and pickles varies
        raise NotAModel(f"The archive is damaged or is not TorchScript: {first_line(error)}.") from error


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a model file written by timbrekit says about itself.

    Raises:
        ModelFileError: no such file, not a model file, or one without metadata.
    """
    path = Path(path)
    try:
        metadata, problem = _read_embedded(unpack(read_file(path)))
    except NotAModel as error:
        raise ModelFileError(f"{path.name}: {error}") from error
    if not metadata and not problem:
        problem = "The file says nothing about its preset and ranges: timbrekit did not write it."
    if problem:
        raise ModelFileError(f"{path.name}: {problem}")
    return metadata


def _read_embedded(entries: dict[str, bytes]) -> tuple[dict[str, Any], str | None]:
    document = entries.get(f"extra/{EXTRA_FILE}")
    if document is None:
        return {}, None
    try:
        metadata = json.loads(document)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        return {}, "The description inside the file (timbrekit.json) is damaged."
    if metadata.get("schema") != SCHEMA:
        return metadata, (
            f"The description inside the file has schema {str(metadata.get('schema'))[:20]}, and this timbrekit reads "
            f"schema {SCHEMA}: update timbrekit."
        )
    return metadata, None


def _problems_of_graph(model: torch.jit.ScriptModule) -> list[str]:
    try:
        graph = model.inlined_graph
    except (RuntimeError, AttributeError):
        return ["The model has no forward method that takes the three features."]
    nodes = list(_nodes(graph))
    operators = {node.kind() for node in nodes}
    problems = []
    # A frozen module has no such attribute: it cannot be in training mode.
    in_training = any(getattr(module, "training", False) for module in model.modules())
    if in_training and operators & {"aten::dropout", "aten::batch_norm"}:
        problems.append(
            "The model was saved in training mode, so its dropout or batch norm stays random: call eval()."
        )
    forms = {node.schema().partition("(")[0] for node in nodes if node.schema() != "(no schema)"}
    unknown = sorted((operators - ALLOWED_OPERATORS) | (forms & NEWER_FORMS))
    if unknown:
        problems.append(
            f"The model uses {', '.join(unknown[:10])}, which is none of the plain arithmetic that is known to work in "
            "the plug-in (libtorch 2.1.1); the plug-in's host can crash on an operator that it lacks."
        )
    if len(nodes) > MAX_OPERATIONS:
        problems.append(
            f"The model takes {len(nodes)} operations, more than {MAX_OPERATIONS}; the plug-in runs it on the audio "
            "thread at every hit."
        )
    return problems


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)


def _problems_of_output(model: torch.jit.ScriptModule) -> list[str]:
    cube = torch.cartesian_prod(*[torch.linspace(0, 1, GRID)] * NUM_INPUTS)
    expected = (2, NUM_PARAMETERS)
    try:
        with torch.no_grad():
            first = model(torch.ones(1, NUM_INPUTS))
            if not isinstance(first, torch.Tensor) or tuple(first.shape) != expected:
                shape = tuple(first.shape) if isinstance(first, torch.Tensor) else f"a {type(first).__name__}"
                return [f"The model answers with {shape}; the plug-in needs a tensor of shape {expected}."]
            if first.dtype != torch.float32:
                return [
                    f"The model answers with numbers of type {first.dtype}; the plug-in needs torch.float32."
                ]
            outputs = torch.stack([model(point[None]) for point in cube])
            again = torch.stack([model(point[None]) for point in cube[::RANDOM_PROBE]])
    except Exception as error:  # whatever a stranger's model raises, the answer is the same
        return [f"The model cannot be called with three features: {_cause(error)}."]
    finite = outputs.isfinite().flatten(1).all(1)
    if not finite.all():
        return [
            f"The model's output is not a finite number for {1 - float(finite.float().mean()):.0%} of the inputs; one "
            "such hit silences the plug-in until it is opened again."
        ]
    if not torch.equal(outputs[::RANDOM_PROBE], again):
        return ["The model answers the same input differently each time: something random is left in it."]
    return []


def _cause(error: BaseException) -> str:
    """TorchScript puts what went wrong at the end, after a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return first_line(RuntimeError(lines[-1])) if lines else type(error).__name__
