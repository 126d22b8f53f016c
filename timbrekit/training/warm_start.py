"""A warm start: a first mapping in seconds, fitted to a surrogate of the synthesiser.

Rendering and measuring a sound takes milliseconds, its gradient as much again, and the loss has valleys in which a
mapping trained on it from scratch stays. So a small network, the surrogate, first learns from some thousand renders
around the preset which feature differences a set of parameters gives. On the surrogate six hundred training steps take
a second. The mapping's own choices are then rendered, the surrogate learns from them, and the mapping is trained on; a
few rounds bring the two together. At first a strong penalty keeps the mapping near the preset, where the surrogate is
right. Training on the synthesiser itself starts from there.
"""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from timbrekit.features import TIMBRE_SAMPLES
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import Mapping
from timbrekit.training.objective import draw_seed
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, draw_inputs

FIRST_RENDERS = 1500
SMALLEST_REACH, LARGEST_REACH = 0.005, 0.6  # of the modulations first tried, in normalised units
ROUNDS = 7
MAPPING_STEPS, MAPPING_RATE = 600, 5e-3
MAPPING_BATCH = 96  # hits a step at most: the more hits, the more steps would cost otherwise
SURROGATE_STEPS, SURROGATE_BATCH, SURROGATE_RATE = 1200, 256, 3e-3
BESIDE_STEPS = 900  # of the surrogate, while the mapping is fitted
RELEARN_STEPS = 500  # … and then from what the mapping has chosen
SURROGATE_WIDTH = 64
FIRST_PENALTY = 10.0  # times the penalty at first: the surrogate knows best what is near the preset
SMOOTH_L1_BETA = 0.3  # of an error of the surrogate, beyond which it counts by its size, not its square
JITTER = 0.05  # by which a mapping's choices are also tried displaced: gradients for the surrogate to learn
LARGEST_DIFFERENCE = 200.0  # in spreads of the take: what is farther off is far enough
FACTORS = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0)  # on the fitted modulation, tried while they help
WIDEST = math.asinh(LARGEST_DIFFERENCE)

Render = Callable[[Tensor, Tensor, torch.Generator], Tensor]


