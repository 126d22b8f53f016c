"""A first mapping in seconds: fitted to a stand-in that has learned how the synthesiser's features answer.

Rendering and measuring a sound takes milliseconds, its gradient as much again, and the loss has valleys in which a
mapping trained on it from scratch stays. So a small network first learns, from some thousand renders around the
preset, which feature differences a set of parameters gives. On this stand-in six hundred training steps take a second.
The mapping's own choices are then rendered, the stand-in learns from them, and the mapping is trained on; a few rounds
bring the two together. The mapping is held back to what is near the preset at first, where the stand-in is right.
Training on the synthesiser itself starts from there.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from timbrekit.features import TIMBRE_SAMPLES
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import EXCESS_WEIGHT, Mapping
from timbrekit.training.fast.renderer import Aim, draw_seed
from timbrekit.training.fast.small_network import Fit, SmallNetwork
from timbrekit.training.fast.worker import Worker
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, draw_inputs

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

    The two small networks take many short steps: on a CPU on one thread, as so small products are slower on several,
    which wait for each other longer than they work; on a GPU recorded and replayed.

    Args:
        mapping: fresh, on the CPU; its weights are replaced.
        take: the hits to follow.
        render: how the synthesiser with its preset answers: feature differences ``(batch, 7)`` of parameters
            ``(batch, 14)`` played for hits ``(batch,)``, with noise and phases from a generator; all but that on the
            device of the settings.
        worker: that teaches the stand-in while the mapping is fitted to what it knew before.
        indices: of the hits to train on; no other is looked at.
        settings: how inputs are heard, the weight of the restraint, and the device.
        seed: of everything random; that of the settings does not count.
    """
    generator = torch.Generator().manual_seed(seed)
    device = torch.device(settings.device)
    hits = torch.from_numpy(indices).to(device)
    intended = take.intended.to(device)[hits]
    weights = spread_weights(intended)
    intended = intended * weights
    stand_in = _StandIn(mapping.to(device), take.lengths, render, weights, generator)
    tried = _first_tries(mapping.preset.cpu(), mapping.damping.cpu(), generator).to(device)
    stand_in.hear(tried, hits[torch.randint(len(hits), (len(tried),), generator=generator).to(device)])
    stand_in.learn(STAND_IN_STEPS)
    network = SmallNetwork(mapping.network)
    fit = Fit(network, partial(_lead_back, network, mapping, stand_in), MAPPING_RATE)

    def draw(passes: int) -> Tensor:
        shares = settings.shifted_share, settings.growing_share
        return draw_inputs(take, *shares, generator, passes, device)[:, hits]

    def batches(restraint: float) -> list[Tensor]:
        drawn = torch.rand(MAPPING_STEPS, len(hits), generator=generator).to(device)
        some = drawn.argsort()[:, :MAPPING_BATCH]
        inputs = draw(MAPPING_STEPS)[torch.arange(MAPPING_STEPS, device=device)[:, None], some]
        restraints = torch.full((MAPPING_STEPS,), restraint, dtype=torch.float64, device=device)
        return [inputs, stand_in.rings[hits][some], intended[some], restraints]

    def rendered_loss() -> float:
        played = stand_in.render(mapping.parameters_for(take.inputs.to(device)[hits]), hits)
        return float(feature_difference_loss(played, intended))

    _draw_weights(mapping, generator)
    for number in range(ROUNDS - 1):
        held_back = settings.restraint * HELD_BACK ** max(0, 1 - number / max(1, ROUNDS - 2))
        stand_in.learn_beside(fit, partial(batches, held_back), worker, BESIDE_STEPS)
        chosen = mapping.parameters_for(draw(1)[0])
        jitter = torch.randn(chosen.shape, generator=generator).to(device) * JITTER * stand_in.damping
        stand_in.hear(torch.cat([chosen, (chosen + jitter).clamp(0, 1)]), torch.cat([hits, hits]))
        stand_in.learn(RELEARN_STEPS)
    fit.run(batches(settings.restraint))
    _scale_to_best(mapping, rendered_loss)
    mapping.cpu()


