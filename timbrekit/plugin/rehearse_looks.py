"""What the page and nn~ will do with a recording, offline, where a model has a mapping over looks (docs/listener.md).

Onsets are the plug-in's. The ranges of what is heard are those of training, so no primer is needed and the first hit is
played as any other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from timbrekit.features.mel_looks import LOOKS, hear_looks, look_delays, look_starts, looks_heard
from timbrekit.plugin.rehearse import (
    Network,
    Rehearsal,
    answer_of,
    check_amounts,
    mixed,
    modulated_parameters,
)
from timbrekit.recording.onsets import TRIGGER_DELAY, DetectorSettings, detect
from timbrekit.synth import find_synth
from timbrekit.synth.base import Synth
from timbrekit.synth.snare808_stream import white_noise


@dataclass(frozen=True)
class LooksRehearsal(Rehearsal):
    """As ``Rehearsal``; ``raw_features`` ``(n, 104)`` are those of the looks, and as scaling is the model's own, so are
    ``normalized_features``. ``modulation`` and ``parameters`` are each hit's last ones."""

    looks: NDArray[np.int64]  # (n,) how many looks at each hit were answered


def rehearse_looks(
    module: Network,
    samples: ArrayLike,
    sample_rate: int,
    settings: DetectorSettings | None = None,
    sensitivity: float = 1.0,
    seed: int = 0,
    noise: ArrayLike | None = None,
    dry_wet: float = 1.0,
    synth: Synth | None = None,
) -> LooksRehearsal:
    """Play a recording through a model with a mapping over looks.

    Args:
        module: ``(n, 104)`` features to ``(n + 1, looks, parameters)``, modulations and the preset: what a model file
            holds, or any other module that answers so.
        samples, sample_rate, settings, sensitivity, seed, noise, dry_wet, synth: as in
            ``timbrekit.plugin.rehearse.rehearse``.

    Raises:
        ModelFileError: the model does not answer so.
        TimbrekitError: sensitivity or dry/wet are out of range.
    """
    settings, synth = settings or DetectorSettings(), synth or find_synth()
    check_amounts(sensitivity, dry_wet)
    samples = np.asarray(samples, dtype=np.float32)
    found = detect(samples, sample_rate, settings)
    detections = found.triggers - TRIGGER_DELAY
    features = hear_looks(torch.from_numpy(samples), torch.from_numpy(detections), sample_rate)
    answers = ask(module, features, len(synth.parameters))
    modulation, patch = answers[:-1], answers[-1, 0]
    count, sets, each = modulation.shape
    parameters = modulated_parameters(synth, patch, modulation.reshape(count * sets, each), sensitivity)
    parameters = parameters.reshape(count, sets, each)
    preset = modulated_parameters(synth, patch, np.zeros((1, each)), 0.0)[0]
    looks = looks_heard(detections, sample_rate)
    triggers = detections + look_delays(sample_rate)[0]
    wet = synth.stream_updates(
        parameters,
        looks,
        triggers,
        look_starts(sample_rate),
        len(samples),
        sample_rate,
        white_noise(len(samples), seed) if noise is None else noise,
        idle=preset,
    )
    features, last = features.numpy(), (np.arange(count), looks - 1)
    return LooksRehearsal(
        audio=mixed(wet, samples, dry_wet),
        sample_rate=sample_rate,
        detections=found.positions,
        dropped=found.dropped,
        triggers=triggers,
        raw_features=features,
        normalized_features=features,
        modulation=modulation[last],
        parameters=parameters[last],
        preset=preset,
        ranges=np.stack([features.min(0), features.max(0)]) if count else np.zeros((2, features.shape[1])),
        settings=settings,
        looks=looks,
    )


def ask(module: Network, features: torch.Tensor, num_parameters: int) -> NDArray[np.float32]:
    """``(n + 1, looks, parameters)``. Raises ModelFileError as ``answer_of`` does."""
    return answer_of(module, features, (len(features) + 1, len(LOOKS), num_parameters))
