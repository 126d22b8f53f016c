"""A first mapping in seconds: fitted to a stand-in that has learned how the synthesiser's features answer.

Rendering and measuring a sound takes milliseconds, its gradient as much again, and the loss has valleys in which a
mapping trained on it from scratch stays. So a small network first learns, from some thousand renders around the
preset, which feature differences a set of parameters gives. On this stand-in six hundred training steps take a second.
The mapping's own choices are then rendered, the stand-in learns from them, and the mapping is trained on; a few rounds
bring the two together. The mapping is held back to what is near the preset at first, where the stand-in is right.
Training on the synthesiser itself starts from there.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from timbrekit.features import TIMBRE_SAMPLES
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import EXCESS_WEIGHT, Mapping
from timbrekit.renderer import Aim, draw_seed
from timbrekit.settings import Settings
from timbrekit.small_network import SmallNetwork
from timbrekit.stack import one_cycle
from timbrekit.take import Take, draw_inputs
from timbrekit.worker import Worker

FIRST_RENDERS = 1500
SMALLEST_REACH, LARGEST_REACH = 0.005, 0.6  # of the modulations first tried, in normalised units
ROUNDS = 7
MAPPING_STEPS, MAPPING_RATE = 600, 5e-3
MAPPING_BATCH = 96  # hits a step at most: the more hits, the more steps would cost otherwise
STAND_IN_STEPS, STAND_IN_BATCH, STAND_IN_RATE = 1200, 256, 3e-3
BESIDE_STEPS = 900  # of the stand-in, while the mapping is fitted
RELEARN_STEPS = 500  # … and then from what the mapping has chosen
STAND_IN_WIDTH = 64
HELD_BACK = 10.0  # times the restraint at first: the stand-in knows best what is near the preset
BEND = 0.3  # of an error of the stand-in, beyond which it counts by its size, not its square
JITTER = 0.05  # by which a mapping's choices are also tried displaced: slopes for the stand-in to learn
LARGEST_DIFFERENCE = 200.0  # in spreads of the take: what is farther off is far enough
FACTORS = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0)  # on the sketched modulation, tried while they help
WIDEST = math.asinh(LARGEST_DIFFERENCE)

Render = Callable[[Tensor, Tensor, torch.Generator], Tensor]


@torch.no_grad()
def sketch_mapping(
    mapping: Mapping,
    take: Take,
    render: Render,
    worker: Worker,
    indices: np.ndarray,
    settings: Settings,
    seed: int,
) -> None:
    """Fit ``mapping`` in place.

    The two small networks stay on the CPU, where their many short steps are fastest; and on one thread, as so small
    products are slower on several, which wait for each other longer than they work.

    Args:
        mapping: fresh, on the CPU; its weights are replaced.
        take: the hits to follow.
        render: how the synthesiser with its preset answers: feature differences ``(batch, 7)`` of parameters
            ``(batch, 14)`` played for hits ``(batch,)``, with noise and phases from a generator.
        worker: that teaches the stand-in while the mapping is fitted to what it knew before.
        indices: of the hits to train on; no other is looked at.
        settings: how inputs are heard, and the weight of the restraint.
        seed: of everything random; that of the settings does not count.
    """
    generator = torch.Generator().manual_seed(seed)
    hits = torch.from_numpy(indices)
    weights = spread_weights(take.intended[hits])
    intended = take.intended[hits] * weights
    stand_in = _StandIn(mapping, take.lengths, render, weights, generator)
    tried = _first_tries(stand_in.preset, stand_in.damping, generator)
    stand_in.hear(tried, hits[torch.randint(len(hits), (len(tried),), generator=generator)])
    stand_in.learn(STAND_IN_STEPS)
    network = SmallNetwork(mapping.network)

    def draw(passes: int) -> Tensor:
        return draw_inputs(take, settings.shifted_share, settings.growing_share, generator, passes)

    def fit(restraint: float) -> None:
        some = torch.rand(MAPPING_STEPS, len(hits), generator=generator).argsort()[:, :MAPPING_BATCH]
        inputs = draw(MAPPING_STEPS)[torch.arange(MAPPING_STEPS)[:, None], hits[some]]
        batches = zip(inputs, stand_in.rings[hits[some]], intended[some], strict=True)

        def lead_back(batch: tuple[Tensor, Tensor, Tensor]) -> None:
            _lead_back(network, mapping, stand_in, *batch, restraint)

        _fit(network, lead_back, list(batches), MAPPING_RATE)

    def rendered_loss() -> float:
        played = stand_in.render(mapping.parameters_for(take.inputs[hits]), hits)
        return float(feature_difference_loss(played, intended))

    _draw_weights(mapping, generator)
    for number in range(ROUNDS - 1):
        held_back = settings.restraint * HELD_BACK ** max(0, 1 - number / max(1, ROUNDS - 2))
        _, weights = worker.beside(partial(fit, held_back), _learn_apart, stand_in.lesson(BESIDE_STEPS))
        stand_in.network.weights.copy_(weights)
        (inputs,) = draw(1)[:, hits]
        chosen = mapping.parameters_for(inputs)
        jitter = torch.randn(chosen.shape, generator=generator) * JITTER * stand_in.damping
        stand_in.hear(torch.cat([chosen, (chosen + jitter).clamp(0, 1)]), torch.cat([hits, hits]))
        stand_in.learn(RELEARN_STEPS)
    fit(settings.restraint)
    _scale_to_best(mapping, rendered_loss)


def _lead_back(
    network: SmallNetwork,
    mapping: Mapping,
    stand_in: "_StandIn",
    inputs: Tensor,
    rings: Tensor,
    intended: Tensor,
    restraint: float,
) -> None:
    """Set the network's slope to that of the feature difference loss on the stand-in and of the mapping's penalty."""
    modulation = network(inputs - mapping.centre)
    wanted = mapping.preset + modulation * mapping.damping
    parameters = wanted.clamp(0, 1)
    excess = wanted - parameters
    error = stand_in(parameters, rings) - intended
    by_parameters = stand_in.lead_back(error.sign().div_(error.numel()))
    penalty = 2 * modulation + EXCESS_WEIGHT * mapping.damping * excess.sign()
    network.lead_back(
        by_parameters * mapping.damping * (excess == 0) + restraint / modulation.numel() * penalty
    )


def _scale_to_best(mapping: Mapping, rendered_loss: Callable[[], float]) -> None:
    """Scale the last layer down while that follows better: where the stand-in was wrong, it was wrong far out."""
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


class _StandIn:
    """A small network from synthesiser parameters to weighted feature differences, and what it has seen."""

    def __init__(
        self, mapping: Mapping, lengths: Tensor, render: Render, weights: Tensor, generator: torch.Generator
    ):
        self._render, self.weights, self.generator = render, weights, generator
        self.preset, self.damping = mapping.preset, mapping.damping
        self.reach = self.damping.clamp_min(1e-3)
        self.rings = (lengths.clamp(1, TIMBRE_SAMPLES) / TIMBRE_SAMPLES).log2()[:, None]
        self.seen: list[Tensor] = []
        self.heard: list[Tensor] = []
        inputs = len(self.preset) + 1
        network = _stand_in_network(inputs, len(weights))
        for layer in network:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        self.network = SmallNetwork(network)

    def __call__(self, parameters: Tensor, rings: Tensor) -> Tensor:
        """``(batch, 7)`` of parameters ``(batch, 14)`` played for hits that ring for ``rings`` ``(batch, 1)``."""
        compressed = self.network(self._inputs(parameters, rings))
        self.compressed, self.is_inside = compressed.clamp(-WIDEST, WIDEST), compressed.abs() <= WIDEST
        return torch.sinh(self.compressed)

    def lead_back(self, slope: Tensor) -> Tensor:
        """The slope of a loss by the parameters, of that by the differences that the latest call gave."""
        by_compressed = slope * torch.cosh(self.compressed) * self.is_inside
        by_inputs = self.network.lead_back(by_compressed, to_weights=False)
        return by_inputs[:, :-1] / self.reach

    def _inputs(self, parameters: Tensor, rings: Tensor) -> Tensor:
        """Modulations in units of their reach, and for how long the hit rings."""
        return torch.cat([(parameters - self.preset) / self.reach, rings], 1)

    def render(self, parameters: Tensor, indices: Tensor) -> Tensor:
        """``(batch, 7)`` what the stand-in stands for, weighted."""
        return self._render(parameters, indices, self.generator) * self.weights

    def hear(self, parameters: Tensor, indices: Tensor) -> None:
        """Render ``parameters`` ``(batch, 14)`` as hits ``indices``, to be learned from."""
        self.seen.append(self._inputs(parameters, self.rings[indices]))
        # As asinh: straight near 0, where the take's own differences lie, and a logarithm far out, so that
        # a preset whose features leap still shows the way back.
        heard = self.render(parameters, indices).clamp(-LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)
        self.heard.append(torch.asinh(heard))

    def learn(self, steps: int) -> None:
        """From all that was ever rendered."""
        _learn(self.network, torch.cat(self.seen), torch.cat(self.heard), steps, self.generator)

    def lesson(self, steps: int) -> tuple[Tensor, Tensor, Tensor, int, int]:
        """What :func:`_learn_apart` needs to learn in its place."""
        seed = draw_seed(self.generator)
        return self.network.weights, torch.cat(self.seen), torch.cat(self.heard), steps, seed


def _stand_in_network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, STAND_IN_WIDTH),
        nn.SiLU(),
        nn.Linear(STAND_IN_WIDTH, STAND_IN_WIDTH),
        nn.SiLU(),
        nn.Linear(STAND_IN_WIDTH, outputs),
    )


def _learn(
    network: SmallNetwork, seen: Tensor, heard: Tensor, steps: int, generator: torch.Generator
) -> None:
    def lead_back(batch: tuple[Tensor, Tensor]) -> None:
        """Of the smooth L1 loss: its slope grows with the error up to ``BEND`` and then stays."""
        inputs, wanted = batch
        error = network(inputs) - wanted
        network.lead_back(error.div_(BEND).clamp_(-1, 1).div_(error.numel()))

    some = torch.randint(len(seen), (steps, STAND_IN_BATCH), generator=generator)
    _fit(network, lead_back, list(zip(seen[some], heard[some], strict=True)), STAND_IN_RATE)


@torch.no_grad()
def _learn_apart(_: Aim, weights: Tensor, seen: Tensor, heard: Tensor, steps: int, seed: int) -> Tensor:
    """The weights of a stand-in after ``steps`` more steps; those given stay."""
    network = SmallNetwork(_stand_in_network(seen.shape[1], heard.shape[1]))
    network.weights.copy_(weights)
    _learn(network, seen, heard, steps, torch.Generator().manual_seed(seed))
    return network.weights


def _fit(
    network: SmallNetwork,
    lead_back: Callable[[tuple[Tensor, ...]], None],
    batches: Sequence[tuple[Tensor, ...]],
    rate: float,
) -> None:
    """One step of Adam for each batch, whose slope ``lead_back`` sets."""
    optimizer = network.new_optimizer()
    for number, batch in enumerate(batches):
        lead_back(batch)
        network.step(optimizer, one_cycle(number, len(batches) + 1, rate))


def _first_tries(preset: Tensor, damping: Tensor, generator: torch.Generator) -> Tensor:
    """``(FIRST_RENDERS, 14)`` parameters around the preset, near and far, few and many of them moved."""
    size = (FIRST_RENDERS, len(preset))
    spread = math.log(LARGEST_REACH / SMALLEST_REACH)
    reach = SMALLEST_REACH * torch.exp(torch.rand(size[0], 1, generator=generator) * spread)
    moved = torch.rand(size, generator=generator) < torch.rand(size[0], 1, generator=generator)
    modulation = (torch.randn(size, generator=generator) * reach * moved).clamp(-1, 1)
    return (preset + modulation * damping).clamp(0, 1)


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
