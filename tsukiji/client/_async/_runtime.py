"""What runs at once, sleeps or blocks, in the asynchronous client. `_sync` has the same names with threads.

One of two modules that are written by hand on each side.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, Final, ParamSpec, TypeVar

import anyio
from anyio import to_thread

A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")
PIECE_BYTES: Final = 2**18

sleep = anyio.sleep


def lock() -> AbstractContextManager[Any]:
    """Return a lock between functions of `each`: a task is not interrupted between two awaits."""
    return nullcontext()


def interruptions() -> tuple[type[BaseException], ...]:
    """Return the exceptions by which a person or program ends a wait."""
    return KeyboardInterrupt, anyio.get_cancelled_exc_class()


async def in_thread(function: Callable[..., R], *arguments: Any) -> R:
    """Call a function that reads files or computes, without blocking the event loop."""
    return await to_thread.run_sync(function, *arguments)


async def each(function: Callable[[A], Awaitable[object]], items: Iterable[A], limit: int) -> None:
    """Call a function with each item, `limit` at once. The first error ends all, and is raised as itself."""
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await function(item)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(limit):
                group.start_soon(work)
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def streamed(file: BinaryIO) -> AsyncIterator[bytes]:
    """Return a file as the body of a request."""

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await to_thread.run_sync(file.read, PIECE_BYTES):
            yield piece

    return pieces()


class Counted:
    """`len(...)` cannot be awaited: `await count()`."""
