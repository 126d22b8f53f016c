"""What every file for nn~ has in common: how a module answers nn~, how it is written, looked through and played."""

import io
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.examine import ALLOWED_OPERATORS, nodes

SUFFIX = ".ts"  # nn~ looks for no other
INT, FLOAT = 1, 2  # nn~'s codes of an attribute's type
PROOF_BLOCKS = (64, 256, 100, 4096, 7)  # samples; odd sizes too

# What a module may call: the plug-in's arithmetic, and beyond it the loops and lists of a whole instrument. All of
# it is in libtorch 2.1 and later (run there); nothing reads files or prints. nn~'s own libtorch may be an older one
# than that which wrote the file.
NN_OPERATORS = (
    ALLOWED_OPERATORS
    | {
        f"aten::{name}"
        for name in """
        Float Int __and__ __getitem__ __not__ _set_item append bitwise_and bitwise_right_shift bitwise_xor copy_ cumsum
        expm1 fft_irfft fft_rfft floordiv fmod full_like hann_window i0 len linspace log10 log2 max polar rand remainder
        repeat square tan
        """.split()
    }
    | {
        f"prim::{name}"
        for name in "DictConstruct If Loop SetAttr TupleIndex Uninitialized max min tolist RaiseException".split()
    }
)


class NnModule(nn.Module):
    """Answers nn~'s questions. The kinds of module add ``forward``, and a getter and a setter for each attribute."""

    def describe(self, outlets: list[str], inlet: str, attributes: Mapping[str, int]) -> None:
        """Say what goes in and comes out, and which attributes of which type (INT, FLOAT) there are."""
        # [inputs, ratio, outputs, ratio]
        self.register_buffer("forward_params", torch.tensor([1, 1, len(outlets), 1]))
        self.forward_input_labels = [f"(signal) {inlet}"]
        self.forward_output_labels = [f"(signal) {outlet}" for outlet in outlets]
        self.attribute_names = list(attributes)
        for name, kind in attributes.items():
            self.register_buffer(f"{name}_params", torch.tensor([kind]))

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["forward"]

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return self.attribute_names


def check_suffix(out: Path) -> None:
    """Raises OutputError where nn~ would not see a file of that name."""
    if out.suffix.lower() != SUFFIX:
        raise OutputError(
            f"nn~ opens files whose names end in {SUFFIX}, and {out.name} does not: "
            f"give {out.with_suffix(SUFFIX).name}."
        )


def scripted(module: nn.Module, name: str, about: dict[str, Any]) -> bytes:
    """The content of a file for nn~, with ``about`` as JSON under a name in it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated in newer torch, and all that nn~ loads
        torch.jit.save(torch.jit.script(module), buffer, _extra_files={name: json.dumps(about)})
    return buffer.getvalue()


def load_as_nn_tilde(
    path: Path, attributes: Iterable[str], allowed: frozenset[str]
) -> torch.jit.ScriptModule:
    """Load a file as nn~ does.

    Raises:
        ModelFileError: it does not answer as nn~ expects, or calls an operator that is not allowed.
    """
    module = torch.jit.load(str(path), map_location="cpu").eval()
    unknown = sorted(operators(module) - allowed)
    if unknown:
        raise ModelFileError(
            f"The file for nn~ would use {', '.join(unknown)}, which nn~'s libtorch may not have."
        )
    if module.get_methods() != ["forward"] or module.get_attributes() != list(attributes):
        raise ModelFileError("The file for nn~ does not list its method and attributes.")
    return module


def operators(module: torch.jit.ScriptModule) -> set[str]:
    """The operators that a module's methods call."""
    methods = [module._c._get_method(name) for name in module._c._method_names()]
    return {node.kind() for method in methods for node in nodes(method.inlined_graph)}


def play_in_blocks(
    module: nn.Module, samples: np.ndarray, noise: Callable[[int, int], Tensor], blocks: tuple[int, ...]
) -> np.ndarray:
    """(outlets, n) output for ``samples`` (n,), given in blocks of these sizes by turns.

    Args:
        module: of an instrument, loaded or not.
        samples: float32.
        noise: what ``play`` takes beside the samples from a first to a last one.
        blocks: samples each.
    """
    parts, start, turn = [], 0, 0
    with torch.inference_mode():
        while start < len(samples):
            end = min(start + blocks[turn % len(blocks)], len(samples))
            parts.append(module.play(torch.from_numpy(samples[start:end])[None, None], noise(start, end))[0])
            start, turn = end, turn + 1
    return torch.cat(parts, -1).numpy()


def check_sound(played: np.ndarray, expected: np.ndarray, tolerance: float, other: str) -> None:
    """Raises ModelFileError where two sounds are farther apart than ``tolerance`` of full scale."""
    difference = float(np.abs(played - expected).max())
    if not difference <= tolerance:  # put this way, NaN does not pass
        raise ModelFileError(
            f"The file for nn~ does not sound as {other} does: it differs by {difference:.1e} of full scale, more "
            f"than {tolerance:.0e}."
        )
