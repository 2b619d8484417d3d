"""A bounded, ordered map in threads: works ahead of the consumer, but only so far."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS: Final = 16
"""A disk confirms concurrent writes of many threads nearly as fast as a single one."""
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
    """Yield each item in order with the future of `act`, with up to `ahead` following items submitted too.

    Fewer are submitted if they weigh more than `ahead_weight` together. Only the caller's thread advances `items`.
    Pending work is cancelled at the end.
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
    """Yield `act` of each item, in order; threads work on the following ones, up to a weight of `AHEAD_BYTES`.

    Only the caller's thread advances `items`. Errors of an item are raised in its turn, and end the iteration.
    """
    with (
        ThreadPoolExecutor(THREADS, "pipeline") as pool,
        closing(submit_ahead(pool, act, items, AHEAD, weigh, AHEAD_BYTES)) as found,
    ):
        for _, future in found:
            yield future.result()
