"""What a drummer is told: one verdict, of one set of hits, that nothing else contradicts."""

import numpy as np
import pytest

from timbrekit.features import TIMBRE_FEATURES
from timbrekit.plugin.as_played import Followed
from timbrekit.results.unseen import Unseen
from timbrekit.results.verdict import judge


def unseen(*ratios, velocity=0.9, hits=40, source="end of take", scatter=None, backwards=()):
    """Playing with these error ratios (one for all features, or seven)."""
    ratios = np.broadcast_to(np.array(ratios, np.float32), 7).copy()
    intended = np.random.default_rng(0).choice([-1.0, 1.0], (hits, 7)) * np.linspace(1, 2, hits)[:, None]
    played = (1 - ratios) * intended
    for name in backwards:
        column = TIMBRE_FEATURES.index(name)
        played[:, column] = -0.1 * intended[:, column]
    alone = Followed((1 - velocity) * intended, intended)
    return Unseen(played, intended, source, alone, None, None, scatter)


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ((0.4,), "closely"),
        ((0.69, 0.69, 0.69, 0.69, 0.69, 0.69, 0.95), "closely"),
        ((0.3, 0.3, 0.3, 0.3, 0.3, 0.75, 0.75), "in outline"),  # two features are far off
        ((0.8,), "in outline"),
        ((0.88,), "a little"),
        ((1.1,), "not"),
    ],
)
def test_the_word_comes_from_unseen_hits(ratios, word):
    verdict = judge(unseen(*ratios))
    assert verdict.word == word
    assert (word in verdict.how) or (word == "not" and "does not follow" in verdict.how)
    assert (f"{np.mean(np.broadcast_to(ratios, 7)):.0%}" in verdict.text) == (word != "not")


def test_a_model_no_better_than_loudness_alone_is_never_close_and_says_so():
    verdict = judge(unseen(0.6, velocity=0.55))
    assert verdict.word == "in outline" and "misses 55%: this model is no better than that" in verdict.text
    assert "Try another preset" in verdict.advice
    assert "no better" not in judge(unseen(0.6, velocity=0.9)).text


def test_loudness_brightness_and_length_get_a_tick_each_by_one_rule():
    verdict = judge(unseen(0.4, 0.8, 0.9, 0.9, 2.0, 2.0, 1.1, velocity=1.5))
    assert verdict.ticks == {"loudness": "✓", "brightness": "~", "length": "✗"}
    assert "One by one: loudness well, brightness partly, length not." in verdict.text


def test_what_runs_backwards_is_named_and_gets_no_tick():
    verdict = judge(unseen(0.3, backwards=["temporal centroid"]))
    assert verdict.ticks["length"] == "✗"
    assert "Length runs backwards: what rings longer on your drum comes out shorter." in verdict.text


def test_of_a_few_hits_nothing_is_said_to_run_backwards():
    assert "backwards" not in judge(unseen(0.3, hits=6, backwards=["temporal centroid"])).text


@pytest.mark.parametrize(
    ("source", "where", "advises"),
    [
        ("second take", "on the other recording, which it had never heard (40 hits)", False),
        ("end of take", "on the end of your take, which it was not trained on (40 hits)", False),
        ("trained hits", "on the very hits it was trained on (40 hits)", True),
    ],
)
def test_it_says_of_which_hits_it_speaks(source, where, advises):
    verdict = judge(unseen(0.3, source=source))
    assert where in verdict.how and ("flatters" in verdict.text) == advises


def test_a_figure_of_few_hits_is_called_rough():
    verdict = judge(unseen(0.3, hits=6))
    assert (
        "(6 hits)" in verdict.how and "a rough figure" in verdict.how and "twenty seconds" in verdict.advice
    )


def test_the_players_own_scatter_stands_beside_it():
    assert "differ by 31%" in judge(unseen(0.5, scatter=0.31)).text
    assert "one spot" not in judge(unseen(0.5)).text


@pytest.mark.parametrize("ratio", np.linspace(0.1, 1.4, 14))
@pytest.mark.parametrize("velocity", [0.5, 1.0])
@pytest.mark.parametrize("backwards", [(), ("centroid sustain",)])
def test_no_sentence_contradicts_another(ratio, velocity, backwards):
    verdict = judge(unseen(ratio, velocity=velocity, backwards=backwards))
    said = verdict.text
    if verdict.word == "closely":
        assert not any(words in said for words in ("does not follow", "no better", "Try another preset, or"))
    if verdict.word == "not":
        assert "✓" not in verdict.ticks.values() and "well" not in said and "Try another preset" in said
