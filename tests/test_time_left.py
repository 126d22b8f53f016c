"""One estimate of the time that training takes yet."""

import io
import re
import time
from types import SimpleNamespace

import pytest

from timbrekit.commands.output import Bar
from timbrekit.time_left import OF_MEL, OF_PUBLISHED, PARTS, Ticker, TimeLeft

STAGES = ("Training", "Measuring", "Rehearsing", "Measuring on playing that it has not heard")


def run(parts, epochs, times=1.0, rounds=1, shares=PARTS):
    """A training that takes ``times`` the seconds of each part: what was left at each second, and what was said."""
    now = [0.0]
    left = TimeLeft(shares, clock=lambda: now[0])
    events = [(0.0, lambda: left.stage(STAGES[0]))]
    at, parts = parts[0], list(parts)
    for number in range(1, epochs + 1):
        at += parts[1] / (epochs // rounds)
        events.append((at, lambda number=number: left.epoch(number, epochs)))
        if number == epochs // rounds and rounds > 1:
            del parts[1]
    for name, part in zip(STAGES[1:], parts[2:], strict=True):
        events.append((at, lambda name=name: left.stage(name)))
        at += part
    whole, said = at * times, []
    for second in range(int(whole)):
        while events and events[0][0] * times <= second:
            now[0] = events[0][0] * times
            events.pop(0)[1]()
        now[0] = float(second)
        said.append((left.seconds(), whole - second))
    return said


@pytest.mark.parametrize("times", [0.5, 1.0, 4.0])
def test_the_estimate_is_never_far_off_once_the_warm_start_is_done(times):
    """The parts as measured on the sample, on machines half as fast and four times as slow as another."""
    said = run((22.9, 16.4, 1.8, 5.9, 3.7), 25, times)
    for told, true in said[int(24.5 * times) :]:
        assert true / 1.4 - 4 < told < 1.4 * true + 4


@pytest.mark.parametrize("times", [0.5, 1.0, 4.0])
def test_the_rounds_of_a_model_with_the_mel_listener_are_told_apart(times):
    """As measured on the sample; the second round's epochs take nearly twice as long."""
    said = run((17.6, 9.6, 16.0, 1.0, 1.5, 2.1), 40, times, rounds=2, shares=OF_MEL)
    for told, true in said[int(20 * times) + 1 :]:
        assert true / 1.4 - 4 < told < 1.4 * true + 4


@pytest.mark.parametrize("times", [0.5, 4.0])
def test_after_the_published_recipe_measuring_is_not_said_to_take_minutes(times):
    """It has no warm start, and as many epochs as half an hour holds on a busy machine: 21 min were said to be left."""
    said = run((0.0, 470.0, 1.8, 5.9, 3.7), 250, times, shares=OF_PUBLISHED)
    for told, true in said[int(30 * times) :]:
        assert true / 1.4 - 4 < told < 1.4 * true + 4


def test_what_was_said_wrong_by_minutes_is_right_now():
    """On the sample 555 s were said to be left after the first of 25 epochs, when 28 were."""
    said = run((22.9, 16.4, 1.8, 5.9, 3.7), 25)
    told, true = said[25]
    assert true < 28 and told < 40
    assert all(told < 1.5 * true + 5 for told, true in said)


def test_the_end_is_near_only_at_the_end():
    """All parts count: after the last epoch there is still measuring to do."""
    told, true = run((22.9, 16.4, 1.8, 5.9, 3.7), 25)[38]
    assert 10 < true < 13 and told > 8


def test_without_a_warm_start_the_machine_is_not_taken_for_a_fast_one():
    told, true = run((0.1, 16.4, 1.8, 5.9, 3.7), 25)[2]
    assert true / 2 < told < 2 * true


def test_a_part_that_takes_longer_than_thought_is_not_said_to_be_done():
    now = [0.0]
    left = TimeLeft(clock=lambda: now[0])
    left.stage("Training")
    now[0] = 300.0
    assert left.words() == "about 60 s left" and left.seconds() > 30


@pytest.mark.parametrize(
    "seconds, words", [(1, "almost done"), (41.6, "about 40 s left"), (600, "about 10 min left")]
)
def test_it_is_told_in_words(monkeypatch, seconds, words):
    monkeypatch.setattr(TimeLeft, "seconds", lambda self: seconds)
    assert TimeLeft().words() == words


def test_in_a_pipe_there_is_a_line_now_and_then_even_while_nothing_reports(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    said = []
    with Bar(said.append, terminal=False, left=TimeLeft(), every=0.05) as bar:
        bar.stage("Training")
        time.sleep(0.3)
        bar(SimpleNamespace(number=3, of=25, validation_loss=0.7))
        time.sleep(0.3)
    assert said[0] == "Training" and re.fullmatch(r"  about \d+ s left", said[1])
    assert re.fullmatch(r"  epoch 3 of 25, loss 0\.700, about \d+ s left", said[-1])
    count = len(said)
    time.sleep(0.15)
    assert len(said) == count  # nothing goes on talking


def test_on_a_terminal_a_bar_moves_while_nothing_reports(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    said = []
    with Bar(said.append, terminal=True, left=TimeLeft()) as bar:
        bar.stage("Training")
        time.sleep(0.8)
    assert said == ["Training"] and re.search(r"\r  \[\.+\] about \d+ s left", screen.getvalue())
    assert screen.getvalue().endswith("\r")


def test_a_ticker_ends_with_its_block():
    calls = []
    with pytest.raises(KeyboardInterrupt), Ticker(0.01, lambda: calls.append(1)):
        time.sleep(0.1)
        raise KeyboardInterrupt
    count = len(calls)
    time.sleep(0.05)
    assert count and len(calls) == count
