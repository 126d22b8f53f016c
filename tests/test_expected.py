"""What onsets let one expect where hits are few: near loudness alone, and nothing of what is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from takes import tiny_take

from timbrekit.training.expected import ENOUGH, STEEPEST, expect, steepness_of, with_expected
from timbrekit.training.take import Take

ALL = np.arange(12)


def take_that_follows(loudness, rest, onset) -> Take:
    """A take of hits with these intended differences of loudness ``(n,)`` and of all else ``(n,)``.

    Args:
        onset: ``(n, 3)`` raw onset features; the first hit is the reference.
    """
    differences = torch.as_tensor(np.column_stack([loudness] * 2 + [rest] * 5), dtype=torch.float32)
    return replace(
        tiny_take(),
        shifted_onset=torch.as_tensor(onset, dtype=torch.float32)[None],
        timbre=differences,
        reference_timbre=torch.zeros_like(differences),
        lengths=torch.full((len(onset),), 4800),
        reference=0,
    )


def cube(count, seed=0):
    """``(count, 3)`` onsets: 30 dB, and two features from 0 to 1."""
    return np.random.default_rng(seed).uniform([-40, 0, 0], [-10, 1, 1], (count, 3))


@pytest.mark.parametrize("seed", range(5))
def test_the_steepness_is_the_best_of_all_lines_through_zero(seed):
    generator = np.random.default_rng(seed)
    louder = generator.normal(0, 8, 30)
    intended = 0.7 * louder + generator.laplace(0, 3, 30)
    tried = np.linspace(0, STEEPEST, 20_001)
    errors = np.abs(intended - tried[:, None] * louder).mean(1)
    assert steepness_of(louder, intended) == pytest.approx(tried[errors.argmin()], abs=2e-4)


def test_the_steepness_stays_in_its_range_and_is_none_where_all_hits_are_as_loud():
    louder = np.array([-10.0, 5.0, 20.0])
    assert steepness_of(louder, -louder) == 0
    assert steepness_of(louder, 5 * louder) == STEEPEST
    assert steepness_of(np.zeros(3), louder) == 0


def test_where_sounds_differ_by_loudness_alone_nothing_else_is_expected_anywhere():
    onset = cube(40)
    take = take_that_follows(0.8 * (onset[:, 0] - onset[0, 0]), np.zeros(40), onset)
    anywhere = np.random.default_rng(1).uniform(0, 1, (200, 3))
    expected = expect(take, np.arange(40))(anywhere)
    middle, span = float(take.inputs[0, 0]), float(take.maximum[0] - take.minimum[0])
    np.testing.assert_allclose(expected[:, 0], 0.8 * (anywhere[:, 0] - middle) * span, atol=0.05)
    assert np.abs(expected[:, 2:]).max() < 1e-3


def test_the_more_hits_agree_the_further_they_lead_away_from_loudness_alone():
    onset = cube(160)
    take = take_that_follows(np.zeros(160), 10 * np.sin(3 * onset[:, 1]), onset)
    intended = take.intended[:, 3].numpy()

    def left(count: int) -> float:
        """Of what is intended, by what so many hits let one expect of all."""
        expected = expect(take, np.arange(count))(take.inputs.double().numpy())[:, 3]
        return float(np.abs(expected - intended).mean() / np.abs(intended).mean())

    assert left(160) < 0.5 * left(20) < 0.5


def test_far_from_every_hit_loudness_alone_is_expected():
    """Here all hits share the rest, and yet it is not expected of other playing; a hit near them has it."""
    generator = np.random.default_rng(2)
    onset = np.column_stack([generator.uniform(-40, -10, 80), generator.uniform(0, 0.3, 80), np.zeros(80)])
    onset[-1] = [-20, 1, 1]  # so far the range goes
    louder = onset[:, 0] - onset[0, 0]
    take = take_that_follows(0.8 * louder, np.full(80, 8.0), onset)
    near, far = (expect(take, np.arange(79))(np.array([[0.5, 0.15, rest]])) for rest in (0.0, 1.0))
    loudness = 0.8 * np.interp(0.5, [0, 1], [louder.min(), louder.max()])
    np.testing.assert_allclose(far[0], [loudness] * 2 + [0] * 5, atol=1e-3)
    assert near[0, 2:].min() > 4


@pytest.mark.parametrize("seed", range(3))
def test_other_playing_is_never_expected_much_worse_than_by_loudness_alone(seed):
    """Trained on one stroke, asked about another that changes the other way."""
    generator = np.random.default_rng(seed)
    both = [generator.uniform([-40, low, low], [-10, low + 0.35, low + 0.35], (40, 3)) for low in (0, 0.65)]
    take = take_that_follows(np.zeros(80), np.repeat([6.0, -6.0], 40), np.concatenate(both))
    expected = expect(take, np.arange(40))(take.inputs.double().numpy())[:, 2:]
    error = np.abs(expected - take.intended.numpy()[:, 2:])
    assert error[:40].mean() < 0.5 * 6 and error[40:].mean() < 1.05 * 6


def test_held_out_hits_stay_as_they_were_and_have_no_say():
    take, held_out, trained = tiny_take(), ALL[9:], ALL[:9]
    changed_timbre = take.timbre.clone()
    changed_timbre[held_out] += 7.0
    followed, indices = with_expected(take, trained)
    other, _ = with_expected(replace(take, timbre=changed_timbre), trained)
    torch.testing.assert_close(followed.intended[held_out], take.intended[held_out])
    assert torch.equal(followed.intended[indices], other.intended[indices])
    assert (followed.intended[trained] != take.intended[trained]).any()


def test_imagined_hits_lie_all_over_the_range_and_widen_it_nowhere():
    take = tiny_take()
    followed, indices = with_expected(take, ALL)
    assert len(followed) == ENOUGH and indices.tolist() == list(range(ENOUGH))
    assert torch.equal(followed.minimum, take.minimum) and torch.equal(followed.maximum, take.maximum)
    torch.testing.assert_close(followed.inputs[:12], take.inputs)
    imagined = followed.inputs[12:]
    assert (imagined.amin(0) < 0.05).all() and (imagined.amax(0) > 0.95).all()
    assert set(followed.lengths[12:].tolist()) <= set(take.lengths.tolist())
    again, _ = with_expected(take, ALL)
    assert torch.equal(again.timbre, followed.timbre) and torch.equal(again.onset, followed.onset)


def test_the_fewer_hits_the_nearer_they_are_drawn_to_what_is_expected():
    onset = cube(ENOUGH)
    take = take_that_follows(np.random.default_rng(3).normal(0, 5, ENOUGH), np.zeros(ENOUGH), onset)

    def way(count: int) -> float:
        hits = np.arange(count)
        expected = torch.from_numpy(expect(take, hits)(take.inputs[hits].double().numpy()))
        followed, _ = with_expected(take, hits)
        drawn = (followed.intended[hits] - take.intended[hits]).abs().sum()
        return float(drawn / (expected - take.intended[hits]).abs().sum())

    ways = [way(count) for count in (20, ENOUGH // 2, 80, 110)]
    assert ways == pytest.approx([1, 1, 0.5, 10 / 110], abs=1e-3)


def test_a_take_of_enough_hits_stays_as_it_is():
    onset, hits = cube(ENOUGH + 10), np.arange(ENOUGH)
    take = take_that_follows(onset[:, 0], np.zeros(len(onset)), onset)
    assert with_expected(take, hits) == (take, hits)


@pytest.mark.parametrize("count", [2, 3])
def test_hits_too_few_or_too_alike_to_learn_from_give_finite_differences(count):
    onset = np.repeat([[-20.0, 0.5, 0.5]], count, 0)
    take = take_that_follows(np.zeros(count), np.zeros(count), onset)
    followed, _ = with_expected(take, np.arange(count))
    assert followed.intended.isfinite().all() and followed.inputs.isfinite().all()
