"""A map in threads that is bounded and keeps the order: work goes on ahead of what is read, by so much and no more."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS: Final = 16
"""A disk confirms the writes of many threads nearly as fast as that of one: each waits some milliseconds for it."""
AHEAD: Final = 64
AHEAD_BYTES: Final = 64 * 2**20


def submit_ahead(
    pool: Executor,
    act: Callable[[T], R],
    items: Iterable[T],
    ahead: int,
    weigh: Callable[[T], int] = lambda _: 0,
    ahead_weight: int = 0,
) -> Generator[tuple[T, Future[R]], None, None]:
    """Yield each item in order with the future of `act`, when up to `ahead` others behind it are with the pool, too.

    Fewer are where they weigh more than `ahead_weight` together. `items` is advanced by the caller's thread alone. What
    has not begun when this ends is cancelled.
    """
    waiting: deque[tuple[T, int, Future[R]]] = deque()
    total = 0
    try:
        for item in items:
            weight = weigh(item)
            waiting.append((item, weight, pool.submit(act, item)))
            total += weight
            while len(waiting) > ahead or total > ahead_weight:
                first, weight, future = waiting.popleft()
                total -= weight
                yield first, future
        while waiting:
            first, _, future = waiting.popleft()
            yield first, future
    finally:
        for _, _, future in waiting:
            future.cancel()


def in_order(items: Iterable[T], act: Callable[[T], R], weigh: Callable[[T], int]) -> Generator[R, None, None]:
    """Yield `act` of each item, in order; threads work on those that follow, as many as weigh `AHEAD_BYTES` together.

    `items` is advanced by the caller's thread alone. Errors of an item are raised in its turn; those after it are lost.
    """
    with (
        ThreadPoolExecutor(THREADS, "pipeline") as pool,
        closing(submit_ahead(pool, act, items, AHEAD, weigh, AHEAD_BYTES)) as found,
    ):
        for _, future in found:
            yield future.result()
