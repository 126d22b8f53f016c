"""Hostile recordings, presets and models: each works, or is answered with one clear line. More of them by hand:
``python -m tests.by_hand.fuzz_inputs``.
"""

import random

import pytest
from by_hand.hostile import KINDS, TRAP, make_input, try_input


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.usefixtures("forked_guard")
@pytest.mark.parametrize(("kind", "count"), [("recordings", 20), ("presets", 60), ("models", 15)])
def test_anything_a_user_brings_works_or_is_answered_in_words(kind, count, seed, tmp_path, capfd):
    outcomes = []
    for number in random.Random(seed).sample(range(10_000), count):
        given = make_input(kind, 0, number)
        capfd.readouterr()  # what the encoders that made it said
        outcome = try_input(kind, given, tmp_path)
        assert not outcome.fault, (number, given.what)
        assert "".join(capfd.readouterr()) == "", (number, given.what)
        outcomes.append(outcome.result)
    assert {"used", "refused"} <= set(outcomes)  # else the inputs are all of one sort
    assert not list(tmp_path.iterdir()) and not TRAP.exists()


def test_an_input_is_the_same_each_time():
    import numpy as np

    for make, _ in KINDS.values():
        first, second = (make(np.random.default_rng(5)) for _ in range(2))
        assert first == second
