"""Write a model for nn~, the object that runs TorchScript in Max and Pure Data: the whole instrument in one file.

Audio goes in; the 808 and a pulse at each trigger come out. docs/hosts.md describes the patches.
"""

import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrekit.errors import ModelFileError, OutputError, TimbrekitError, first_line
from timbrekit.export.archive import pack
from timbrekit.export.examine import ALLOWED_OPERATORS
from timbrekit.export.model_file import EXTRA_FILE, ModelFile
from timbrekit.export.nn_tilde.attributes import ATTRIBUTES
from timbrekit.export.nn_tilde.chain import NnChain
from timbrekit.files import atomic_path
from timbrekit.plugin.rehearse import NUM_FEATURES, modulated_parameters, rehearse, run_network
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth import find_synth
from timbrekit.synth.parameters import NUM_PARAMETERS

SUFFIX = ".ts"  # nn~ looks for no other
TOLERANCE = 1e-3  # between the file's sound and rehearsal's, full scale 1
PROOF_BLOCKS = (64, 256, 100, 4096, 7)  # samples; odd sizes too

# What the module may call: the plug-in's arithmetic, and beyond it the loops and lists of a whole instrument. All of
# it is in libtorch 2.1 and later (run there); nothing reads files or prints. nn~'s own libtorch may be an older one
# than that which wrote the file.
NN_OPERATORS = (
    ALLOWED_OPERATORS
    | {
        f"aten::{name}"
        for name in """
        Float Int __getitem__ __not__ _set_item append copy_ cumsum fft_rfft fmod full_like hann_window len linspace
        log10 log2 rand remainder square tan
        """.split()
    }
    | {
        f"prim::{name}"
        for name in "If Loop SetAttr TupleIndex Uninitialized max min tolist RaiseException".split()
    }
)


def write_nn_tilde(model: ModelFile, out_path: str | Path) -> Path:
    """Write the instrument of a model file for nn~; reload it, prove it against rehearsal, then put it in place.

    Args:
        model: a file that training wrote.
        out_path: the ``.ts`` file to write; what was there before stays if anything fails.

    Returns:
        The path written.

    Raises:
        ModelFileError: the model is not one that the plug-in would play, or timbrekit did not write it; or what
            was made of it does not play as rehearsal does.
        OutputError: the name does not end in ``.ts``, or the file cannot be written.
    """
    out_path = Path(out_path)
    if out_path.suffix.lower() != SUFFIX:
        raise OutputError(
            f"nn~ opens files whose names end in {SUFFIX}, and {out_path.name} does not: "
            f"give {out_path.with_suffix(SUFFIX).name}."
        )
    metadata = model.for_export().metadata
    chain = _build(model.module, metadata, model.name)
    with warnings.catch_warnings():
        # TorchScript is deprecated in newer torch, and all that nn~ loads.
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(chain), buffer, _extra_files={EXTRA_FILE: json.dumps(metadata)})
    with atomic_path(out_path) as temporary:
        temporary.write_bytes(pack(buffer.getvalue()))
        _prove(temporary, model.module, int(metadata["sample_rate"]))
    return out_path


def operators(module: torch.jit.ScriptModule) -> set[str]:
    """The operators that a module's methods call."""
    methods = [module._c._get_method(name) for name in module._c._method_names()]
    return {node.kind() for method in methods for node in _nodes(method.inlined_graph)}


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)


