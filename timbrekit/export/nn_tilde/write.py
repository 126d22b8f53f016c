"""Write a model for nn~, the object that runs TorchScript in Max and Pure Data: the whole instrument in one file.

Audio goes in; the synthesiser and a pulse at each trigger come out. docs/hosts.md describes the patches.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrekit.errors import ModelFileError, TimbrekitError, first_line
from timbrekit.export.archive import pack
from timbrekit.export.metadata import onset_ranges
from timbrekit.export.model_file import EXTRA_FILE, MADE_FOR, MEL, ModelFile, listener_of
from timbrekit.export.nn_tilde.attributes import ATTRIBUTES, LOOKS_ATTRIBUTES
from timbrekit.export.nn_tilde.chain import NnChain
from timbrekit.export.nn_tilde.drum import DrumVoice
from timbrekit.export.nn_tilde.listener import LooksListener, NnListener, OnsetListener
from timbrekit.export.nn_tilde.ringing808 import Ringing808Voice
from timbrekit.export.nn_tilde.script import (
    NN_OPERATORS,
    PROOF_BLOCKS,
    check_sound,
    check_suffix,
    load_as_nn_tilde,
    play_in_blocks,
    scripted,
)
from timbrekit.export.nn_tilde.snare808 import Snare808Voice
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.features.mel_looks import FEATURES
from timbrekit.files import atomic_path
from timbrekit.plugin.rehearse import NUM_FEATURES, modulated_parameters, rehearse, run_network
from timbrekit.plugin.rehearse_looks import ask, rehearse_looks
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth import DRUM, SNARE808, find_synth
from timbrekit.synth.base import Synth

# The voice of each synthesiser, made for it and a sample rate.
VOICES: dict[str, Callable[[Synth, int], NnVoice]] = {
    SNARE808: lambda synth, rate: Snare808Voice(rate),
    DRUM: lambda synth, rate: DrumVoice(synth.drum, rate),
}
LOOKS_VOICES = {**VOICES, SNARE808: lambda synth, rate: Ringing808Voice(rate)}  # that can be corrected
TOLERANCE = 1e-3  # between the file's sound and rehearsal's, full scale 1


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
    check_suffix(out_path)
    metadata = model.for_export("nn-tilde").metadata
    synth = find_synth(model.synth, metadata.get("drum"))
    chain = _build(model.module, synth, metadata, model.name)
    content = pack(scripted(chain, EXTRA_FILE, metadata | {MADE_FOR: "nn-tilde"}))
    with atomic_path(out_path) as temporary:
        temporary.write_bytes(content)
        _prove(temporary, model, synth)
    return out_path


def _build(network: torch.jit.ScriptModule, synth: Synth, metadata: dict[str, Any], name: str) -> NnChain:
    count, looks = len(synth.parameters), listener_of(metadata) == MEL
    if looks:
        patch = ask(network, torch.zeros(1, FEATURES[-1]), count)[-1, 0]
    else:
        _, patch = run_network(network, np.zeros((0, NUM_FEATURES), np.float32), count)
    preset = modulated_parameters(synth, patch, np.zeros((1, count)), 0.0)[0]
    try:
        ranges = None if looks else torch.from_numpy(onset_ranges(metadata))
        settings = DetectorSettings.from_json(metadata["detector"])
        sample_rate = int(metadata["sample_rate"])
        if sample_rate <= 0:
            raise ValueError(f"a sample rate of {sample_rate}")
    except (KeyError, TypeError, ValueError, TimbrekitError) as error:
        raise ModelFileError(
            f"{name}: its description lacks what a player needs ({type(error).__name__}: {first_line(error)}). "
            "Train or export the model again with this version of timbrekit."
        ) from error
    # One class without modules in it, whatever the file holds: only then do names in the archive stay apart.
    if list(network.children()) or list(network.parameters()):
        network = torch.jit.freeze(network.eval())
    listener: NnListener = LooksListener(network, sample_rate) if looks else OnsetListener(network, ranges)
    voice = (LOOKS_VOICES if looks else VOICES)[synth.name](synth, sample_rate)
    attributes = LOOKS_ATTRIBUTES if looks else ATTRIBUTES
    chain = NnChain(listener, voice, synth, torch.from_numpy(preset), sample_rate, settings, attributes)
    return chain.eval()


def _prove(path: Path, model: ModelFile, synth: Synth) -> None:
    """Load the file as nn~ does, call it as nn~ does, and hold it against rehearsal."""
    looks, sample_rate = listener_of(model.metadata) == MEL, int(model.metadata["sample_rate"])
    module = load_as_nn_tilde(path, LOOKS_ATTRIBUTES if looks else ATTRIBUTES, NN_OPERATORS)
    drumming, noise = _proof_material(sample_rate)
    settings = DetectorSettings()
    module.set_on_threshold(settings.on_threshold)
    module.set_off_threshold(settings.off_threshold)
    module.set_hold(settings.hold)
    module.set_fixed_ranges(0)
    play = rehearse_looks if looks else rehearse
    expected = play(model.module, drumming, sample_rate, settings, noise=noise, synth=synth)
    played = play_in_blocks(module, drumming, samples_of(noise), PROOF_BLOCKS)
    triggers = np.flatnonzero(played[1])
    if not len(triggers) or not np.array_equal(triggers, expected.triggers):
        raise ModelFileError(
            f"The file for nn~ does not hear what rehearsal hears: triggers at {triggers.tolist()} instead of "
            f"{expected.triggers.tolist()}."
        )
    check_sound(played[0], expected.audio, TOLERANCE, "rehearsal")


def samples_of(noise: np.ndarray) -> Callable[[int, int], torch.Tensor]:
    """Noise ``(n,)``, one for each sample, as ``play_in_blocks`` takes it."""
    return lambda start, end: torch.from_numpy(noise[start:end])


def _proof_material(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Five bursts of noise in a second and a half, and noise for the synthesiser: (n,) float32 each."""
    random = np.random.default_rng(0)
    count = sample_rate * 3 // 2
    position = np.arange(count) % (count // 5) - count // 20  # each burst after some silence
    decay = np.where(position >= 0, np.exp(-np.maximum(position, 0) / (0.03 * sample_rate)), 0)
    level = 0.1 + 0.8 * np.arange(count) / count
    drumming = random.uniform(-1, 1, count) * decay * level
    return drumming.astype(np.float32), random.uniform(-1, 1, count).astype(np.float32)
