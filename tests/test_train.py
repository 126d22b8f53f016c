"""Training on a tiny take: the split, what is kept, many models at once, the recipes, the loop as one reads it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from takes import tiny_take, varied_strokes, weights_of

import timbrekit.training.fast.renderer
from timbrekit.errors import GpuError, TimbrekitWarning, TrainingError
from timbrekit.mapping import MODEL_NAMES
from timbrekit.presets import load_preset
from timbrekit.synth.parameters import PARAMETER_KEYS
from timbrekit.training.fast.run import TrainingRun
from timbrekit.training.fast.train import Variant, train, train_many
from timbrekit.training.fast.worker import Worker
from timbrekit.training.published import as_exported, published_preset, published_windows
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings
from timbrekit.training.train import train as readable_train

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

SNARE = load_preset("snare-1")
QUICK = Settings(warm_start=False, epochs=2)
# Nothing is drawn in it.
STEADY = replace(
    QUICK, model="mlp", fresh_noise=False, shift_probability=0.0, growing_probability=0.0, jitter=0.0
)


# --- training ----------------------------------------------------------------------------------------------


def test_the_loss_goes_down_and_the_callback_hears_of_every_epoch():
    told, gentle = [], replace(STEADY, epochs=12, learning_rate=1e-3)
    trained = train(tiny_take(), SNARE, gentle, told.append)
    assert [epoch.number for epoch in told] == list(range(1, 13)) and {epoch.of for epoch in told} == {12}
    assert told == trained.history and told[-1].seconds_left == 0 and not trained.interrupted
    assert np.mean([e.train_loss for e in told[-3:]]) < 0.9 * told[0].train_loss


def test_nine_steps_of_training_are_possible():
    assert len(train(tiny_take(), SNARE, replace(QUICK, epochs=9)).history) == 9


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_every_size_and_preset_trains_to_a_finite_mapping_without_gradients(model):
    trained = train(tiny_take(), load_preset("kick"), replace(QUICK, model=model, epochs=1))
    cube = torch.cartesian_prod(*[torch.linspace(0, 1, 5)] * 3)
    assert trained.mapping(cube).isfinite().all()
    assert not trained.mapping.training and not any(w.requires_grad for w in trained.mapping.parameters())


def test_a_hit_whose_gradient_leaps_moves_the_mapping_no_further_however_far_it_leaps(monkeypatch):
    plain = timbrekit.training.fast.renderer.Renderer.losses

    def trained(factor: float, gradient_clip: float) -> torch.Tensor:
        def losses(*arguments, **how):
            loss, gradients = plain(*arguments, **how)
            if gradients is not None:
                gradients[:, 0] *= factor
            return loss, gradients

        monkeypatch.setattr(timbrekit.training.fast.renderer.Renderer, "losses", losses)
        return weights_of(train(tiny_take(), SNARE, replace(STEADY, gradient_clip=gradient_clip)))

    def change(gradient_clip: float) -> float:
        near, far = trained(100, gradient_clip), trained(1e4, gradient_clip)  # both beyond any limit
        return float((near - far).norm() / near.norm())

    assert change(2.0) < 1e-4
    assert change(0.0) > 0.01


def test_ctrl_c_before_there_is_anything_to_keep_is_passed_on(monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("timbrekit.training.fast.run.draw_inputs", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_take(), SNARE, QUICK)


def test_where_no_hit_is_held_out_for_validation_the_training_loss_stands_for_it():
    trained = train(tiny_take(), SNARE, QUICK)
    assert not len(trained.split.validation)
    assert [e.validation_loss for e in trained.history] == [e.train_loss for e in trained.history]


def test_the_best_epoch_is_kept_not_the_last():
    """Published recipe: the epoch of the lowest validation loss, here the first of a diverging run."""
    wild = replace(make_settings("published", epochs=4, device="cpu"), learning_rate=3.0)
    losses = []
    trained = train(tiny_take(), SNARE, wild, lambda epoch: losses.append(epoch.validation_loss))
    best = int(np.argmin(losses)) + 1
    assert best < 4
    again = train(tiny_take(), SNARE, wild, lambda epoch: _stop_after(epoch, best))
    assert torch.equal(weights_of(again), weights_of(trained))
    assert again.interrupted and len(again.history) == best


def _stop_after(epoch, number):
    if epoch.number == number:
        raise KeyboardInterrupt


# --- many at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_models_trained_together_come_out_as_if_trained_alone(recipe, short_warm_start):
    settings = replace(make_settings(recipe, device="cpu"), epochs=2)
    variants = [Variant(SNARE, 0), Variant(load_preset("snare-3"), 1), Variant(SNARE, 2)]
    together = train_many(tiny_take(), variants, settings)
    for variant, trained in zip(variants, together, strict=True):
        alone = train(tiny_take(), variant.preset, replace(settings, seed=variant.seed))
        torch.testing.assert_close(weights_of(trained), weights_of(alone), atol=1e-5, rtol=1e-3)
        assert np.array_equal(trained.split.test, alone.split.test)
        assert trained.settings == alone.settings
        ours, theirs = (np.array([e.validation_loss for e in t.history]) for t in (trained, alone))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert not torch.allclose(weights_of(together[0]), weights_of(together[2]))  # of another seed


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_with_a_second_process_the_very_same_model_comes_out(recipe, short_warm_start, monkeypatch, request):
    if recipe == "published":  # one start of Python is enough
        request.getfixturevalue("forked_worker")

    class Waiting(Worker):
        """Takes part from the first batch on, however long it takes to start."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            assert self.wait() == arguments[-1]

    monkeypatch.setattr(timbrekit.training.fast.renderer, "Worker", Waiting)
    settings = replace(make_settings(recipe, device="cpu"), epochs=1)
    found = []
    for second_process in (False, True):
        with TrainingRun(tiny_take(), [Variant(SNARE, 3)], settings, second_process) as run:
            if settings.warm_start:
                run.warm_start()
            found.append((run.run_epoch(), run.learner.weights))
            assert run.renderer.worker.wait() == second_process
    (losses, weights), (same_losses, same_weights) = found
    assert torch.equal(weights, same_weights) and all(map(torch.equal, losses, same_losses))