def _lead_back(
    network: SmallNetwork,
    mapping: Mapping,
    stand_in: "_StandIn",
    inputs: Tensor,
    rings: Tensor,
    intended: Tensor,
    restraint: Tensor | float,
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
        by_parameters * mapping.damping * (excess == 0) + restraint / modulation.numel() * penalty,
        to_inputs=False,
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
        rings = (lengths.clamp(1, TIMBRE_SAMPLES) / TIMBRE_SAMPLES).log2()[:, None]
        self.rings = rings.to(self.preset.device)
        self._aside: Fit | None = None  # of a copy of the network
        self.seen: list[Tensor] = []
        self.heard: list[Tensor] = []
        network = _stand_in_network(len(self.preset) + 1, len(weights))
        for layer in network:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        self.network = SmallNetwork(network.to(self.preset.device))
        self.fit = _stand_in_fit(self.network)

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
        self.fit.run(_lesson(torch.cat(self.seen), torch.cat(self.heard), steps, self.generator))

    def learn_beside(self, fit: Fit, batches: Callable[[], list[Tensor]], worker: Worker, steps: int) -> None:
        """Learn while the mapping is fitted to what was known before: ``fit.run(batches())``."""
        lesson = torch.cat(self.seen), torch.cat(self.heard), steps, draw_seed(self.generator)
        if self.preset.is_cuda:
            weights = self._learn_aside(fit, batches, *lesson)
        else:
            taught = self.network.weights, *lesson
            _, weights = worker.beside(lambda: fit.run(batches()), _learn_apart, taught)
        self.network.weights.copy_(weights)

    def _learn_aside(
        self,
        fit: Fit,
        batches: Callable[[], list[Tensor]],
        seen: Tensor,
        heard: Tensor,
        steps: int,
        seed: int,
    ) -> Tensor:
        """As :func:`_learn_apart`, on the same GPU."""
        if self._aside is None:
            network = _stand_in_network(seen.shape[1], heard.shape[1])
            self._aside = _stand_in_fit(SmallNetwork(network.to(seen.device)))
        self._aside.network.weights.copy_(self.network.weights)
        lesson = _lesson(seen, heard, steps, torch.Generator().manual_seed(seed))
        for _ in zip_longest(self._aside.in_parts(lesson), fit.in_parts(batches())):
            pass
        return self._aside.network.weights


def _stand_in_network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, STAND_IN_WIDTH),
        nn.SiLU(),
        nn.Linear(STAND_IN_WIDTH, STAND_IN_WIDTH),
        nn.SiLU(),
        nn.Linear(STAND_IN_WIDTH, outputs),
    )


def _stand_in_fit(network: SmallNetwork) -> Fit:
    def lead_back(inputs: Tensor, wanted: Tensor) -> None:
        """Of the smooth L1 loss: its slope grows with the error up to ``BEND`` and then stays."""
        error = network(inputs) - wanted
        network.lead_back(error.div_(BEND).clamp_(-1, 1).div_(error.numel()), to_inputs=False)

    return Fit(network, lead_back, STAND_IN_RATE, together=20)


def _lesson(seen: Tensor, heard: Tensor, steps: int, generator: torch.Generator) -> list[Tensor]:
    """Batches of what was rendered."""
    some = torch.randint(len(seen), (steps, STAND_IN_BATCH), generator=generator).to(seen.device)
    return [seen[some], heard[some]]


@torch.no_grad()
def _learn_apart(_: Aim, weights: Tensor, seen: Tensor, heard: Tensor, steps: int, seed: int) -> Tensor:
    """The weights of a stand-in after ``steps`` more steps; those given stay."""
    network = SmallNetwork(_stand_in_network(seen.shape[1], heard.shape[1]))
    network.weights.copy_(weights)
    _stand_in_fit(network).run(_lesson(seen, heard, steps, torch.Generator().manual_seed(seed)))
    return network.weights


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
