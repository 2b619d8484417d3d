"""Work ahead in threads, with results in their order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tsukiji.kernel import pipeline
from tsukiji.kernel.pipeline import in_order, submit_ahead


def test_results_come_in_order_and_threads_help(monkeypatch):
    together = threading.Barrier(8)

    def wait_for_others(number):
        together.wait(30)  # breaks unless eight work at once
        return number

    assert list(in_order(range(16), wait_for_others, lambda _: 1)) == list(range(16))


def test_no_more_is_taken_than_may_lie_about(monkeypatch):
    monkeypatch.setattr(pipeline, "AHEAD_BYTES", 10)
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    found = in_order(items(), lambda number: number, lambda _: 5)
    assert next(found) == 0
    assert len(taken) == 3
    assert list(found) == list(range(1, 20))


def test_an_error_comes_in_its_turn():
    def act(number):
        if number == 3:
            raise ValueError("three")
        return number

    found = in_order(range(10), act, lambda _: 1)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)


def test_what_has_not_begun_is_cancelled_when_nobody_reads_on():
    goes_on, begun = threading.Event(), []

    def act(number):
        begun.append(number)
        goes_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        found = submit_ahead(pool, act, range(10), 4)
        _, first = next(found)
        found.close()
        goes_on.set()
        first.result()
    assert begun == [0]
