"""On a GPU: the numbers of the CPU, however they are recorded, replayed and run beside each other."""

import gc
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
import torch
from fits import fits
from takes import RATE, tiny_take, weights_of
from tone_support import reed

import timbrekit.training.fast.renderer
from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.loss import spread_weights
from timbrekit.presets import load_preset
from timbrekit.tone.train import Settings as ToneSettings
from timbrekit.tone.train import prepare
from timbrekit.tone.train import train as train_tone
from timbrekit.training.bounds import optimize_directly
from timbrekit.training.fast.cuda_graph import Replayed
from timbrekit.training.fast.renderer import Renderer, Targets
from timbrekit.training.fast.run import TrainingRun
from timbrekit.training.fast.train import Variant, train, train_many
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

SNARE = load_preset("snare-1")
QUICK = Settings(warm_start=False, epochs=3, batch_size=4, device="cuda")


def test_what_is_replayed_is_what_was_recorded_with_new_inputs_and_goes_on_from_the_state():
    total = torch.zeros(3, device="cuda")

    def add(values):
        total.add_(values)
        return total * 2

    replayed = Replayed(add, [total])
    for number in (1.0, 2.0, 3.0):
        twice = replayed(torch.full((3,), number))
    assert total.tolist() == [6, 6, 6] and twice.tolist() == [12, 12, 12]


def test_nothing_is_collected_while_something_is_recorded():
    """An older recording would be freed, which ends the one that is being made."""
    enabled = []

    def watch(values):
        enabled.append(gc.isenabled())
        return values * 2

    Replayed(watch, [])(torch.ones(2))
    assert enabled == [True, False] and gc.isenabled()  # for real, recorded, after it


