"""The page's core in node: changing instruments while they play, and hits that are told instead of heard."""

import copy

import numpy as np
import pytest
from page_support import mapping_metadata, node_core, wide_mapping

from timbrekit.export.live_page import page_model
from timbrekit.presets import load_preset

RATE = 48_000
CHANGE = 54_000  # a sample soon after a hit, while it still rings


@pytest.fixture(scope="module")
def models():
    """Two instruments that differ in preset and network, with the same detector settings."""
    first, second = (mapping_metadata(wide_mapping("linear", spread)) for spread in (0.1, 0.5))
    tom = load_preset("low-tom")
    second = {**copy.deepcopy(second), "preset": {"name": "low-tom", "title": "Tom", "values": tom.values}}
    return page_model(first), page_model(second)


@pytest.fixture(scope="module")
def strokes():
    random = np.random.default_rng(3)
    audio = np.zeros(3 * RATE, dtype=np.float32)
    for start in np.arange(0.1, 2.9, 0.25):
        burst = random.uniform(-1, 1, 4_000) * np.exp(-np.arange(4_000) / 480)
        audio[int(start * RATE) :][:4_000] += random.uniform(0.2, 0.9) * burst
    return audio


@pytest.fixture
def run(tmp_path):
    core = node_core(tmp_path)

    def play(models, samples, **task):
        files = {"samples": core.write("samples", samples), "out": "audio"}
        (result,) = core.run({"task": "change", "models": list(models), "rate": RATE, **files, **task})
        assert "error" not in result, result
        return result["hits"], core.read("audio")

    return play


def test_an_instrument_that_takes_over_hears_as_if_it_had_played_all_along(run, models, strokes):
    hits, _ = run(models, strokes, changes=[[CHANGE, 1]])
    before, _ = run(models[:1], strokes)
    after, _ = run(models[1:], strokes)
    assert [hit["position"] for hit in hits] == [hit["position"] for hit in before]
    changed = sum(hit["position"] < CHANGE for hit in hits)
    assert 3 < changed < len(hits) - 3
    assert hits[:changed] == before[:changed]
    assert hits[changed:] == after[changed:]
    assert hits[changed:] != before[changed:]


def test_what_is_left_rings_out_without_a_click(run, models, strokes):
    hits, audio = run(models, strokes, changes=[[CHANGE, 1]])
    _, alone = run(models[:1], strokes)
    until = next(hit["position"] for hit in hits if hit["position"] > CHANGE)
    np.testing.assert_array_equal(audio[:CHANGE], alone[:CHANGE])
    fading = 1 - np.arange(until - CHANGE) / RATE  # a second
    ringing = alone[CHANGE:until]
    assert np.abs(ringing[:200]).max() > 0.05
    np.testing.assert_allclose(audio[CHANGE:until], ringing * fading, atol=1e-6)


def test_going_back_while_it_still_rings_does_not_click_either(run, models, strokes):
    back = CHANGE + 2_400
    hits, audio = run(models, strokes, changes=[[CHANGE, 1], [back, 0]])
    before, alone = run(models[:1], strokes)
    assert hits == before
    until = next(hit["position"] for hit in hits if hit["position"] > back)
    heard, ringing = audio[back:until], alone[back:until]
    clear = np.abs(ringing) > 0.002
    assert clear[:960].sum() > 100
    gain = 0.95 + np.arange(len(heard)) / 960  # where the fading stood, and back in 20 ms
    np.testing.assert_allclose(heard[clear], (ringing * np.minimum(gain, 1))[clear], atol=1e-5)


@pytest.mark.parametrize("offset", [-1, 0, 100, 256])
def test_a_change_amid_a_stroke_loses_no_hit(run, models, strokes, offset):
    """From the detection to the trigger are 257 samples."""
    before, _ = run(models[:1], strokes)
    detection = before[4]["position"] - 257
    hits, _ = run(models, strokes, changes=[[detection + offset, 1]])
    assert [(hit["position"], hit["raw"]) for hit in hits] == [
        (hit["position"], hit["raw"]) for hit in before
    ]


def test_a_hit_that_is_told_sounds_at_once_with_the_features_it_was_told(run, models):
    told = [[1_000, [1, 0.25, 0.5]], [20_000, [0, 0.5, 1]]]
    hits, audio = run(models[:1], np.zeros(30_000, np.float32), strikes=told)
    assert [hit["position"] for hit in hits] == [1_000, 20_000]
    assert all(hit["told"] for hit in hits)
    np.testing.assert_allclose(
        [hit["features"] for hit in hits], [features for _, features in told], atol=1e-6
    )
    ranges = models[0]["onset_features"]
    assert hits[0]["raw"][0] == pytest.approx(ranges["maximum"][0])
    assert hits[1]["raw"][0] == pytest.approx(ranges["minimum"][0])
    assert not audio[:1_000].any() and np.abs(audio[1_000:2_000]).max() > 0.01


def test_a_told_hit_is_played_as_a_heard_one_with_these_features(run, models, strokes):
    heard, _ = run(models[:1], strokes)
    silence = np.zeros(1_000, np.float32)
    for hit in heard:
        (again,), _ = run(models[:1], silence, strikes=[[0, hit["features"]]])
        np.testing.assert_allclose(
            again["physical"], hit["physical"], atol=0.011
        )  # a step of the host's rounding
