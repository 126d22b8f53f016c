"""Loudness as the ear has it, and whether what sounds alike is played alike."""

import numpy as np
import pytest
from takes import RATE, tiny_take

from timbrekit.results.auditory_image import auditory_images, match_images, sones

FULL_SCALE = 96.0  # dB SPL


def tone(hz, level_db_spl, seconds=0.4):
    time = np.arange(round(seconds * RATE)) / RATE
    return 10 ** ((level_db_spl - FULL_SCALE) / 20) * np.sin(2 * np.pi * hz * time)


def test_a_sone_is_forty_decibels_and_ten_more_are_twice_as_loud():
    assert sones([40, 50, 60, 0, -10]) == pytest.approx([1, 2, 4, 0, 0])


@pytest.mark.parametrize("level", [50, 70, 90])
def test_a_tone_of_a_kilohertz_is_as_loud_as_its_level_says(level):
    image = auditory_images(tone(1000, level)[None], RATE)[0]
    heard = image[:, image.shape[1] // 2]
    assert heard.argmax() == 8  # the ninth critical band, 920 to 1080 Hz
    # Outer and middle ear let a kilohertz pass with -3.4 dB; spreading leaves the band's own level as it is.
    assert np.log2(heard.max()) == pytest.approx((level - 40 - 3.4) / 10, abs=0.03)


def test_a_deep_tone_is_softer_than_one_the_ear_is_made_for():
    deep, clear = (auditory_images(tone(hz, 60)[None], RATE).sum((1, 2))[0] for hz in (50, 3300))
    assert deep < 0.5 * clear


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_silence_is_silent(rate):
    assert auditory_images(np.zeros((2, rate)), rate).max() == 0


def test_hits_played_as_they_were_recorded_match_wholly_and_shuffled_ones_by_chance():
    hits = tiny_take(24).hits.segments
    same = match_images(hits, 0.7 * hits, RATE)
    assert same.correlation > 0.98 and 0 < same.chance < 0.5
    shuffled = match_images(hits, hits[np.random.default_rng(3).permutation(24)], RATE)
    assert shuffled.correlation < same.chance + 0.15


def test_one_permutation_in_twenty_reaches_chance():
    generator, hits = np.random.default_rng(0), tiny_take(24).hits.segments
    beyond = 0
    for _ in range(40):
        match = match_images(hits, hits[generator.permutation(24)], RATE)
        beyond += match.correlation > match.chance
    assert 0 <= beyond <= 7  # 2 expected; more than 7 of 40 has a probability of 0.3 %


def test_few_hits_or_equal_ones_say_nothing():
    hits = tiny_take().hits.segments
    assert match_images(hits[:4], hits[:4], RATE) is None
    assert match_images(np.tile(hits[:1], (6, 1)), hits[:6], RATE) is None