def test_inputs_of_another_shape_are_refused():
    replayed = Replayed(lambda values: values * 2, [])
    replayed(torch.ones(3))
    with pytest.raises(ValueError, match="3"):
        replayed(torch.ones(1))


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_losses_and_gradients_are_those_of_the_cpu(recipe, monkeypatch):
    gated, found = recipe == "timbrekit", []
    # All hits ring as long as the features look, so that they come in the same order and find the same noise.
    take = replace(tiny_take(), lengths=torch.full_like(tiny_take().lengths, TIMBRE_SAMPLES))
    features = TimbreFeatures.for_training(RATE, gated, gated)
    presets = [load_preset(name) for name in ("snare-1", "snare-3")]
    for device in ("cpu", "cuda"):
        generator = torch.Generator().manual_seed(1)
        indices = torch.randint(len(take), (2, 6), generator=generator).to(device)
        players = [SynthPlayer(preset, take, features, gated, 0, device) for preset in presets]
        near = torch.stack([player.preset.cpu() for player in players])[:, None]
        near = near + 0.1 * torch.randn(2, 6, 14, generator=generator)
        near, intended = near.clamp(0, 1).to(device), take.intended.to(device)
        targets = Targets(players, intended.expand(len(players), -1, -1), spread_weights(intended))
        with Renderer(targets, second_process=False) as renderer:
            sources = [torch.Generator().manual_seed(seed) for seed in range(2)]
            draws = [values.to(device) for values in renderer.draw(6, sources)]
            losses, gradients = renderer.losses(near, indices, draws, with_gradient=True)
            heard = renderer.differences(1, near[1].repeat(7, 1), indices[1].repeat(7), generator)
        found.append((losses.cpu(), gradients.cpu(), heard.cpu()))
    (losses, gradients, heard), (their_losses, their_gradients, their_heard) = found
    torch.testing.assert_close(their_losses, losses, rtol=1e-4, atol=0)
    assert (their_gradients - gradients).norm() < 1e-3 * gradients.norm()
    torch.testing.assert_close(their_heard, heard, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_fit_learns_what_it_learns_on_the_cpu_and_again_from_where_it_is():
    found = []
    for device in ("cpu", "cuda"):
        ((fit, batches),) = fits(device, 1)
        errors = []
        for steps in (60, 20, 20):
            fit.run([each[:steps] for each in batches])
            errors.append(float((fit.network(batches[0][0]) - batches[1][0]).square().mean()))
        found.append(errors)
    assert found[1] == pytest.approx(found[0], rel=0.02) and found[0][2] < found[0][1] < found[0][0]


@torch.no_grad()
def test_fits_by_turns_do_not_disturb_each_other():
    alone = []
    for fit, batches in fits("cuda", 2):
        fit.run(batches)
        alone.append(fit.network.weights.clone())
    for _ in range(5):
        (first, some), (second, others) = fits("cuda", 2)
        for _ in zip_longest(first.in_parts(some), second.in_parts(others)):
            pass
        assert torch.equal(first.network.weights, alone[0])
        assert torch.equal(second.network.weights, alone[1])


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_training_takes_the_steps_that_it_takes_on_the_cpu(recipe, monkeypatch):
    monkeypatch.setattr(SynthPlayer, "samples_for", lambda *_: TIMBRE_SAMPLES)
    monkeypatch.setattr(
        timbrekit.training.fast.renderer, "HITS_TOGETHER", 16
    )  # one noise for a batch, as on a GPU
    found = []
    for device in ("cpu", "cuda"):
        settings = replace(make_settings(recipe, device=device), warm_start=False, epochs=3, batch_size=4)
        with TrainingRun(tiny_take(), [Variant(SNARE, 3)], settings) as run:
            before = run.learner.weights.cpu().clone()
            losses = torch.stack([torch.stack(run.run_epoch()) for _ in range(3)])
            found.append((losses, run.learner.weights.cpu() - before))
    (losses, moved), (their_losses, their_moved) = found
    torch.testing.assert_close(their_losses, losses, rtol=0.02, atol=0)
    assert (their_moved - moved).norm() < 0.2 * moved.norm()


def test_the_same_comes_out_again_warm_start_and_all(short_warm_start):
    settings = Settings(epochs=2, device="cuda")
    first, second = (weights_of(train(tiny_take(), SNARE, settings)) for _ in range(2))
    assert torch.equal(first, second) and first.isfinite().all()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = train(tiny_take(), SNARE, QUICK)

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run"
    assert train(tiny_take(), SNARE, QUICK, stop, checkpoint).interrupted
    resumed = train(tiny_take(), SNARE, QUICK, checkpoint=checkpoint)
    assert torch.equal(weights_of(resumed), weights_of(whole))


@pytest.mark.parametrize("fresh_noise", [True, False])
def test_models_trained_together_come_out_as_if_trained_alone(fresh_noise):
    variants = [Variant(SNARE, 0), Variant(load_preset("snare-3"), 1), Variant(SNARE, 2)]
    settings = replace(QUICK, fresh_noise=fresh_noise)
    together = train_many(tiny_take(), variants, settings)
    for variant, trained in zip(variants, together, strict=True):
        alone = train(tiny_take(), variant.preset, replace(settings, seed=variant.seed))
        for ours, theirs in zip(trained.history, alone.history, strict=True):
            assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=0.02)


def test_the_warm_start_follows_as_well_as_on_the_cpu():
    found = []
    for device in ("cpu", "cuda"):
        settings = replace(Settings(), device=device)
        with TrainingRun(tiny_take(), [Variant(SNARE, 0)], settings) as run:
            run.warm_start()
            found.append(float(run.run_epoch()[0]))
    assert found[1] < 1.15 * found[0] < 0.9


def test_direct_optimisation_gets_as_near_as_on_the_cpu():
    """As near, not to the same place: the first steps of Adam go where rounding points to."""
    take, hits, steady = tiny_take(), np.arange(8), {"gated": False, "fresh_noise": False, "iterations": 40}
    intended = take.intended[:8].numpy()
    here, there = (
        np.abs(optimize_directly(take, SNARE, hits, **steady, device=device) - intended).mean()
        for device in ("cpu", "cuda")
    )
    assert there == pytest.approx(here, rel=0.25) and here < 0.8 * np.abs(intended).mean()


def test_a_tone_learns_what_it_learns_on_the_cpu():
    data = prepare(reed(40.0))
    settings = ToneSettings(steps=4, batch=2, hops=40, warm_up=8, validate_every=4)
    here, there = (
        train_tone(data, replace(settings, device=device)).history[-1] for device in ("cpu", "cuda")
    )
    assert there.train_loss == pytest.approx(here.train_loss, rel=1e-3)
    assert there.validation_loss == pytest.approx(here.validation_loss, rel=1e-3)
