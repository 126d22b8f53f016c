"""The noise's high-pass against scipy's filter, state and all."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from timbrekit.synth.highpass import high_pass_from_zero_state, high_pass_in_steady_state

RATE = 48_000
PERIOD, LENGTH = 36_864, 35_328


def coefficients(cutoff_hz, q, rate=RATE):
    """Second-order high-pass by the bilinear transform, from its textbook form."""
    k = np.tan(np.pi * cutoff_hz / rate)
    norm = 1 / (1 + k / q + k * k)
    return norm * np.array([1, -2, 1]), np.array([1, 2 * norm * (k * k - 1), norm * (1 - k / q + k * k)])


def noise(seed=0, size=PERIOD):
    return torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def handed_over(x, cutoffs, qs):
    """Both filters in scipy: the first runs over the noise until all is settled, the second takes its state over."""
    b, a = coefficients(cutoffs[0], qs[0])
    _, state = lfilter(b, a, np.tile(x, 6), zi=np.zeros(2))
    return lfilter(*coefficients(cutoffs[1], qs[1]), x, zi=state)[0][:LENGTH]


@pytest.mark.parametrize(("cutoff_hz", "q"), [(20, 10), (200, 0.5), (3000, 0.707), (20_000, 2)])
def test_from_rest_it_is_scipys_filter(cutoff_hz, q):
    x = noise()
    expected = lfilter(*coefficients(cutoff_hz, q), x[:LENGTH].numpy())
    heard = high_pass_from_zero_state(x, doubles(cutoff_hz), doubles(q), LENGTH, RATE)
    assert np.abs(heard[0].numpy() - expected).max() < 2e-6  # of 1e-6 of its longest ringing left


@settings(max_examples=10, deadline=None)
@given(
    cutoffs=st.tuples(st.floats(20, 23_000), st.floats(20, 23_000)),
    qs=st.tuples(st.floats(0.5, 10), st.floats(0.5, 10)),
    seed=st.integers(0, 100),
)
def test_a_hit_takes_over_the_state_that_the_hit_before_left(cutoffs, qs, seed):
    x = noise(seed)
    heard = high_pass_in_steady_state(x, doubles(*cutoffs), doubles(*qs), LENGTH, RATE, carry_state=2)
    expected = handed_over(x.numpy(), cutoffs, qs)
    assert np.abs(heard[1].numpy() - expected).max() < 1e-7 * max(1, np.abs(expected).max())


def test_a_low_cutoff_after_a_high_one_thumps():
    x = noise()
    settings_of = doubles(15_000, 40), doubles(1, 1)
    quiet = high_pass_in_steady_state(x, *settings_of, LENGTH, RATE)
    thump = high_pass_in_steady_state(x, *settings_of, LENGTH, RATE, carry_state=2)
    assert (thump - quiet)[1, :2000].abs().max() > 0.2
    assert torch.allclose(thump[:, -100:], quiet[:, -100:], atol=1e-4)  # and dies away


def test_equal_hits_hand_nothing_on_that_was_not_there():
    same = doubles(800, 800, 800), doubles(2, 2, 2)
    x = noise()
    plain = high_pass_in_steady_state(x, *same, LENGTH, RATE)
    assert torch.allclose(high_pass_in_steady_state(x, *same, LENGTH, RATE, carry_state=3), plain, atol=1e-12)


def test_in_single_precision_it_stays_close():
    x = noise()
    cutoffs, qs = torch.tensor([50.0, 9000.0, 20.0, 300.0]), torch.tensor([10.0, 0.5, 10.0, 1.0])
    exact = high_pass_in_steady_state(x, cutoffs.double(), qs.double(), LENGTH, RATE, carry_state=4)
    single = high_pass_in_steady_state(x.float(), cutoffs, qs, LENGTH, RATE, carry_state=4)
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 1e-4 * exact.abs().max()


def test_gradients_are_those_of_the_filter():
    x = noise(size=1200)
    cutoff, q = doubles(900).requires_grad_(), doubles(1.5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c, q: high_pass_in_steady_state(x, c, q, 1000, RATE), (cutoff, q), atol=1e-4
    )


def test_short_noise_goes_round():
    x = noise(size=4096)
    settings_of = doubles(700, 4000), doubles(3, 1)
    heard = high_pass_in_steady_state(x, *settings_of, LENGTH, RATE, carry_state=2)
    unrolled = high_pass_in_steady_state(x.repeat(9), *settings_of, LENGTH, RATE, carry_state=2)
    assert torch.allclose(heard, unrolled, atol=1e-9)
