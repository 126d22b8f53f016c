"""What bounds a result: how far the preset can follow at all, and how much the onsets can tell at all."""

import numpy as np
import torch
from numpy.typing import NDArray

from timbrekit.features import THIN_HOP, TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.presets import Preset
from timbrekit.take import Take
from timbrekit.voice import Voice

LEARNING_RATE = 3e-2
CHUNK = 16  # hits rendered at once; more fall out of the processor's cache
FOLDS = 10
TREES = 200
LEAST_LEAF = 3  # hits


def optimize_directly(
    take: Take, preset: Preset, indices: NDArray[np.int64], iterations: int = 150, seed: int = 0
) -> NDArray[np.float32]:
    """What the preset could follow if a modulation were chosen for each hit on its own, without a network.

    The bound of the published experiment (NIME 2024, section 4.3), with the balanced loss, fresh noise and fewer,
    larger steps: Adam, the rate falling to a third after two thirds of the iterations.

    Returns:
        ``(len(indices), 7)`` played feature differences.
    """
    voice = Voice(preset, take, TimbreFeatures(take.hits.sample_rate, hop=THIN_HOP), seed=seed)
    measured = Voice(preset, take, TimbreFeatures(take.hits.sample_rate), seed=seed)
    chosen = torch.from_numpy(np.asarray(indices))
    intended, weights = take.intended[chosen], spread_weights(take.intended)
    unbounded = torch.zeros(len(chosen), len(voice.preset), requires_grad=True)
    optimizer = torch.optim.Adam([unbounded], LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, max(1, 2 * iterations // 3), gamma=1 / 3)
    generator = torch.Generator().manual_seed(seed)

    def parameters(part: torch.Tensor) -> torch.Tensor:
        return (voice.preset + torch.tanh(unbounded[part]) * voice.damping).clamp(0, 1)

    parts = torch.arange(len(chosen)).split(CHUNK)
    for _ in range(iterations):
        optimizer.zero_grad()
        for part in parts:
            played = voice.differences(parameters(part), chosen[part], generator)
            (feature_difference_loss(played, intended[part], weights) * len(part)).backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        played = [measured.differences(parameters(part), chosen[part], generator) for part in parts]
    return torch.cat(played).numpy()


def predict_from_onsets(take: Take, seed: int = 0) -> NDArray[np.float32]:
    """What three onset features can tell of each hit's intended differences: the information bound.

    A random forest for each difference, cross-validated in ten folds, from the whole-take-normalised onset features:
    it can follow any shape of mapping and is bound to no synthesiser. (One forest for all seven would grow its trees
    by what has the largest numbers, flatness, and tell the others badly.)

    Returns:
        ``(n, 7)`` predicted differences, each from hits other than its own.
    """
    from sklearn.ensemble import RandomForestRegressor  # slow to import, and only wanted here
    from sklearn.model_selection import KFold, cross_val_predict

    forest = RandomForestRegressor(TREES, min_samples_leaf=LEAST_LEAF, random_state=seed)
    folds = KFold(min(FOLDS, len(take)), shuffle=True, random_state=seed)
    heard, intended = take.inputs.numpy(), take.intended.numpy()
    predicted = [cross_val_predict(forest, heard, difference, cv=folds) for difference in intended.T]
    return np.stack(predicted, 1).astype(np.float32)
