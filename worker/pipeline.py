"""Work on many things at once whose results come in their order. Knows neither the things nor the work."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS: Final = 16
"""A disk confirms the writes of many threads nearly as fast as that of one: each waits some milliseconds for it."""
AHEAD: Final = 64
AHEAD_BYTES: Final = 64 * 2**20


def in_order(items: Iterable[T], act: Callable[[T], R], weigh: Callable[[T], int]) -> Generator[R, None, None]:
    """Yield `act` of each item, in order; threads work on those that follow, as many as weigh `AHEAD_BYTES` together.

    `items` is advanced by the caller's thread alone. Errors of an item are raised in its turn; those after it are lost.
    """
    waiting: deque[tuple[int, Future[R]]] = deque()
    total = 0
    with ThreadPoolExecutor(THREADS, "pipeline") as pool:
        try:
            for item in items:
                weight = weigh(item)
                waiting.append((weight, pool.submit(act, item)))
                total += weight
                while len(waiting) > AHEAD or total > AHEAD_BYTES:
                    weight, future = waiting.popleft()
                    total -= weight
                    yield future.result()
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()
