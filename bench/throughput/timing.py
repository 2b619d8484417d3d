"""Seconds, and what is made of many of them."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def timed(act: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that something took, and what it returned."""
    began = time.perf_counter()
    found = act()
    return time.perf_counter() - began, found


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def rotated(things: Sequence[T], run: int) -> Iterator[T]:
    """Yield all of them, in each run another one first: a machine that warms up or slows down favours nobody."""
    for number in range(len(things)):
        yield things[(number + run) % len(things)]