class WarmStart:
    """Fits a mapping in place. The steps of both networks are autograd's and torch's here.

    ``timbrekit.training.fast.warm_start`` takes the same steps faster.

    Args:
        mapping: fresh, on the CPU; its weights are replaced.
        take: the hits to follow.
        render: how the synthesiser with its preset answers: feature differences ``(batch, 7)`` of parameters
            ``(batch, parameters)`` played for hits ``(batch,)``, with noise and phases from a generator; all but that
            on the device of the settings.
        indices: of the hits to train on; no other is looked at.
        settings: augmentation, weight of the penalty, seed of everything random, device.
        weights: ``(7,)`` of the features; None: by the spread of the hits.
    """

    def __init__(
        self,
        mapping: Mapping,
        take: Take,
        render: Render,
        indices: np.ndarray,
        settings: Settings,
        weights: Tensor | None = None,
    ):
        self.take, self.settings, self.device = take, settings, torch.device(settings.device)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.mapping, self._render = mapping.to(self.device), render
        self.hits = torch.from_numpy(indices).to(self.device)
        intended = take.intended.to(self.device)[self.hits]
        self.weights = spread_weights(intended) if weights is None else weights.to(self.device)
        self.intended = intended * self.weights
        rings = (take.lengths.clamp(1, TIMBRE_SAMPLES) / TIMBRE_SAMPLES).log2()[:, None]
        self.rings = rings.to(self.device)
        surrogate = Surrogate(mapping.preset, mapping.damping, len(self.weights), self.generator)
        self.surrogate = surrogate.to(self.device)
        self.seen: list[Tensor] = []
        self.heard: list[Tensor] = []

    @torch.no_grad()
    def run(self) -> None:
        """All rounds."""
        mapping, hits, generator = self.mapping, self.hits, self.generator
        tried = _first_tries(mapping.preset.cpu(), mapping.damping.cpu(), generator).to(self.device)
        self.hear(tried, hits[torch.randint(len(hits), (len(tried),), generator=generator).to(self.device)])
        self.learn(SURROGATE_STEPS)
        _draw_weights(mapping, generator)
        for number in range(ROUNDS - 1):
            penalty = self.settings.l2_penalty * FIRST_PENALTY ** max(0, 1 - number / max(1, ROUNDS - 2))
            seen, heard = torch.cat(self.seen), torch.cat(self.heard)
            self.fit_both(penalty, seen, heard, BESIDE_STEPS, draw_seed(generator))
            chosen = mapping.parameters_for(self._draw_inputs(1)[0])
            jitter = torch.randn(chosen.shape, generator=generator).to(self.device) * JITTER * mapping.damping
            self.hear(torch.cat([chosen, (chosen + jitter).clamp(0, 1)]), torch.cat([hits, hits]))
            self.learn(RELEARN_STEPS)
        self.fit_mapping(self.mapping_batches(self.settings.l2_penalty))
        _scale_to_best(mapping, self._rendered_loss)
        mapping.cpu()

    def render(self, parameters: Tensor, indices: Tensor) -> Tensor:
        """``(batch, 7)`` what the surrogate stands for, weighted."""
        return self._render(parameters, indices, self.generator) * self.weights

    def hear(self, parameters: Tensor, indices: Tensor) -> None:
        """Render ``parameters`` ``(batch, parameters)`` as hits ``indices``, to be learned from."""
        self.seen.append(self.surrogate.inputs(parameters, self.rings[indices]))
        # As asinh: straight near 0, where the take's own differences lie, and a logarithm far out, so that
        # a preset whose features leap still shows the way back.
        heard = self.render(parameters, indices).clamp(-LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)
        self.heard.append(torch.asinh(heard))

    def learn(self, steps: int) -> None:
        """Let the surrogate learn from all that was ever rendered."""
        self.fit_surrogate(sample_batches(torch.cat(self.seen), torch.cat(self.heard), steps, self.generator))

    def mapping_batches(self, penalty: float) -> list[Tensor]:
        """For each step inputs, rings and intended differences of some hits, and the weight of the penalty."""
        hits = self.hits
        drawn = torch.rand(MAPPING_STEPS, len(hits), generator=self.generator).to(self.device)
        some = drawn.argsort()[:, :MAPPING_BATCH]
        inputs = self._draw_inputs(MAPPING_STEPS)[
            torch.arange(MAPPING_STEPS, device=self.device)[:, None], some
        ]
        penalties = torch.full((MAPPING_STEPS,), penalty, dtype=torch.float64, device=self.device)
        return [inputs, self.rings[hits][some], self.intended[some], penalties]

    def fit_surrogate(self, batches: Sequence[Tensor]) -> None:
        """A step of Adam for each batch of :func:`sample_batches`."""
        _fit_surrogate(self.surrogate.network, batches)

    def fit_mapping(self, batches: Sequence[Tensor]) -> None:
        """A step of Adam for each of :meth:`mapping_batches`, on the surrogate."""

        def loss(inputs: Tensor, rings: Tensor, intended: Tensor, penalty: Tensor) -> Tensor:
            parameters, of_mapping = self.mapping.parameters_and_penalty(inputs)
            return feature_difference_loss(self.surrogate(parameters, rings), intended) + penalty * of_mapping

        _fit(self.mapping.network, loss, batches, MAPPING_RATE)

    def fit_both(self, penalty: float, seen: Tensor, heard: Tensor, steps: int, seed: int) -> None:
        """Fit the mapping to what the surrogate knows, while that learns on from ``seen`` and ``heard``."""
        learner = copy.deepcopy(self.surrogate.network)
        self.fit_mapping(self.mapping_batches(penalty))
        _fit_surrogate(learner, sample_batches(seen, heard, steps, torch.Generator().manual_seed(seed)))
        self.surrogate.network.load_state_dict(learner.state_dict())

    def _draw_inputs(self, passes: int) -> Tensor:
        """``(passes, hits, 3)`` inputs of the hits that are trained on."""
        return draw_inputs(self.take, self.settings, self.generator, passes, self.device)[:, self.hits]

    def _rendered_loss(self) -> float:
        inputs = self.take.inputs.to(self.device)[self.hits]
        played = self.render(self.mapping.parameters_for(inputs), self.hits)
        return float(feature_difference_loss(played, self.intended))


