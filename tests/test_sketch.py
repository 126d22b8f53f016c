"""The sketch's written-out slopes against autograd, and what it leaves."""

from types import SimpleNamespace

import torch
from torch import nn

from timbrekit.loss import feature_difference_loss
from timbrekit.mapping import Mapping, build_network
from timbrekit.sketch import WIDEST, _lead_back, _StandIn
from timbrekit.small_network import SmallNetwork

HITS = 40


def test_the_mappings_slope_is_that_of_the_loss_and_the_penalty():
    generator = torch.Generator().manual_seed(0)
    damping = torch.rand(14, generator=generator)
    damping[3] = 0.0  # a parameter that a preset holds still
    voice = SimpleNamespace(
        preset=torch.rand(14, generator=generator),
        damping=damping,
        lengths=torch.randint(500, 50_000, (HITS,), generator=generator),
        device=torch.device("cpu"),
    )
    intended = torch.randn(HITS, 7, generator=generator)
    hits, inputs = torch.arange(HITS), torch.rand(HITS, 3, generator=generator)
    mapping = Mapping(build_network("mlp", 0), voice.preset, voice.damping, centre=torch.rand(3))
    for values in mapping.parameters():  # large enough to reach beyond the parameters' ranges
        nn.init.normal_(values, std=0.7, generator=generator)

    with torch.no_grad():
        stand_in = _StandIn(voice, torch.ones(7), generator)
        stand_in.network.weights.mul_(4)  # … and beyond the widest difference
        network = SmallNetwork(mapping.network)
        _lead_back(network, mapping, inputs, stand_in, hits, intended, restraint=0.1)

    parameters, penalty = mapping.parameters_and_restraint(inputs)
    assert ((parameters == 0) | (parameters == 1)).any()
    compressed = nn.Sequential(*stand_in.network.layers)(stand_in._inputs(parameters, hits))
    assert (compressed.abs() > WIDEST).any() and (compressed.abs() < 1).any()
    loss = feature_difference_loss(torch.sinh(compressed.clamp(-WIDEST, WIDEST)), intended)
    (loss + 0.1 * penalty).backward()
    expected = torch.cat([values.grad.flatten() for values in mapping.parameters()])
    torch.testing.assert_close(network.slope[0], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
