"""How well a mapping over looks follows, as the page and nn~ play it."""

import numpy as np
import torch
from numpy.typing import NDArray

from timbrekit.features import TimbreFeatures
from timbrekit.loss import spread_weights
from timbrekit.plugin.as_played import AsPlayed, measure_as_played, measure_looks_as_played
from timbrekit.plugin.rehearse import Network
from timbrekit.presets import Preset
from timbrekit.results.report import HeldOut, render_and_compare
from timbrekit.results.unseen import OtherTake, Unseen, measure_unseen
from timbrekit.synth.base import Synth
from timbrekit.training.looks import UpdatesPlayer, estimate_apart, hear_take, hold_last
from timbrekit.training.split import Split
from timbrekit.training.take import Take
from timbrekit.training.train import Trained


def measure_looks_held_out(take: Take, trained: Trained, preset: Preset) -> HeldOut:
    """Play the held-out hits, each with several noises and phases, updates included, and compare.

    Where none are held out, each hit is estimated by regressions that do not know it.
    """
    split, seed = trained.split, trained.settings.seed
    name = "test" if len(split.test) else "train"
    indices, heard = torch.from_numpy(getattr(split, name)), hear_take(take)
    if name == "test":
        with torch.no_grad():
            estimates = trained.mapping.estimator(heard.as_detected)
    else:
        _, apart = estimate_apart(take, heard, spread_weights(take.intended), indices)
        estimates = apart[len(apart) // 2]
    player = UpdatesPlayer(preset, take, TimbreFeatures(take.hits.sample_rate), True, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameters = hold_last(trained.mapping.parameters_and_penalty(estimates)[0], heard.looks)
    return render_and_compare(player.differences_updated, parameters, take, indices, name, generator)


def measure_looks_unseen(
    module: Network,
    velocity: Network,
    take: Take,
    samples: NDArray[np.float32],
    split: Split,
    synth: Synth,
    played: AsPlayed | None = None,
    other: OtherTake | None = None,
) -> Unseen:
    """Another recording, or the held-out end of the take; where it is too short for that, the hits trained on.

    Args:
        module: the model.
        velocity: the velocity-only mapping, which plays as TorchDrum does once it knows the take's ranges.
        take, samples: the recording trained on.
        split: of the training.
        synth: that both play.
        played: the model's rehearsal of the take; needed without ``other``.
        other: the other recording.
    """
    known = {"initial_ranges": np.stack([take.minimum, take.maximum]), "synth": synth}
    if other:
        played = measure_looks_as_played(module, other.samples, other.take, synth=synth)
        beside = measure_as_played(velocity, other.samples, other.take, **known)
        return measure_unseen(played, beside, other.take, "second take", take)
    source, hits = ("end of take", split.test) if len(split.test) else ("trained hits", split.train)
    beside = measure_as_played(velocity, samples, take, **known)
    return measure_unseen(played, beside, take, source, take, hits)