# --- recipes -----------------------------------------------------------------------------------------------


def test_the_published_recipe_is_the_papers():
    published = make_settings("published", device="cpu")
    assert (published.epochs, published.batch_size, published.learning_rate) == (250, 16, 5e-4)
    assert (published.model, published.shift_probability, published.growing_probability) == ("mlp", 0, 0)
    assert published.jitter == 0
    assert (published.l2_penalty, published.gradient_clip) == (0, 0)
    assert not (published.balanced or published.fresh_noise or published.warm_start) and published.centred
    assert make_settings("published", "linear", device="cpu").learning_rate == 5e-3


def test_the_published_recipe_trains_on_earlier_windows():
    take = tiny_take()
    earlier = published_windows(take.hits, varied_strokes())
    assert len(earlier) == len(take) and not torch.equal(earlier.onset, take.onset)
    trained = train(earlier, published_preset(SNARE), make_settings("published", epochs=1, device="cpu"))
    assert torch.equal(trained.mapping.centre, earlier.inputs[earlier.reference])
    assert float(trained.mapping.damping[PARAMETER_KEYS.index("noise_filter.freq")]) == 1
    assert torch.equal(as_exported(trained).mapping.centre, torch.zeros(3))  # forgotten, as its export does


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_asking_for_a_gpu_that_is_not_there_says_what_to_do():
    with pytest.raises(TrainingError, match="--device cpu"):
        make_settings(device="cuda")
    assert make_settings(device="auto").device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_does_not_work_is_left_alone_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # nothing can be computed on it
    assert make_settings(device="auto").device == "cpu"
    with pytest.raises(TrainingError, match=r"use here \(.+\)\. Train on the CPU"):
        make_settings(device="cuda")


@pytest.mark.parametrize("make", [make_settings, Settings])
def test_an_apple_gpu_is_not_trained_on_and_that_is_said(make):
    with pytest.warns(TimbrekitWarning, match=r"no float64.*training runs on the CPU"):
        settings = make(device="mps")
    assert settings.device == "cpu"


@pytest.mark.parametrize("make", [make_settings, Settings])
@pytest.mark.parametrize("device", ["tpu", "mps:0", "", "CPU"])
def test_a_device_that_there_is_not_is_refused_in_words(make, device):
    with pytest.raises(TrainingError, match=f"not '{device}'"):
        make(device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_fails_says_why_and_what_to_do():
    with pytest.raises(
        GpuError, match=r"^Training on the GPU failed \(.+\)\. The CPU can .+ \(--device cpu\)\.$"
    ):
        train(tiny_take(), SNARE, replace(QUICK, device="cuda"))


def test_what_goes_wrong_on_the_cpu_is_not_called_a_matter_of_the_gpu(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(TrainingRun, "run_epoch", broken)
    with pytest.raises(RuntimeError, match="of ours"):
        train(tiny_take(), SNARE, QUICK)


def test_a_loss_that_is_not_a_number_ends_in_words(monkeypatch):
    monkeypatch.setattr(
        "timbrekit.training.fast.renderer.feature_difference_loss",
        lambda *a: torch.tensor(float("nan")) * a[0].sum(),
    )
    with pytest.raises(TrainingError, match="snare-1"):
        train(tiny_take(), SNARE, QUICK)


# --- the loop as one reads it ------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_the_readable_loop_trains_what_the_fast_one_trains(recipe, monkeypatch):
    monkeypatch.setattr(
        timbrekit.training.fast.renderer, "HITS_TOGETHER", 40
    )  # one noise for a batch, as there
    # Three steps an epoch, of the take's own hits or of the 24 that it is filled up to.
    batch = 8 if recipe == "timbrekit" else 4
    settings = replace(make_settings(recipe, "mlp", 3, device="cpu"), warm_start=False, batch_size=batch)
    fast, readable = train(tiny_take(), SNARE, settings), readable_train(tiny_take(), SNARE, settings)
    losses = [[(e.train_loss, e.validation_loss) for e in each.history] for each in (fast, readable)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    # Adam makes steps of one size of gradients near zero, whatever rounding makes of their signs.
    torch.testing.assert_close(weights_of(readable), weights_of(fast), rtol=1e-2, atol=5e-4)
    assert [e.number for e in readable.history] == [1, 2, 3] and not readable.interrupted


def test_the_readable_loop_starts_warm_and_keeps_its_best_when_interrupted(short_warm_start):
    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    trained = readable_train(tiny_take(), SNARE, Settings(model="mlp", epochs=5), stop)
    assert trained.interrupted and len(trained.history) == 2
    cold = readable_train(tiny_take(), SNARE, Settings(model="mlp", epochs=1, warm_start=False))
    assert not torch.allclose(weights_of(trained), weights_of(cold))
