"""What bounds a result: how far the preset can follow at all, and how much the onsets can tell at all."""

import numpy as np
import torch
from numpy.typing import NDArray

from timbrekit.features import TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.presets import Preset
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.take import CHUNK, Take

LEARNING_RATE = 3e-2
FOLDS = 10
NEIGHBOURS = 3  # hits
# Of the support vector regression: reach of a hit in the inputs' cube (exp(-30 d^2) is a half at 0.15), errors in mean
# differences that do not count, and how much one hit may bend.
KERNEL = {"gamma": 30.0, "epsilon": 0.05, "C": 1.0}


def optimize_directly(
    take: Take,
    preset: Preset,
    indices: NDArray[np.int64],
    iterations: int = 150,
    seed: int = 0,
    *,
    learning_rate: float = LEARNING_RATE,
    patience: int | None = None,
    balanced: bool = True,
    gated: bool = True,
    fresh_noise: bool = True,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """What the preset could follow if a modulation were chosen for each hit on its own, without a network.

    The bound of the published experiment (NIME 2024, section 4.3), by default with the balanced loss, fresh noise and
    fewer, larger steps; ``**published.SEARCH`` searches as published. A tanh keeps the modulations in [-1, 1].

    Args:
        take: measured with the same features.
        preset: to modulate.
        indices: ``(m,)`` hits of the take.
        iterations: steps of Adam.
        seed: of noises and phases.
        learning_rate: at first. It falls to a third after two thirds of the iterations, or as ``patience`` has it.
        patience: iterations without a better loss after which a hit's rate is halved, each hit's on its own, as
            published.
        balanced: weigh each feature by 1 / its spread over the take; False is the published loss.
        gated: features in which silence does not count. False: the published ones, at their full hop.
        fresh_noise: new noise and phases in every iteration; False: one fixed noise, as published.
        device: where to render.

    Returns:
        ``(m, 7)`` played feature differences.
    """
    rate = take.hits.sample_rate
    player = SynthPlayer(
        preset, take, TimbreFeatures.for_training(rate, gated, gated), fresh_noise, seed, device
    )
    chosen = torch.from_numpy(np.asarray(indices)).to(device)
    intended = take.intended.to(device)[chosen]
    weights = spread_weights(take.intended.to(device)) if balanced else None
    unbounded = [torch.zeros(len(player.preset), device=device, requires_grad=True) for _ in indices]
    optimizers = [torch.optim.Adam([searched], learning_rate) for searched in unbounded]
    if patience is None:
        fall = max(1, 2 * iterations // 3)
        schedules = [torch.optim.lr_scheduler.StepLR(each, fall, gamma=1 / 3) for each in optimizers]
    else:
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        schedules = [plateau(each, factor=0.5, patience=patience) for each in optimizers]
    generator = torch.Generator().manual_seed(seed)

    def parameters(part: torch.Tensor) -> torch.Tensor:
        modulation = torch.tanh(torch.stack([unbounded[i] for i in part.tolist()]))
        return (player.preset + modulation * player.damping).clamp(0, 1)

    def loss_of(played: torch.Tensor, intended: torch.Tensor) -> torch.Tensor:
        return feature_difference_loss(played, intended, weights)

    parts = torch.arange(len(chosen)).split(CHUNK if player.device.type == "cpu" else max(len(chosen), 1))
    for _ in range(iterations):
        losses = []
        for part in parts:
            played = player.differences(parameters(part), chosen[part], generator)
            loss = torch.vmap(loss_of)(played, intended[part])
            loss.sum().backward()
            losses += loss.tolist()
        for optimizer, schedule, loss in zip(optimizers, schedules, losses, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step(*([] if patience is None else [loss]))
    measured = SynthPlayer(preset, take, TimbreFeatures(rate, gated), fresh_noise, seed, device)
    with torch.no_grad():
        played = [measured.differences(parameters(part), chosen[part], generator) for part in parts]
    return torch.cat(played).cpu().numpy()


def predict_from_onsets(take: Take) -> NDArray[np.float32]:
    """What three onset features can tell of each hit's intended differences: the information bound.

    The mean of two regressions of unlike kinds for each difference, cross-validated in ten folds, from the
    whole-take-normalised onset features, bound to no synthesiser: a support vector regression, which is smooth and aims
    at the median, as a mean absolute error asks for, and the three nearest hits, which may leap. A bound as far as
    regressions are good: a random forest or a Gaussian process leaves more (docs/lab_notes/training.md).

    Returns:
        ``(n, 7)`` predicted differences, each from hits other than its own.
    """
    # slow to import, and only wanted here
    from sklearn.ensemble import VotingRegressor
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import SVR

    folds = KFold(min(FOLDS, len(take)), shuffle=True, random_state=0)
    fewest = len(take) - -(-len(take) // folds.n_splits)  # hits that a fold leaves to learn from
    nearest = KNeighborsRegressor(min(NEIGHBOURS, fewest), weights="distance")
    both = VotingRegressor([("smooth", SVR(**KERNEL)), ("nearest", nearest)])
    weights = spread_weights(take.intended)
    heard, wanted = take.inputs.numpy(), (take.intended * weights).numpy()
    predicted = [cross_val_predict(both, heard, difference, cv=folds) for difference in wanted.T]
    return (np.stack(predicted, 1) / weights.numpy()).astype(np.float32)
