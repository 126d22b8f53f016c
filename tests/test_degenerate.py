"""Takes and presets with little to follow, and inputs a host should never give: numbers stay finite and bounded."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import metadata_of, trained_mapping
from takes import RATE, strokes, take_with, tiny_take

from timbrekit.export.examine import load
from timbrekit.export.torchdrum import serialize
from timbrekit.mapping import MODEL_NAMES
from timbrekit.plugin.rehearse import modulated_parameters, normalize_running
from timbrekit.presets import load_preset, preset_names
from timbrekit.recording.hits import find_hits
from timbrekit.synth import find_synth
from timbrekit.synth.parameters import PARAMETERS
from timbrekit.synth.snare808_stream import play, white_noise
from timbrekit.training.fast.run import TrainingRun
from timbrekit.training.fast.train import Variant, train
from timbrekit.training.settings import Settings
from timbrekit.training.take import make_take

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

SNARE = load_preset("snare-1")
QUICK = Settings(epochs=1, gradient_clip=0.0)
COLD = replace(QUICK, warm_start=False)


@pytest.fixture(scope="module")
def models():
    made = {}
    for number, name in enumerate(MODEL_NAMES):
        mapping = trained_mapping(name, number)
        made[name] = load(serialize(mapping, metadata_of(mapping)))
    return made


def silence_between():
    hit = strokes([-10], [400])[: round(0.2 * RATE)]
    still = np.zeros(RATE, np.float32)
    return make_take(find_hits(np.concatenate([still, hit, still, 0.5 * hit, still, hit, still]), RATE))


def scaled(level):
    return make_take(find_hits(strokes([-10, -20, -14, -8], [400, 900, 300, 600]) * np.float32(level), RATE))


DEGENERATE = {
    "digital silence between": silence_between,
    "far too loud": lambda: scaled(100.0),
    "every onset the same": lambda: take_with(tiny_take().onset[:1].expand(12, 3)),
    "one hit far louder": lambda: make_take(find_hits(strokes([-30] * 5 + [0], [400] * 6), RATE)),
    "two hits": lambda: tiny_take(2),
    "three hits": lambda: tiny_take(3),
    "nothing intended": lambda: replace(tiny_take(), reference_timbre=tiny_take().timbre),
    "loudness constant": lambda: take_with(tiny_take().onset * torch.tensor([0.0, 1.0, 1.0])),
    "one timbre feature constant": lambda: replace(
        tiny_take(), timbre=tiny_take().timbre.index_fill(1, torch.tensor([3]), -30.0)
    ),
    "two hits, the same": lambda: replace(
        tiny_take(2),
        shifted_onset=tiny_take(2).onset[:1].expand(1, 2, 3),
        timbre=tiny_take(2).timbre[:1].expand(2, 7),
    ),
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_training_on_little_gives_numbers_and_bounded_gradients(kind, short_warm_start):
    take = DEGENERATE[kind]()
    run, gradients = TrainingRun(take, [Variant(SNARE)], QUICK), []
    run.warm_start()
    change = run.learner.optimizer.change

    def watched(weights, gradient, *how):
        gradients.append(gradient.clone())
        change(weights, gradient, *how)

    run.learner.optimizer.change = watched
    train_losses, validation_losses = run.run_epoch()
    assert torch.isfinite(train_losses).all() and torch.isfinite(validation_losses).all()
    assert gradients and all(
        gradient.isfinite().all() and gradient.abs().max() < 1e3 for gradient in gradients
    )
    run.keep_best(train_losses, validation_losses)
    mapping = run.results(0, False)[0].mapping
    cube = torch.cartesian_prod(*[torch.linspace(0, 1, 5)] * 3)
    assert mapping(cube).isfinite().all() and mapping(cube).abs().max() <= 1


@pytest.mark.parametrize("extreme", ["lowest", "highest", "lowest and highest by turns"])
def test_a_preset_at_its_ends_trains_to_numbers(extreme):
    ends = {"lowest": (0, 0), "highest": (1, 1)}.get(extreme, (0, 1))
    values = {p.key: p.to_physical(float(ends[number % 2])) for number, p in enumerate(PARAMETERS)}
    preset = replace(SNARE, values=values, damping={p.key: 1.0 for p in PARAMETERS})
    trained = train(tiny_take(), preset, COLD)
    assert all(np.isfinite([epoch.train_loss, epoch.validation_loss]).all() for epoch in trained.history)
    assert all(weights.isfinite().all() for weights in trained.mapping.parameters())


def test_a_preset_that_may_not_move_stays_where_it_is():
    still = replace(SNARE, damping={p.key: 0.0 for p in PARAMETERS})
    mapping = train(tiny_take(), still, COLD).mapping
    assert torch.equal(mapping(torch.rand(20, 3)), torch.zeros(20, 14))


inputs = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)
anything = st.lists(
    st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 3e38]), min_size=3, max_size=3
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(features=inputs, name=st.sampled_from(MODEL_NAMES))
def test_a_model_answers_every_input_with_bounded_numbers(models, features, name):
    with torch.no_grad():
        answer = models[name](torch.tensor([features]))
    assert answer.shape == (2, 14) and answer.isfinite().all()
    assert answer[0].abs().max() <= 1 and answer[1].min() >= 0 and answer[1].max() <= 1


@settings(max_examples=120, deadline=None, derandomize=True)
@given(features=anything, name=st.sampled_from(MODEL_NAMES))
def test_whatever_a_host_gives_the_preset_stays_and_the_modulation_is_bounded_or_no_number(
    models, features, name
):
    with torch.no_grad():
        modulation, preset = models[name](torch.tensor([features]))
    assert preset.isfinite().all()
    assert not (modulation.abs() > 1).any()  # NaN in, NaN out: but never a large number
    if np.isfinite(features).all() and np.abs(features).max() < 1e18:  # beyond, its square is infinite
        assert modulation.isfinite().all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(anything, min_size=1, max_size=6))
def test_whatever_the_features_the_network_is_given_0_to_1_or_no_number(rows):
    scaled = normalize_running(np.array(rows, np.float32))
    assert scaled.shape == (len(rows), 3)
    assert not ((scaled < 0) | (scaled > 1)).any()
    numbers = np.isfinite(np.array(rows)).all(0)
    assert np.isfinite(scaled[:, numbers & (np.abs(np.array(rows)) < 1e38).all(0)]).all()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(preset_names()),
    modulation=st.lists(st.floats(-1, 1, width=32), min_size=14, max_size=14),
    sensitivity=st.floats(0, 4),
)
def test_any_modulation_of_any_preset_sounds_finite(name, modulation, sensitivity):
    parameters = modulated_parameters(
        find_synth(), load_preset(name).normalized(), np.array([modulation]), sensitivity
    )
    lowest, highest = ([getattr(p, end) for p in PARAMETERS] for end in ("minimum", "maximum"))
    assert (parameters >= lowest).all() and (parameters <= highest).all()
    sound = play(parameters, np.array([0]), 4800, RATE, white_noise(4800, 0), idle=parameters[0])
    assert np.isfinite(sound).all() and np.abs(sound).max() <= 10
