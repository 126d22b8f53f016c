"""How well a mapping over looks follows, as the page and nn~ play it."""

import torch

from timbrekit.features import TimbreFeatures
from timbrekit.loss import spread_weights
from timbrekit.presets import Preset
from timbrekit.results.report import HeldOut, render_and_compare
from timbrekit.training.looks_objective import UpdatesPlayer, estimate_apart, hear_take, hold_last
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
