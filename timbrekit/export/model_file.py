"""A model file that was read: what it holds, and what it says about itself. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrekit.errors import ModelFileError
from timbrekit.export.archive import NotAModel, read_file, unpack
from timbrekit.synth import DRUM, SNARE808
from timbrekit.synth.parameters import NUM_PARAMETERS
from timbrekit.training.names import MEL, TORCHDRUM

if TYPE_CHECKING:
    import torch

SCHEMA = 1  # of the description (``timbrekit.export.metadata``)
LOOKS_SCHEMA = 3  # of one with a mapping over looks, which readers of 1 would take for another model
EXTRA_FILE = "timbrekit.json"  # its name in the archive
MADE_FOR = "made_for"  # key of the host that a file was made for, in one that no other plays
MOST_PARAMETERS = 200  # of a synthesiser
# What people call the hosts, the synthesisers that each has a voice for, and the listeners that it hears with.
HOSTS = {
    "torchdrum": ("TorchDrum", (SNARE808,), (TORCHDRUM,)),
    "page": ("the page", (SNARE808, DRUM), (TORCHDRUM, MEL)),
    "nn-tilde": ("nn~", (SNARE808, DRUM), (TORCHDRUM, MEL)),
    "flucoma": ("FluCoMa", (SNARE808,), (TORCHDRUM,)),
}


@dataclass(frozen=True)
class ModelFile:
    """A model that was read and vetted once, to be played and exported from here on."""

    path: Path
    # (n, 3) features in [0, 1] to (n + 1, parameters): modulations, then the preset
    module: torch.jit.ScriptModule
    metadata: dict[str, Any]  # as written by timbrekit; empty for a file from elsewhere
    problems: tuple[str, ...] = ()  # why no host can use what it answers, one sentence each
    undescribed: str | None = None  # why the metadata cannot be relied on

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def synth(self) -> str:
        """The name of the synthesiser that it plays."""
        return synth_of(self.metadata)

    def for_export(self, host: str) -> ModelFile:
        """Itself, if that host (of ``HOSTS``) would play it and timbrekit described it.

        Raises:
            ModelFileError: it is not so; says why.
        """
        problem = problem_with_host(self.metadata, host)
        if problem or self.problems:
            raise ModelFileError(f"{self.name} cannot be exported. {problem or ' '.join(self.problems)}")
        if self.undescribed:
            raise ModelFileError(f"{self.name}: {self.undescribed}")
        return self


def synth_of(metadata: dict[str, Any]) -> str:
    """The name of the synthesiser that a model plays. Files of version 0.1 do not say: all play the 808."""
    return str(metadata.get("synth", SNARE808))


def parameters_of_model(metadata: dict[str, Any]) -> int:
    """How many parameters a model has to answer with."""
    table = metadata.get("parameters")
    if synth_of(metadata) == SNARE808 or not isinstance(table, list) or len(table) > MOST_PARAMETERS:
        return NUM_PARAMETERS
    return len(table)


def listener_of(metadata: dict[str, Any]) -> str:
    """What a model hears with: ``torchdrum`` or ``mel``. Files of schema 1 do not say: all hear as TorchDrum does."""
    return str(metadata.get("listener", TORCHDRUM))


def problem_with_host(metadata: dict[str, Any], host: str) -> str | None:
    """Why a host (of ``HOSTS``) cannot play a model; None where it can: it hears so, and has a voice for its synth."""
    name, (title, held, listeners) = synth_of(metadata), HOSTS[host]
    if listener_of(metadata) not in listeners:
        return (
            f"The model has the listener {listener_of(metadata)[:20]!r}, and {title} hears a hit once, for 5 ms. Train "
            "without --listener mel for it, or play this model in the page or nn~."
        )
    if name in held:
        if host == "flucoma" and "layer_norm" in str(metadata.get("network")):  # a stranger's may be anything
            return (
                "It has layer normalisation, which FluCoMa's network cannot express. Train one without it: "
                "timbrekit train RECORDING --preset PRESET --out FOLDER --model mlp-plain"
            )
        return None
    return (
        f"The model plays the synthesiser {name[:40]!r}, and {title} holds {' and '.join(held)} alone. Train with "
        "one of the 808's presets for it."
    )


def hosts_of(metadata: dict[str, Any]) -> list[str]:
    """What people call the hosts that can play a model."""
    return [HOSTS[host][0] for host in HOSTS if problem_with_host(metadata, host) is None]


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a model file written by timbrekit says about itself.

    Raises:
        ModelFileError: no such file, not a model file, or one without metadata.
    """
    path = Path(path)
    try:
        metadata, problem = description(unpack(read_file(path)))
    except NotAModel as error:
        raise ModelFileError(f"{path.name}: {error}") from error
    if problem:
        raise ModelFileError(f"{path.name}: {problem}")
    return metadata


def description(entries: dict[str, bytes]) -> tuple[dict[str, Any], str | None]:
    """The metadata in an archive, and why they cannot be relied on: None where they can.

    Args:
        entries: its parts, from ``timbrekit.export.archive.unpack``.

    Raises:
        NotAModel: it was made for nn~ alone.
    """
    document = entries.get(f"extra/{EXTRA_FILE}")
    if document is None:
        return {}, "The file says nothing about its preset and ranges: timbrekit did not write it."
    try:
        metadata = json.loads(document)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        return {}, "The description inside the file (timbrekit.json) is damaged."
    if MADE_FOR in metadata:
        raise NotAModel(
            "This file is for nn~ in Max and Pure Data, which plays it. Everything else takes the model.pt from which "
            "it was made."
        )
    if metadata.get("schema") != (LOOKS_SCHEMA if listener_of(metadata) == MEL else SCHEMA):
        return metadata, (
            f"The description inside the file has schema {str(metadata.get('schema'))[:20]}, and this timbrekit reads "
            f"schemas {SCHEMA} and {LOOKS_SCHEMA}: update timbrekit, or train again."
        )
    return metadata, None
