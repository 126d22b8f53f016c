"""The streaming synthesiser against renders of the plug-in's own."""

import numpy as np
import pytest

from timbrekit.synth.snare808_stream import play, white_noise

RATE = 48_000
SNARE = np.array([180, 0.4, 240, 0.3, 50, 200, 150, 200, 2500, 2, -6, -12, -4, -12], dtype=np.float32)


@pytest.mark.parametrize("rate", [48000, 44100])
@pytest.mark.parametrize("kind", ["off", "on"])
def test_single_hits_sound_as_in_the_plug_in(golden_808, rate, kind):
    noise = golden_808["noise"] if kind == "on" else np.zeros(48000)
    for parameters, expected in zip(golden_808["params_real"], golden_808[f"{kind}_{rate}"], strict=True):
        audio = play(parameters, [0], len(expected), rate, noise=noise)
        np.testing.assert_allclose(audio, expected, atol=1e-6, rtol=0)  # "extreme" included


def test_a_retrigger_rises_from_where_the_envelope_is(golden_808):
    names = golden_808["set_names"].tolist()
    parameters = golden_808["params_real"][[names.index("snare1"), names.index("noisy")]]
    audio = play(parameters, [500, 2000], 12_000, RATE, noise=golden_808["retrig_noise"])
    np.testing.assert_allclose(audio, golden_808["retrig_audio"], atol=1e-6, rtol=0)


def test_silent_before_the_first_trigger_and_without_any():
    audio = play(SNARE, [1000], 5000, RATE)
    assert not audio[:1000].any()
    assert audio[1000:1100].any()
    assert not play(np.zeros((0, 14)), [], 5000, RATE).any()


def test_triggers_past_the_end_are_not_reached():
    np.testing.assert_array_equal(play(SNARE, [100, 9000], 5000, RATE), play(SNARE, [100], 5000, RATE))


def test_the_oscillators_run_before_the_first_trigger():
    tonal = SNARE.copy()
    tonal[12] = -60
    zeros = np.zeros(20_000)
    at_once = play(tonal, [0], 5000, RATE, noise=zeros)
    one_period = play(tonal, [800], 5800, RATE, noise=zeros)[800:]  # 800 samples: 3 and 4 whole periods
    half_period = play(tonal, [400], 5400, RATE, noise=zeros)[400:]
    np.testing.assert_allclose(one_period, at_once, atol=1e-5)
    assert np.abs(half_period - at_once).max() > 0.01


def test_noise_is_seeded_and_fresh_at_every_hit():
    triggers = [0, RATE]
    first = play(SNARE, triggers, 2 * RATE, RATE, seed=1)
    np.testing.assert_array_equal(first, play(SNARE, triggers, 2 * RATE, RATE, seed=1))
    assert np.abs(first - play(SNARE, triggers, 2 * RATE, RATE, seed=2)).max() > 0.01
    assert np.abs(first[:RATE] - first[RATE:]).max() > 0.01
    noise = white_noise(100_000, 0)
    assert -1 <= noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    assert abs(noise.mean()) < 0.01


def test_the_cutoff_stays_a_kilohertz_below_half_the_sample_rate():
    low, high = np.tile(SNARE, (2, 1))
    low[8], high[8] = 21_050, 24_000
    np.testing.assert_array_equal(play(low, [0], 5000, 44_100), play(high, [0], 5000, 44_100))


@pytest.mark.parametrize(
    ("parameters", "triggers", "noise"),
    [
        (np.zeros((2, 14)), [0], None),
        (SNARE, [5, 5], None),
        (SNARE, [-1], None),
        (SNARE, [0], np.zeros(10)),
    ],
)
def test_what_does_not_fit_together_is_refused(parameters, triggers, noise):
    with pytest.raises(ValueError, match=r"expected|ascending"):
        play(parameters, triggers, 100, RATE, noise=noise)