def _build(network: torch.jit.ScriptModule, metadata: dict[str, Any], name: str) -> NnChain:
    _, patch = run_network(network, np.zeros((0, NUM_FEATURES), np.float32))
    preset = modulated_parameters(find_synth(), patch, np.zeros((1, NUM_PARAMETERS)), 0.0)[0]
    try:
        features, detector = metadata["onset_features"], metadata["detector"]
        ranges = torch.tensor([features["minimum"], features["maximum"]], dtype=torch.float32)
        if ranges.shape != (2, NUM_FEATURES) or not ranges.isfinite().all():
            raise ValueError("the ranges of the onset features are not three numbers each")
        settings = DetectorSettings(
            detector["on_threshold"], detector["off_threshold"], int(detector["hold"])
        )
        sample_rate = int(metadata["sample_rate"])
    except (KeyError, TypeError, ValueError, TimbrekitError) as error:
        raise ModelFileError(
            f"{name}: its description lacks what a player needs ({type(error).__name__}: {first_line(error)}). "
            "Train or export the model again with this version of timbrekit."
        ) from error
    # One class without modules in it, whatever the file holds: only then do names in the archive stay apart.
    if list(network.children()) or list(network.parameters()):
        network = torch.jit.freeze(network.eval())
    return NnChain(network, torch.from_numpy(preset), ranges, sample_rate, settings).eval()


def _prove(path: Path, network: torch.jit.ScriptModule, sample_rate: int) -> None:
    """Load the file as nn~ does, call it as nn~ does, and hold it against rehearsal."""
    module = torch.jit.load(str(path), map_location="cpu").eval()
    unknown = sorted(operators(module) - NN_OPERATORS)
    if unknown:
        raise ModelFileError(
            f"The file for nn~ would use {', '.join(unknown)}, which nn~'s libtorch may not have."
        )
    if module.get_methods() != ["forward"] or module.get_attributes() != list(ATTRIBUTES):
        raise ModelFileError("The file for nn~ does not list its method and attributes.")
    drumming, noise = _proof_material(sample_rate)
    settings = DetectorSettings()
    module.set_on_threshold(settings.on_threshold)
    module.set_off_threshold(settings.off_threshold)
    module.set_hold(settings.hold)
    module.set_fixed_ranges(0)
    expected = rehearse(network, drumming, sample_rate, settings, noise=noise)
    played = play_in_blocks(module, drumming, noise, PROOF_BLOCKS)
    triggers = np.flatnonzero(played[1])
    if not len(triggers) or not np.array_equal(triggers, expected.triggers):
        raise ModelFileError(
            f"The file for nn~ does not hear what rehearsal hears: triggers at {triggers.tolist()} instead of "
            f"{expected.triggers.tolist()}."
        )
    difference = float(np.abs(played[0] - expected.audio).max())
    if not difference <= TOLERANCE:  # put this way, NaN does not pass
        raise ModelFileError(
            f"The file for nn~ does not sound as rehearsal does: it differs by {difference:.1e} of full scale, more "
            f"than {TOLERANCE:.0e}."
        )


def play_in_blocks(
    module: torch.jit.ScriptModule, samples: np.ndarray, noise: np.ndarray, blocks: tuple[int, ...]
) -> np.ndarray:
    """(2, n) sound and trigger pulses for ``samples`` (n,), given in blocks of these sizes by turns."""
    parts, start, turn = [], 0, 0
    with torch.inference_mode():
        while start < len(samples):
            end = min(start + blocks[turn % len(blocks)], len(samples))
            block = torch.from_numpy(samples[start:end])[None, None]
            parts.append(module.play(block, torch.from_numpy(noise[start:end]))[0])
            start, turn = end, turn + 1
    return torch.cat(parts, -1).numpy()


def _proof_material(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Five bursts of noise in a second and a half, and noise for the synthesiser: (n,) float32 each."""
    random = np.random.default_rng(0)
    count = sample_rate * 3 // 2
    position = np.arange(count) % (count // 5) - count // 20  # each burst after some silence
    decay = np.where(position >= 0, np.exp(-np.maximum(position, 0) / (0.03 * sample_rate)), 0)
    level = 0.1 + 0.8 * np.arange(count) / count
    drumming = random.uniform(-1, 1, count) * decay * level
    return drumming.astype(np.float32), random.uniform(-1, 1, count).astype(np.float32)
