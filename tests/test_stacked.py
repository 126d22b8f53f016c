"""The optimiser for stacked models against torch's own."""

import pytest
import torch

from timbrekit.mapping import MODEL_NAMES, Mapping, build_network
from timbrekit.training.fast.stacked import Adam, Plateau, StackedMappings, one_cycle
from timbrekit.training.train import GradientClipping

CPU = torch.device("cpu")


def test_adam_is_torchs_with_a_rate_for_each_row():
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([1e-3, 5e-2, 0.0])
    weights = torch.randn(3, 20, generator=generator)
    rows = [torch.nn.Parameter(row.clone()) for row in weights]
    theirs = [torch.optim.Adam([row], float(rate)) for row, rate in zip(rows, rates, strict=True)]
    ours = Adam(weights)
    for _ in range(50):
        gradient = torch.randn(3, 20, generator=generator)
        ours.step(weights, gradient, rates)
        for row, optimizer, part in zip(rows, theirs, gradient, strict=True):
            row.grad = part
            optimizer.step()
    torch.testing.assert_close(weights, torch.stack([row.detach() for row in rows]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("total", [21, 301, 1000])
def test_the_cosine_is_torchs_one_cycle(total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=total, pct_start=0.1, cycle_momentum=False
    )
    for step in range(total - 1):
        assert one_cycle(step, total, 0.1) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_the_plateau_is_torchs():
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(200, 2, generator=generator).cumsum(0).neg()  # one goes down for ever …
    losses[:, 1] = 1 + 1e-5 * torch.rand(200, generator=generator)  # … one stays
    ours = Plateau(2)
    optimizers = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0) for _ in range(2)]
    theirs = [torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=20) for o in optimizers]
    for row in losses + 1000:
        ours.see(row)
        for schedule, loss in zip(theirs, row, strict=True):
            schedule.step(float(loss))
        assert ours.factors.tolist() == [o.param_groups[0]["lr"] for o in optimizers]
    assert ours.factors[0] == 1 and ours.factors[1] < 0.01


def test_a_long_gradient_keeps_its_direction_and_no_more_than_the_limit():
    gradients = torch.randn(2, 16, 14, generator=torch.Generator().manual_seed(0))
    gradients[0, 3] *= 100
    gradients[1] *= 1000  # what is typical, each model knows by itself
    medians = gradients.norm(dim=-1).median(1).values
    limited = GradientClipping(2.0, 2).clip(gradients)
    assert limited[0, 3].norm() == pytest.approx(float(2 * medians[0]), rel=1e-5)
    torch.testing.assert_close(limited[0, 3] / limited[0, 3].norm(), gradients[0, 3] / gradients[0, 3].norm())
    others = torch.ones(2, 16, dtype=torch.bool)
    others[0, 3] = False
    assert torch.equal(limited[others], gradients[others])


def test_a_batch_that_leaps_as_a_whole_is_held_to_the_batches_before_whatever_their_size():
    generator = torch.Generator().manual_seed(0)
    limit = GradientClipping(2.0, 1)
    for _ in range(5):
        limit.clip(torch.nn.functional.normalize(torch.randn(1, 16, 14, generator=generator), dim=-1) / 16)
    leaping = torch.randn(1, 4, 14, generator=generator) * 100
    torch.testing.assert_close(limit.clip(leaping).norm(dim=-1) * 4, torch.full((1, 4), 2.0))
    for _ in range(GradientClipping.BATCHES):  # what lasts becomes typical
        limit.clip(leaping)
    assert torch.equal(limit.clip(leaping), leaping)


def test_a_gradient_clip_goes_on_from_its_state():
    generator = torch.Generator().manual_seed(0)
    limit, other = GradientClipping(2.0, 2), GradientClipping(2.0, 2)
    for _ in range(5):
        limit.clip(torch.randn(2, 8, 14, generator=generator))
    other.medians.copy_(limit.medians)
    leaping = torch.randn(2, 8, 14, generator=generator) * 50
    shortened = limit.clip(leaping)
    assert torch.equal(other.clip(leaping), shortened) and not torch.equal(shortened, leaping)
    assert torch.equal(GradientClipping(0.0, 2).clip(leaping), leaping)


def test_gradients_of_which_most_are_zero_stay():
    gradients = torch.zeros(1, 5, 14)
    gradients[0, 0] = 3
    assert torch.equal(GradientClipping(2.0, 1).clip(gradients), gradients)
    assert torch.equal(GradientClipping(2.0, 1).clip(gradients * 0), gradients * 0)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_stacked_mappings_play_what_each_plays(model):
    generator = torch.Generator().manual_seed(0)
    mappings = [
        Mapping(
            build_network(model, seed), torch.rand(14, generator=generator), torch.full((14,), 0.1 * seed)
        )
        for seed in (1, 2, 3)
    ]
    for mapping in mappings:
        for weights in mapping.parameters():
            weights.data = torch.randn(weights.shape, generator=generator)
    inputs = torch.rand(3, 5, 3, generator=generator)
    stacked = StackedMappings(mappings, CPU)
    parameters, penalties = stacked.play(stacked.weights(), inputs)
    for number, mapping in enumerate(mappings):
        alone, penalty = mapping.parameters_and_penalty(inputs[number])
        torch.testing.assert_close(parameters[number], alone)
        torch.testing.assert_close(penalties[number], penalty)
