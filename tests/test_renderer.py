"""Batches in chunks: the losses and gradients of autograd, the same from one process and from two."""

import pytest
import torch
from takes import RATE, tiny_take

import timbrekit.training.fast.renderer
from timbrekit.features import TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.presets import load_preset
from timbrekit.training.fast.renderer import Renderer, Targets
from timbrekit.training.objective import SynthPlayer

PRESETS = ("snare-1", "snare-3")


@pytest.fixture(scope="module")
def targets():
    take = tiny_take()
    features = TimbreFeatures.for_training(RATE, gated=True)
    players = [SynthPlayer(load_preset(name), take, features) for name in PRESETS]
    intended = take.intended.expand(len(players), -1, -1)
    return Targets(players, intended, spread_weights(take.intended))


@pytest.fixture(scope="module")
def pair(targets):
    """A renderer whose second process takes part: starting one takes seconds."""
    with Renderer(targets, second_process=True) as renderer:
        assert renderer.worker.wait()
        yield renderer


def drawn(targets, batch):
    generator = torch.Generator().manual_seed(batch)
    indices = torch.randint(targets.intended.shape[1], (len(PRESETS), batch), generator=generator)
    presets = torch.stack([player.preset for player in targets.players])[:, None]
    near = presets + 0.1 * torch.randn(len(PRESETS), batch, 14, generator=generator)
    return near.clamp(0, 1), indices


def losses_of(renderer, parameters, indices, with_gradient=True):
    draws = renderer.draw(indices.shape[1], sources()[: len(indices)])
    return renderer.losses(parameters, indices, draws, with_gradient)


def sources():
    return [torch.Generator().manual_seed(seed) for seed in range(len(PRESETS))]


@pytest.mark.parametrize("batch", [1, 7, 9, 16])
def test_two_processes_give_the_very_numbers_of_one(targets, pair, batch):
    parameters, indices = drawn(targets, batch)
    with Renderer(targets, second_process=False) as alone:
        losses, gradients = losses_of(alone, parameters, indices)
        same_losses, same_gradients = losses_of(pair, parameters, indices)
        assert torch.equal(losses, same_losses) and torch.equal(gradients, same_gradients)
        some = parameters[1].repeat(3, 1), indices[1].repeat(3)
        heard = [renderer.differences(1, *some, sources()[1]) for renderer in (alone, pair)]
        assert torch.equal(*heard)
        assert pair.worker.wait()  # it was there all along


def test_losses_and_gradients_are_those_of_autograd(targets, monkeypatch):
    monkeypatch.setattr(timbrekit.training.fast.renderer, "HITS_TOGETHER", 16)  # one chunk, so one noise
    parameters, indices = drawn(targets, 12)
    with Renderer(targets, second_process=False) as renderer:
        losses, gradients = losses_of(renderer, parameters, indices)
        assert losses_of(renderer, parameters, indices, with_gradient=False)[1] is None
    for number, player in enumerate(targets.players):
        seed = int(torch.randint(2**62, (), generator=sources()[number]))
        values = parameters[number].clone().requires_grad_()
        played = player.differences(values, indices[number], torch.Generator().manual_seed(seed))
        loss = feature_difference_loss(
            played, targets.intended[number, indices[number]], targets.loss_weights
        )
        loss.backward()
        torch.testing.assert_close(losses[number], loss.detach())
        # Scaled by the number of hits on the way: sums of thousands of samples of either sign round otherwise.
        assert (gradients[number] - values.grad).abs().max() < 1e-4 * values.grad.abs().max()


def test_halves_of_a_batch_add_up_to_it(targets, monkeypatch):
    """With noise and phases that are always the same, as published, only rounding is left."""
    take = tiny_take()
    features = TimbreFeatures.for_training(RATE, gated=False, thinned=False)
    player = SynthPlayer(load_preset("snare-1"), take, features, fresh_noise=False)
    fixed = Targets([player], take.intended[None], None)
    parameters, indices = (each[:1] for each in drawn(targets, 11))
    found = []
    for together in (8, 16):
        monkeypatch.setattr(timbrekit.training.fast.renderer, "HITS_TOGETHER", together)
        with Renderer(fixed, second_process=False) as renderer:
            found.append(losses_of(renderer, parameters, indices))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert (found[0][1] - found[1][1]).abs().max() < 1e-3 * found[1][1].abs().max()


def test_differences_come_back_in_the_order_of_their_rows(targets):
    """Rendered by length: a louder row is louder wherever it stands."""
    player, hits = targets.players[0], torch.arange(targets.intended.shape[1])
    rows = player.preset.repeat(len(hits), 1)
    rows[::2, 10:13] -= 0.5
    with Renderer(targets, second_process=False) as renderer:
        heard = renderer.differences(0, rows, hits, sources()[0])
    assert (heard[::2, 0] < -10).all() and (heard[1::2, 0].abs() < 3).all()


def test_models_rendered_at_once_as_on_a_gpu_give_the_same(targets, monkeypatch):
    parameters, indices = drawn(targets, 9)
    found = []
    for together in (1, 2):
        monkeypatch.setitem(timbrekit.training.fast.renderer.MODELS_TOGETHER, "cpu", together)
        with Renderer(targets, second_process=False) as renderer:
            found.append(losses_of(renderer, parameters, indices))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=0)
    assert (found[0][1] - found[1][1]).abs().max() < 1e-4 * found[0][1].abs().max()
