"""Is a file what the plug-in needs? Says why not in words, for any file that a user may have.

No pickled Python is ever executed: the archive is looked into as a zip, its operators are held against a list, and
only a model made of plain arithmetic is run, a stranger's in a process of its own with limits on time and memory.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import NotAModel, read_file, unpack
from timbrekit.export.examine import Verdict, examine, load
from timbrekit.export.guard import try_out
from timbrekit.export.model_file import (
    EXTRA_FILE,
    MEL,
    ModelFile,
    description,
    hosts_of,
    listener_of,
    parameters_of_model,
    problem_with_host,
    read_metadata,
)
from timbrekit.export.torchdrum import PluginModel, serialize
from timbrekit.mapping import MODEL_NAMES, NUM_INPUTS, Mapping, build_network, count_weights

__all__ = ["CheckResult", "check_model", "open_model", "read_metadata"]


@dataclass(frozen=True)
class CheckResult:
    """Whether the plug-in will load and play a file, and why not."""

    ready: bool
    problems: list[str]  # one sentence each
    notes: list[str]  # what works, but not as well as it could
    metadata: dict[str, Any]  # as written by timbrekit; empty for a file from elsewhere
    hosts: tuple[str, ...] = ()  # that have a voice for what it plays


def check_model(path: str | Path) -> CheckResult:
    """Check any file against the plug-in's contract.

    Raises:
        ModelFileError: there is no such file, or it cannot be read at all.
    """
    try:
        content = read_file(Path(path))
        entries = unpack(content)
        metadata, undescribed = description(entries)
    except NotAModel as problem:
        return CheckResult(False, [str(problem)], [], {})
    notes = []
    if undescribed and f"extra/{EXTRA_FILE}" in entries:
        notes.append(f"{undescribed} The plug-in does not look at it.")
    verdict = _examine_guarded(content, entries, metadata)
    problems = verdict.harm or verdict.problems
    hosts = () if problems or undescribed else tuple(hosts_of(metadata))
    if not problems and (problem := problem_with_host(metadata, "torchdrum")):
        problems = [problem]
    return CheckResult(not problems, problems, notes + verdict.notes, metadata, hosts)


def open_model(path: str | Path) -> ModelFile:
    """Read a model file and vet it, once: its archive, its operators and a run under guard are known to do no harm.

    Whether a host can use what it answers stands in the result's ``problems``.

    Raises:
        ModelFileError: there is no such file, or it is no model, or does more than arithmetic.
    """
    path = Path(path)
    try:
        content = read_file(path)
        entries = unpack(content)
        metadata, undescribed = description(entries)
        verdict = _examine_guarded(content, entries, metadata)
        if verdict.harm:
            raise NotAModel(verdict.harm[0])
        module = load(content)
    except NotAModel as problem:
        raise ModelFileError(f"{path.name}: {problem}") from problem
    return ModelFile(path, module, metadata, tuple(verdict.problems), undescribed)


def _examine_guarded(content: bytes, entries: dict[str, bytes], metadata: dict[str, Any]) -> Verdict:
    """``examine``, in a process of its own unless all but the numbers is as our own exporter writes it."""
    parameters = parameters_of_model(metadata)
    if listener_of(metadata) == MEL:
        return try_out(content, parameters, True)
    ours = _is_ours(entries, parameters)
    return examine(content, parameters) if ours else try_out(content, parameters)


def _is_ours(entries: dict[str, bytes], parameters: int) -> bool:
    """Whether the exporter, with this torch, writes such a file for one of our networks."""
    program = _program(entries)
    size = sum(len(data) for name, data in entries.items() if name.startswith("constants/"))
    sizes = _our_sizes(parameters).items()
    return any(program == _our_program(*kind, parameters) for kind, expected in sizes if size == expected)


def _program(entries: dict[str, bytes]) -> frozenset[tuple[str, bytes | int]]:
    """Code, structure and shapes of a model file, without its description and the numbers in its tensors."""
    return frozenset(
        (name, len(data) if name.startswith("constants/") else data)
        for name, data in entries.items()
        if not name.startswith("extra/")
    )


@cache
def _our_sizes(parameters: int) -> dict[tuple[str, bool], int]:
    """Bytes of numbers in the file of each of our networks, plain and with a centre folded in."""
    kinds = [(name, centred) for name in MODEL_NAMES for centred in (False, True)]
    return {kind: 4 * count_weights(PluginModel(_mapping_of(*kind, parameters))) for kind in kinds}


@cache
def _our_program(name: str, centred: bool, parameters: int) -> frozenset[tuple[str, bytes | int]]:
    return _program(unpack(serialize(_mapping_of(name, centred, parameters), {})))


def _mapping_of(name: str, centred: bool, parameters: int) -> Mapping:
    """One with the structure that a trained one has."""
    network, values = build_network(name, outputs=parameters), torch.linspace(0.1, 0.9, parameters)
    for number, weights in enumerate(network.parameters()):  # torch writes equal tensors only once
        weights.data.fill_(number / 100)
    return Mapping(network, values, values / 2, torch.full((NUM_INPUTS,), 0.5) if centred else None)
