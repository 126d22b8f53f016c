"""What runs on a GPU only, on the CPU: streams are nothing, a recording is a call. (``test_gpu.py`` needs the GPU.)"""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from fits import fits
from takes import tiny_take

import timbrekit.training.fast.learner
import timbrekit.training.fast.renderer
import timbrekit.training.warm_start
from timbrekit.features import TIMBRE_SAMPLES
from timbrekit.presets import load_preset
from timbrekit.training.fast.run import TrainingRun, Variant
from timbrekit.training.fast.stacked import Adam
from timbrekit.training.fast.warm_start import surrogate_fit
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.recipes import make_settings

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

VARIANTS = [Variant(load_preset("snare-1"), 0), Variant(load_preset("snare-3"), 1)]


class Called:
    """A recording: what it is given lies somewhere else, and always has the same shape."""

    def __init__(self, function, state):
        self.function, self.shapes = function, None

    def __call__(self, *inputs):
        shapes = [values.shape for values in inputs]
        assert self.shapes in (None, shapes)
        self.shapes = shapes
        return self.function(*[values.clone() for values in inputs])


class Stream:
    """Notes what waits for what."""

    def __init__(self, waits):
        self.waits = waits

    def wait_stream(self, other):
        self.waits.append((self, other))


@pytest.fixture
def recorded_fit(monkeypatch):
    """A function that gives a fit its parts on a GPU; and what its streams waited for."""
    waits = []
    now = Stream(waits)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: now)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())

    def record(fit):
        fit._adam, fit._stream = Adam(fit.network.weights), Stream(waits)
        fit._captured = Called(fit._steps, [])
        return fit

    return record, now, waits


@torch.no_grad()
def test_a_fit_in_parts_is_the_fit_in_one_and_fresh_each_time(recorded_fit):
    record, _, _ = recorded_fit
    ((whole, batches),), ((fit, _),) = fits("cpu", 1), fits("cpu", 1)
    record(fit)
    for steps in (60, 20):
        part = [each[:steps] for each in batches]
        whole.run(part)
        assert len(list(fit.in_parts(part))) == steps // 10
        assert torch.equal(fit.network.weights, whole.network.weights)


@torch.no_grad()
def test_a_fit_that_is_left_early_is_waited_for_all_the_same(recorded_fit):
    record, now, waits = recorded_fit
    ((fit, batches),) = fits("cpu", 1)
    parts = record(fit).in_parts(batches)
    next(parts)
    assert waits == [(fit._stream, now)]
    parts.close()
    assert waits == [(fit._stream, now), (now, fit._stream)]


@torch.no_grad()
def test_steps_that_do_not_come_out_even_are_refused_on_a_cpu_too():
    ((fit, batches),) = fits("cpu", 1)
    with pytest.raises(ValueError, match="21 steps"):
        fit.run([each[:21] for each in batches])


def test_the_warm_starts_steps_come_out_even():
    surrogate = surrogate_fit(fits("cpu", 1)[0][0].network)
    warm_start = timbrekit.training.warm_start
    for steps in (warm_start.SURROGATE_STEPS, warm_start.BESIDE_STEPS, warm_start.RELEARN_STEPS):
        surrogate._need_whole_parts([torch.zeros(steps)])
    fits("cpu", 1)[0][0]._need_whole_parts([torch.zeros(warm_start.MAPPING_STEPS)])


@pytest.mark.parametrize("recipe", ["timbrekit", "published"])
def test_recorded_steps_are_those_of_the_cpu(recipe, monkeypatch):
    monkeypatch.setattr(SynthPlayer, "samples_for", lambda *_: TIMBRE_SAMPLES)
    monkeypatch.setattr(
        timbrekit.training.fast.renderer, "HITS_TOGETHER", 16
    )  # one noise for a batch, as on a GPU
    monkeypatch.setattr(timbrekit.training.fast.learner, "Replayed", Called)
    settings = replace(make_settings(recipe, device="cpu"), warm_start=False, epochs=2, batch_size=4)
    found = []
    for recorded in (False, True):
        with TrainingRun(tiny_take(), VARIANTS, settings) as run:
            if recorded:
                run.learner.device, run.renderer._device = SimpleNamespace(type="cuda"), "cuda"
            losses = torch.stack([torch.stack(run.run_epoch()) for _ in range(2)])
            found.append((losses, run.learner.weights))
    (losses, weights), (their_losses, their_weights) = found
    torch.testing.assert_close(their_losses, losses, rtol=1e-3, atol=0)
    assert (their_weights - weights).abs().max() < 1e-3


def test_differences_of_many_chunks_at_once_are_those_of_one_after_the_other(monkeypatch):
    monkeypatch.setattr(SynthPlayer, "samples_for", lambda *_: TIMBRE_SAMPLES)
    take = replace(tiny_take(), lengths=torch.full_like(tiny_take().lengths, TIMBRE_SAMPLES))
    generator = torch.Generator().manual_seed(0)
    rows, hits = torch.rand(42, 14, generator=generator), torch.arange(42) % len(take)
    found = []
    with TrainingRun(take, VARIANTS, make_settings(device="cpu")) as run:
        for device in ("cpu", "cuda"):
            run.renderer._device = device
            found.append(run.renderer.differences(1, rows, hits, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-3)
