"""A second process does part of the work, and whatever becomes of it the results are those of one process."""

import os
import sys
import time

import pytest
import torch

from timbrekit.training.fast.worker import Worker


def scaled(state, number):
    return state * number


def whose(state, number):
    time.sleep(0.002)  # so that both have the time to take some
    return os.getpid(), state * number


def noisy(state, number):
    print("to standard output")
    return os.getpid(), state * number


def fatal_elsewhere(state, number):
    """Brings down any process but that of the test."""
    if os.getpid() != state:
        os._exit(3)
    time.sleep(0.002)
    return number


def failing(state, number):
    raise ZeroDivisionError("of the function")


def interrupted_here(state, number):
    if os.getpid() == state:
        raise KeyboardInterrupt
    return number


@pytest.fixture(scope="module")
def three():
    """A worker that takes part, with 3 as its state, for the tests that leave it alive: starting one takes seconds."""
    with Worker(3) as worker:
        assert worker.wait()
        process = worker._process
        yield worker
    assert process.poll() is not None  # at the end it is gone


@pytest.fixture
def started():
    """A function that makes a worker and waits until it takes part."""
    workers = []

    def started(state):
        worker = Worker(state)
        workers.append(worker)
        assert worker.wait()
        return worker

    yield started
    for worker in workers:
        worker.close()


@pytest.fixture
def ready(forked_worker, started):
    """The same with a fork for its process, for what is about questions and answers and not about the start."""
    return started


def test_both_processes_work_and_the_results_are_in_order(three):
    results = three.starmap(whose, [(number,) for number in range(40)])
    assert [value for _, value in results] == [3 * number for number in range(40)]
    processes = [process for process, _ in results]
    assert len(set(processes)) == 2 and processes.count(os.getpid()) >= 10


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_few_calls(three, calls):
    for _ in range(3):
        assert three.starmap(scaled, [(number,) for number in range(calls)]) == [0, 3, 6][:calls]


def test_tensors_and_their_types_arrive(ready):
    given = [(torch.arange(6).view(2, 3),), (torch.rand(3, dtype=torch.float64),), (torch.rand(0, 7),)]
    worker = ready(torch.tensor(2.5))
    for _ in range(3):
        for result, (tensor,) in zip(worker.starmap(scaled, given), given, strict=True):
            assert torch.equal(result, 2.5 * tensor) and result.dtype == (2.5 * tensor).dtype


def test_two_things_are_done_at_once(three):
    (mine, _), (other, value) = three.beside(lambda: whose(3, 1), whose, (5,))
    assert mine == os.getpid() != other and value == 15


def test_one_after_the_other_without_a_worker():
    order = []
    with Worker(3, wanted=False) as worker:
        done = worker.beside(
            lambda: order.append("here"), lambda state, call: order.append((state, call)), (5,)
        )
    assert done == (None, None) and order == ["here", (3, 5)]


def test_the_other_thing_is_done_here_when_the_worker_dies_of_it(ready):
    worker = ready(os.getpid())
    assert worker.beside(lambda: 1, fatal_elsewhere, (7,)) == (1, 7)
    assert worker._process is None
    assert worker.beside(lambda: 1, fatal_elsewhere, (7,)) == (1, 7)


def test_interrupted_beside_it_no_late_answer_is_taken_for_another(ready):
    def interrupt():
        raise KeyboardInterrupt

    worker = ready(3)
    with pytest.raises(KeyboardInterrupt):
        worker.beside(interrupt, whose, (5,))
    assert worker._process is None


def test_before_it_is_ready_everything_is_done_here():
    with Worker(2) as worker:
        assert worker.starmap(whose, [(1,), (2,)]) == [(os.getpid(), 2), (os.getpid(), 4)]
    with Worker(2, wanted=False) as worker:
        assert worker._process is None
        assert worker.starmap(whose, [(1,), (2,)]) == [(os.getpid(), 2), (os.getpid(), 4)]


def test_what_it_was_doing_when_it_died_is_done_here(started):
    worker = started(os.getpid())
    assert worker.starmap(fatal_elsewhere, [(number,) for number in range(9)]) == list(range(9))
    assert worker._process is None
    assert worker.starmap(fatal_elsewhere, [(number,) for number in range(9)]) == list(range(9))


def test_killed_between_two_times_it_is_not_missed(ready):
    worker = ready(3)
    worker._process.kill()
    worker._process.wait()
    for _ in range(3):
        assert worker.starmap(scaled, [(1,), (2,), (3,)]) == [3, 6, 9]


def test_what_is_printed_there_is_no_answer(three):
    results = three.starmap(noisy, [(number,) for number in range(8)])
    assert [value for _, value in results] == [3 * number for number in range(8)]
    assert len({process for process, _ in results}) == 2


def test_an_error_of_the_function_is_raised_here_wherever_it_happened(ready):
    with pytest.raises(ZeroDivisionError, match="of the function"):
        ready(3).starmap(failing, [(1,), (2,), (3,)])


def test_after_an_interruption_no_late_answer_is_taken_for_another(ready):
    worker = ready(os.getpid())
    with pytest.raises(KeyboardInterrupt):
        worker.starmap(interrupted_here, [(number,) for number in range(6)])
    assert worker._process is None
    assert worker.starmap(max, [(0,), (1,)]) == [os.getpid()] * 2


def test_at_the_end_the_process_is_gone(ready):
    worker = ready(3)
    process = worker._process
    with worker:
        pass
    assert process.poll() is not None


@pytest.mark.parametrize("python", [None, "", os.path.join(os.sep, "no", "python")])
def test_where_it_cannot_be_started_one_process_does_it_all(monkeypatch, python):
    monkeypatch.setattr(sys, "executable", python)
    with Worker(3) as worker:
        assert worker.starmap(scaled, [(1,), (2,)]) == [3, 6]
