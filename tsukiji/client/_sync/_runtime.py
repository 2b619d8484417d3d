"""What runs at once, sleeps or blocks, in the synchronous client. `_async` has the same names with tasks.

One of two modules that are written by hand on each side.
"""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

A = TypeVar("A")
R = TypeVar("R")

sleep = time.sleep
lock = threading.Lock


def interruptions() -> tuple[type[BaseException], ...]:
    """Return the exceptions by which a person or program ends a wait."""
    return (KeyboardInterrupt,)


def in_thread(function: Callable[..., R], *arguments: Any) -> R:
    """Call a function that reads files or computes; here it may block."""
    return function(*arguments)


def each(function: Callable[[A], object], items: Iterable[A], limit: int) -> None:
    """Call a function with each item, `limit` at once. The first error ends all, and is raised."""
    with ThreadPoolExecutor(limit) as pool:
        tasks = [pool.submit(function, item) for item in items]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def streamed(file: BinaryIO) -> BinaryIO:
    """Return a file as the body of a request."""
    return file


class Counted:
    """What `len` and the truth of a list ask."""

    @abstractmethod
    def count(self) -> int: ...

    @abstractmethod
    def is_empty(self) -> bool: ...

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return not self.is_empty()
