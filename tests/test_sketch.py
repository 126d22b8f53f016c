"""The sketch's written-out slopes against autograd, and what it leaves."""

import pytest
import torch
from torch import nn

from timbrekit.loss import feature_difference_loss
from timbrekit.mapping import Mapping, build_network
from timbrekit.training.fast.small_network import SmallNetwork
from timbrekit.training.warm_start import FACTORS, WIDEST, _lead_back, _scale_to_best, _StandIn

HITS = 40


def test_the_mappings_slope_is_that_of_the_loss_and_the_penalty():
    generator = torch.Generator().manual_seed(0)
    damping = torch.rand(14, generator=generator)
    damping[3] = 0.0  # a parameter that a preset holds still
    preset, lengths = (
        torch.rand(14, generator=generator),
        torch.randint(500, 50_000, (HITS,), generator=generator),
    )
    intended = torch.randn(HITS, 7, generator=generator)
    inputs = torch.rand(HITS, 3, generator=generator)
    mapping = Mapping(build_network("mlp", 0), preset, damping, centre=torch.rand(3))
    for values in mapping.parameters():  # large enough to reach beyond the parameters' ranges
        nn.init.normal_(values, std=0.7, generator=generator)

    with torch.no_grad():
        stand_in = _StandIn(mapping, lengths, None, torch.ones(7), generator)
        stand_in.network.weights.mul_(4)  # … and beyond the widest difference
        network = SmallNetwork(mapping.network)
        _lead_back(network, mapping, stand_in, inputs, stand_in.rings, intended, restraint=0.1)

    parameters, penalty = mapping.parameters_and_penalty(inputs)
    assert ((parameters == 0) | (parameters == 1)).any()
    compressed = nn.Sequential(*stand_in.network.layers)(stand_in._inputs(parameters, stand_in.rings))
    assert (compressed.abs() > WIDEST).any() and (compressed.abs() < 1).any()
    loss = feature_difference_loss(torch.sinh(compressed.clamp(-WIDEST, WIDEST)), intended)
    (loss + 0.1 * penalty).backward()
    expected = torch.cat([values.grad.flatten() for values in mapping.parameters()])
    torch.testing.assert_close(network.slope[0], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ([0.8, 0.7, 0.65, 0.66], 0.5),  # while it helps
        ([0.8, 0.9], 1.0),
        (
            [4.0, 5.0, 4.5, 3.0, 3.5, 2.0, 1.5, 1.0],
            0.0,
        ),  # not over valleys that are worse than the preset as it is
        ([4.0, 5.0, 4.5, 3.0, 3.5, 2.0, 1.5, 3.2], 0.05),
    ],
)
def test_the_modulation_is_scaled_to_what_follows_best(losses, kept):
    mapping = Mapping(build_network("mlp", 0), torch.rand(14), torch.ones(14))
    last = mapping.network[3]
    nn.init.normal_(last.weight)
    whole, told = last.weight.detach().clone(), iter(losses)
    with torch.no_grad():
        _scale_to_best(mapping, lambda: next(told))
    torch.testing.assert_close(last.weight.detach(), whole * kept)
    assert kept in (1.0, *FACTORS) and next(told, None) is None
