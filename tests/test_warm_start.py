"""The warm start's written-out gradients against autograd, its two versions against each other, what it leaves."""

import numpy as np
import pytest
import torch
from takes import tiny_take
from torch import nn

from timbrekit.loss import feature_difference_loss
from timbrekit.mapping import Mapping, build_network
from timbrekit.training.fast.warm_start import FastWarmStart
from timbrekit.training.fast.worker import Worker
from timbrekit.training.settings import Settings
from timbrekit.training.warm_start import FACTORS, WIDEST, WarmStart, _scale_to_best

HITS = 12


def mapping_that_reaches_far(damping):
    """Large weights: it reaches beyond the parameters' ranges."""
    generator = torch.Generator().manual_seed(0)
    mapping = Mapping(
        build_network("mlp", 0),
        torch.rand(14, generator=generator),
        damping,
        centre=torch.rand(3, generator=generator),
    )
    for values in mapping.parameters():
        nn.init.normal_(values, std=0.7, generator=generator)
    return mapping


def test_the_mappings_gradient_is_that_of_the_loss_and_the_penalty():
    damping = torch.rand(14, generator=torch.Generator().manual_seed(1))
    damping[3] = 0.0  # a parameter that a preset holds still
    mapping, take = mapping_that_reaches_far(damping), tiny_take()
    start = FastWarmStart(mapping, take, None, np.arange(HITS), Settings(), None)
    with torch.no_grad():
        start.small_surrogate.weights.mul_(4)  # … and beyond the widest difference
        start.mapping_backward(take.inputs, start.rings, start.intended, penalty=0.1)

    parameters, penalty = mapping.parameters_and_penalty(take.inputs)
    assert ((parameters == 0) | (parameters == 1)).any()
    compressed = start.surrogate.network(start.surrogate.inputs(parameters, start.rings))
    assert (compressed.abs() > WIDEST).any() and (compressed.abs() < 1).any()
    loss = feature_difference_loss(start.surrogate(parameters, start.rings), start.intended)
    (loss + 0.1 * penalty).backward()
    expected = torch.cat([values.grad.flatten() for values in mapping.parameters()])
    found = start.small_mapping.gradient[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


def test_the_readable_warm_start_is_the_fast_one(short_warm_start):
    def render(parameters, indices, generator):
        return torch.sin(5 * parameters[:, :7]) - torch.sin(5 * parameters[:, 7:])

    found = []
    for make in (WarmStart, lambda *how: FastWarmStart(*how, Worker(None, wanted=False))):
        mapping = Mapping(build_network("mlp", 0), torch.full((14,), 0.5), torch.ones(14))
        make(mapping, tiny_take(), render, np.arange(10), Settings(seed=3)).run()
        found.append(torch.cat([values.flatten() for values in mapping.parameters()]).detach())
    assert found[0].abs().max() > 0.01
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


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
