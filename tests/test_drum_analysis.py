"""What is found in the hits of a drum, against drums that are known."""

import numpy as np
import pytest
from drum_support import DECAYS, FREQUENCIES, LEVELS, RATE, small_drum, struck

from timbrekit.synth.drum_analysis import analyse, kind_of
from timbrekit.synth.modes import find_modes
from timbrekit.synth.noise_bands import NODES, band_centres, fit_bands, noise_table


def _nearest(found, wanted):
    return [int(np.abs(found - hz).argmin()) for hz in wanted]


def test_modes_are_found_where_they_are_with_their_decays_and_levels():
    modes = find_modes([struck()], RATE, False, 0.015)
    loudness = np.sqrt(np.mean(np.square(struck())))
    which = _nearest(modes.frequency, FREQUENCIES)
    np.testing.assert_allclose(modes.frequency[which], FREQUENCIES, atol=0.3)
    np.testing.assert_allclose(modes.decay[0][which], DECAYS, rtol=0.05)
    np.testing.assert_allclose(np.abs(modes.gain[0][which]) * loudness, LEVELS, rtol=0.1)


def test_a_pitch_glide_is_found():
    modes = find_modes([struck(glide=0.4, noise=0.0)], RATE, True, 0.015)
    assert modes.glide.amount == pytest.approx(0.4, rel=0.15) and modes.glide.time == pytest.approx(
        0.03, rel=0.15
    )
    assert not find_modes([struck(noise=0.0)], RATE, True, 0.015).glide.amount


def test_the_curves_of_noise_follow_its_level_up_and_down():
    t = np.arange(RATE) / RATE
    swelling = -20 - 20 * np.abs(np.log2((t + 0.01) / 0.15))  # dB: up until 0.14 s, then down
    noise = np.random.default_rng(3).standard_normal(RATE) * 10 ** (swelling / 20)
    bands = fit_bands(noise, RATE, 0.01)
    assert len(bands.level) == 20 and (np.diff(bands.level[:, -2:]) < 0).all()  # it goes on falling
    # All bands together have the noise's power; each node in the middle of its sound.
    wide = band_centres() > 1000  # bands in which a level hardly wavers
    relative = bands.level[wide] - bands.level[wide].mean(1, keepdims=True)
    nodes = slice(4, 14)
    expected = np.interp(NODES[nodes], t, swelling)
    found = np.median(relative[:, nodes], 0)
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=1.5)


def test_noise_that_is_played_again_is_as_loud():
    noise = 0.1 * np.random.default_rng(3).standard_normal(RATE)
    bands = fit_bands(noise, RATE, 0.01)
    played = (10 ** (bands.level[:, 8] / 20)) @ noise_table(RATE, bands.shape)
    assert np.std(played) == pytest.approx(0.1, rel=0.03)


def test_the_noise_of_every_band_has_one_level_and_is_always_the_same():
    table = noise_table(RATE, np.zeros(513))
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(table), 1)), 1, rtol=1e-4)
    np.testing.assert_array_equal(table, noise_table(RATE, np.zeros(513)))


def test_several_hits_share_modes_and_say_what_harder_means():
    drum = small_drum()
    which = _nearest(drum.frequency, FREQUENCIES)
    np.testing.assert_allclose(drum.frequency[which], FREQUENCIES, atol=0.5)
    assert drum.loudness[1] - drum.loudness[0] == pytest.approx(-20 * np.log10(0.3), abs=1.0)
    # Made 1, 1.2, 1.4, 1.6 dB a dB; the pull towards 1 and the others' share in the loudness flatten that a little.
    slopes = drum.level_slope[which]
    assert (np.diff(slopes) > 0.08).all() and slopes[0] == pytest.approx(1, abs=0.15)


def test_kinds_of_drum():
    t = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert kind_of(np.cos(2 * np.pi * 55 * t) * np.exp(-8 * t), RATE) == "kick"
    assert kind_of(np.cos(2 * np.pi * 180 * t) * np.exp(-8 * t), RATE) == "tom"
    bright = np.diff(noise, 3, prepend=[0, 0, 0]) * np.exp(-8 * t)
    assert kind_of(bright, RATE) == "cymbal"


def test_the_same_hits_give_the_same_drum_in_any_order_of_files():
    one, other = small_drum().to_json(), analyse([struck(1.0, seed=2), struck(0.3, seed=1)]).to_json()
    assert one["frequency"] == other["frequency"] and one["noise_level"] == other["noise_level"][::-1]
