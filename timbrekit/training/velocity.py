"""A mapping of nothing but how loud the onset is: the yardstick that every model has to beat.

Its one number, how much louder the sound becomes for a louder onset, is fitted to the take.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from timbrekit.features import TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import NUM_INPUTS, Mapping
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.take import CHUNK, Take

if TYPE_CHECKING:
    from timbrekit.presets import Preset

MOST_HITS = 48  # that it is fitted to
STEEPEST = 2.0  # times as many dB as the onset has
EVALUATIONS = 14  # of the loss; the steepness is then known to a hundredth


def velocity_mapping(take: Take, preset: "Preset", steepness: float) -> Mapping:
    """The reference hit plays the preset; all sources get louder by ``steepness`` dB for each dB of onset loudness.

    Args:
        take: gives the range of the onset's loudness, and the reference hit.
        preset: the sound; the levels that are raised are those marked as ``velocity`` in the table.
        steepness: dB for a dB.
    """
    layer = nn.Linear(NUM_INPUTS, len(preset.parameters))
    span = float(take.maximum[0] - take.minimum[0])
    damping = preset.damping_vector()
    with torch.no_grad():
        layer.weight.zero_()
        for index, parameter in enumerate(preset.parameters):
            if parameter.velocity and damping[index]:
                reach = (parameter.maximum - parameter.minimum) * float(damping[index])
                layer.weight[index, 0] = steepness * span / reach
        layer.bias.copy_(-layer.weight[:, 0] * take.inputs[take.reference, 0])
    network = nn.Sequential(layer, nn.Hardtanh())
    mapping = Mapping(network, torch.from_numpy(preset.normalized()), torch.from_numpy(damping))
    return mapping.eval().requires_grad_(False)


def fit_velocity(take: Take, preset: "Preset", hits: np.ndarray, seed: int = 0) -> Mapping:
    """The velocity-only mapping that follows some hits best, by the loss that models are trained with.

    Args:
        take: the recording.
        preset: the sound.
        hits: indices of those to fit it to.
        seed: of the noise.
    """
    hits = np.asarray(hits)
    order = hits[take.timbre[:, 0].numpy()[hits].argsort(kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, min(MOST_HITS, len(order))).round().astype(int)]
    chosen = torch.from_numpy(chosen[take.lengths.numpy()[chosen].argsort(kind="stable")])
    features = TimbreFeatures.for_training(take.hits.sample_rate, gated=True)
    player = SynthPlayer(preset, take, features, seed=seed)
    weights = spread_weights(take.intended)

    @torch.no_grad()
    def loss(steepness: float) -> float:
        generator = torch.Generator().manual_seed(seed)
        parameters = velocity_mapping(take, preset, steepness).parameters_for(take.inputs[chosen])
        played = [
            player.differences(*part, generator)
            for part in zip(parameters.split(CHUNK), chosen.split(CHUNK), strict=True)
        ]
        return float(feature_difference_loss(torch.cat(played), take.intended[chosen], weights))

    found = minimize_scalar(loss, bounds=(0.0, STEEPEST), method="bounded", options={"maxiter": EVALUATIONS})
    return velocity_mapping(take, preset, float(found.x))