class Surrogate(nn.Module):
    """A small network from synthesiser parameters to weighted feature differences."""

    def __init__(self, preset: Tensor, damping: Tensor, features: int, generator: torch.Generator):
        """``preset``, ``damping``: ``(parameters,)`` of the mapping. ``generator``: of the first weights."""
        super().__init__()
        self.network = surrogate_network(len(preset) + 1, features)
        for layer in self.network:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        self.register_buffer("preset", preset)
        self.register_buffer("reach", damping.clamp_min(1e-3))

    def inputs(self, parameters: Tensor, rings: Tensor) -> Tensor:
        """Modulations in units of their reach, and for how long the hit rings: ``(batch, parameters + 1)``."""
        return torch.cat([(parameters - self.preset) / self.reach, rings], 1)

    def forward(self, parameters: Tensor, rings: Tensor) -> Tensor:
        """``(batch, 7)`` of ``(batch, parameters)`` played for hits that ring for ``rings`` ``(batch, 1)``."""
        return torch.sinh(self.network(self.inputs(parameters, rings)).clamp(-WIDEST, WIDEST))


def surrogate_network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, SURROGATE_WIDTH),
        nn.SiLU(),
        nn.Linear(SURROGATE_WIDTH, SURROGATE_WIDTH),
        nn.SiLU(),
        nn.Linear(SURROGATE_WIDTH, outputs),
    )


def _first_tries(preset: Tensor, damping: Tensor, generator: torch.Generator) -> Tensor:
    """``(FIRST_RENDERS, parameters)`` around the preset, near and far, few and many of them moved."""
    size = (FIRST_RENDERS, len(preset))
    spread = math.log(LARGEST_REACH / SMALLEST_REACH)
    reach = SMALLEST_REACH * torch.exp(torch.rand(size[0], 1, generator=generator) * spread)
    moved = torch.rand(size, generator=generator) < torch.rand(size[0], 1, generator=generator)
    modulation = (torch.randn(size, generator=generator) * reach * moved).clamp(-1, 1)
    return (preset + modulation * damping).clamp(0, 1)


def sample_batches(seen: Tensor, heard: Tensor, steps: int, generator: torch.Generator) -> list[Tensor]:
    """Batches of what was rendered."""
    some = torch.randint(len(seen), (steps, SURROGATE_BATCH), generator=generator).to(seen.device)
    return [seen[some], heard[some]]


def _fit_surrogate(network: nn.Sequential, batches: Sequence[Tensor]) -> None:
    def loss(inputs: Tensor, wanted: Tensor) -> Tensor:
        return nn.functional.smooth_l1_loss(network(inputs), wanted, beta=SMOOTH_L1_BETA)

    _fit(network, loss, batches, SURROGATE_RATE)


def _fit(network: nn.Module, loss: Callable[..., Tensor], batches: Sequence[Tensor], rate: float) -> None:
    """A step of a fresh Adam for each of ``batches`` ``(steps, …)``, at a one-cycle learning rate."""
    optimiser = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=len(batches[0]) + 1, pct_start=0.1, cycle_momentum=False
    )
    with torch.enable_grad():
        for batch in zip(*batches, strict=True):
            optimiser.zero_grad()
            loss(*batch).backward()
            optimiser.step()
            schedule.step()
    optimiser.zero_grad()


def _draw_weights(mapping: Mapping, generator: torch.Generator) -> None:
    """Hidden layers that tell inputs apart from the start, and an output near zero: near the preset."""
    linear = [layer for layer in mapping.network if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(linear):
        is_last = number == len(linear) - 1
        scale = 0.01 if is_last else 1 / math.sqrt(layer.in_features)
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * scale)
        if layer.bias is not None:
            offset = torch.randn(layer.bias.shape, generator=generator)
            layer.bias.copy_(offset * (0.0 if is_last else 0.5))


def _scale_to_best(mapping: Mapping, rendered_loss: Callable[[], float]) -> None:
    """Scale the last layer down while that follows better: where the surrogate was wrong, it was wrong far out."""
    last = [layer for layer in mapping.network if isinstance(layer, nn.Linear)][-1]
    whole = [values.clone() for values in last.parameters()]

    def scale_by(factor: float) -> None:
        for values, original in zip(last.parameters(), whole, strict=True):
            values.copy_(original * factor)

    best, least = 1.0, rendered_loss()
    for factor in FACTORS:
        scale_by(factor)
        loss = rendered_loss()
        if loss >= least and least < 1:  # 1 is the preset as it is
            break
        if loss < least:
            best, least = factor, loss
    scale_by(best)
