"""Load a model and run it, to see whether the plug-in could. Only arithmetic is run.

A stranger's model comes here only in a process of its own (``guard``).
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from timbrekit.errors import first_line
from timbrekit.export.archive import NotAModel, unpack
from timbrekit.features.mel_looks import FEATURES, LOOKS
from timbrekit.mapping import NUM_INPUTS
from timbrekit.synth.parameters import NUM_PARAMETERS

MEMORY_BYTES = 1 << 30  # for a stranger's model, beyond what torch takes; our largest needs about 1 MB
MAX_OPERATIONS = 1000  # in one model; the largest published one has 17
GRID = 13  # points per axis of the input cube on which the output has to be finite
LOOKS_PROBES = 200  # random features of looks instead of that
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
FORBIDDEN_FORMS = frozenset(  # of allowed ones
    {
        *("aten::addmm.dtype", "aten::bmm.dtype", "aten::mm.dtype"),  # since 2.1.1
        "aten::where",  # with a condition alone, the size of its answer depends on the numbers: see guard.py
    }
)


@dataclass(frozen=True)
class Verdict:
    """What there is to say about a model that was loaded and run."""

    harm: list[str] = field(default_factory=list)  # why it must not be run at all, one sentence each
    problems: list[str] = field(default_factory=list)  # why the plug-in cannot use what it answers
    notes: list[str] = field(default_factory=list)  # what works, but not as well as it could


def examine(content: bytes, parameters: int = NUM_PARAMETERS, hears_looks: bool = False) -> Verdict:
    """Load a model file and run it over its inputs.

    Args:
        parameters: that it has to answer with.
        hears_looks: it is a mapping over looks: features of all looks go in, an answer to each comes out.
    """
    try:
        return examine_module(load(content), parameters, hears_looks)
    except NotAModel as problem:
        return Verdict([str(problem)])
    except MemoryError:
        return Verdict([_too_much_memory()])


def examine_module(
    model: torch.jit.ScriptModule, parameters: int = NUM_PARAMETERS, hears_looks: bool = False
) -> Verdict:
    """Run a loaded model over its inputs, if all that it does is arithmetic. Arguments as in :func:`examine`.

    Raises:
        MemoryError: it asks for more than there is.
    """
    harm = _harm_of_graph(model)
    problems = [] if harm else _problems_of_output(model, parameters, hears_looks)
    notes = []
    if any(weights.requires_grad for weights in model.parameters()):
        notes.append(
            "The model was saved with gradients on, which makes the first hit late (measured in the plug-in: 3.7 ms "
            "on the audio thread against 0.9). It works; frozen it would be quicker."
        )
    return Verdict(harm, problems, notes)


def load(content: bytes) -> torch.jit.ScriptModule:
    """Load an archive, once libtorch's reader sees in it what Python's does. Its code is not run by that.

    Damaged pickles have crashed libtorch's loader: those of strangers are loaded under guard first.

    Raises:
        NotAModel: it cannot be loaded.
        MemoryError: it asks for more than there is.
    """
    _compare_with_libtorch(content, unpack(content))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(io.BytesIO(content), map_location="cpu")
    except Exception as error:  # mostly RuntimeError; what libtorch throws at damaged code and pickles varies
        if _is_about_memory(error):
            raise MemoryError from error
        raise NotAModel(f"The archive is damaged or is not TorchScript: {first_line(error)}.") from error


def _compare_with_libtorch(content: bytes, entries: dict[str, bytes]) -> None:
    """What was looked into has to be what libtorch will load: two readers can see two archives in one file.

    Raises:
        NotAModel: they differ.
    """
    try:
        reader = torch._C.PyTorchFileReader(io.BytesIO(content))  # reads the zip, and runs nothing
        names = reader.get_all_records()
        same = set(names) <= set(entries) and all(reader.get_record(name) == entries[name] for name in names)
    except (RuntimeError, ValueError) as error:  # ValueError: a message or a name that is no text
        raise NotAModel(
            f"The archive is damaged ({first_line(error)}). Copy or download the file again."
        ) from error
    if not same or not {"data.pkl", "constants.pkl"} <= set(names):
        raise NotAModel("The archive is damaged: its directory and its content do not agree.")


def _harm_of_graph(model: torch.jit.ScriptModule) -> list[str]:
    try:
        graph = model.inlined_graph
    except (RuntimeError, AttributeError) as error:
        if _is_about_memory(error):
            raise MemoryError from error
        return ["The model has no forward method that takes the three features."]
    every = list(nodes(graph))
    operators = {node.kind() for node in every}
    problems = []
    # A frozen module has no such attribute: it cannot be in training mode.
    in_training = any(getattr(module, "training", False) for module in model.modules())
    if in_training and operators & {"aten::dropout", "aten::batch_norm"}:
        problems.append(
            "The model was saved in training mode, so its dropout or batch norm stays random: call eval()."
        )
    forms = {node.schema().partition("(")[0] for node in every if node.schema() != "(no schema)"}
    unknown = sorted((operators - ALLOWED_OPERATORS) | (forms & FORBIDDEN_FORMS))
    if unknown:
        problems.append(
            f"The model uses {', '.join(unknown[:10])}, which is none of the plain arithmetic that is known to work in "
            "the plug-in (libtorch 2.1.1); the plug-in's host can crash on an operator that it lacks."
        )
    if len(every) > MAX_OPERATIONS:
        problems.append(
            f"The model takes {len(every)} operations, more than {MAX_OPERATIONS}; the plug-in runs it on the audio "
            "thread at every hit."
        )
    return problems


def nodes(graph: Any) -> Iterator[Any]:
    """All of a TorchScript graph, those in its loops and branches among them."""
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from nodes(block)


def _problems_of_output(model: torch.jit.ScriptModule, parameters: int, hears_looks: bool) -> list[str]:
    if hears_looks:  # features in dB, from silence to full scale
        source = torch.Generator().manual_seed(0)
        cube = torch.rand(LOOKS_PROBES, FEATURES[-1], generator=source) * 100 - 80
        expected, asked = (2, len(LOOKS), parameters), "features of looks"
    else:
        cube = torch.cartesian_prod(*[torch.linspace(0, 1, GRID)] * NUM_INPUTS)
        expected, asked = (2, parameters), "three features"
    try:
        with torch.no_grad():
            first = model(torch.ones(1, cube.shape[1]))
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
        if _is_about_memory(error):
            raise MemoryError from error
        return [f"The model cannot be called with {asked}: {_cause(error)}."]
    finite = outputs.isfinite().flatten(1).all(1)
    if not finite.all():
        return [
            f"The model's output is not a finite number for {1 - float(finite.float().mean()):.0%} of the inputs; one "
            "such hit silences the plug-in until it is opened again."
        ]
    if not torch.equal(outputs[::RANDOM_PROBE], again):
        return ["The model answers the same input differently each time: something random is left in it."]
    return []


def _is_about_memory(error: BaseException) -> bool:
    """libtorch's allocator, its vectors and Python each say it in their own way."""
    words = str(error)
    return isinstance(error, MemoryError) or any(
        sign in words
        for sign in ("can't allocate memory", "not enough memory", "bad_alloc", "Storage size calc")
    )


def _too_much_memory() -> str:
    return (
        f"The model asks for more than {MEMORY_BYTES >> 20} MiB of memory; a model for the plug-in needs one or two. "
        "Do not load it."
    )


def _cause(error: BaseException) -> str:
    """TorchScript puts what went wrong at the end, after a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return first_line(RuntimeError(lines[-1])) if lines else type(error).__name__
