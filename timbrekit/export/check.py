"""Is a file what the plug-in needs? Says why not in words, for any file that a user may have.

No pickled Python is ever executed: the archive is looked into as a zip, its operators are held against a list, and
only a model made of plain arithmetic is run, a stranger's in a process of its own with limits on time and memory.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import NotAModel, read_file, unpack
from timbrekit.export.examine import ALLOWED_OPERATORS, examine_guarded, load
from timbrekit.export.metadata import EXTRA_FILE, SCHEMA

__all__ = [
    "ALLOWED_OPERATORS",
    "MAX_MODEL_BYTES",
    "CheckResult",
    "check_model",
    "load_harmless",
    "read_metadata",
]

MAX_MODEL_BYTES = 128 * 1024  # what timbrekit writes


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
    verdict = examine_guarded(content, entries)
    problems = verdict.harm or verdict.problems
    return CheckResult(not problems, problems, notes + verdict.notes, metadata)


def load_harmless(path: str | Path) -> torch.jit.ScriptModule:
    """Load a model file to run it, once its archive, its operators and a run under guard are known to do no harm.

    What it answers is not looked at: :func:`check_model` says whether the plug-in can use it.

    Raises:
        ModelFileError: there is no such file, or it is no model, or does more than arithmetic.
    """
    path = Path(path)
    try:
        content = read_file(path)
        harm = examine_guarded(content, unpack(content)).harm
        if harm:
            raise NotAModel(harm[0])
        return load(content)
    except NotAModel as problem:
        raise ModelFileError(f"{path.name}: {problem}") from problem


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
