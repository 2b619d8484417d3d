"""Streams: threads that each take a part of the pictures all the way from bytes to embeddings.

While one decodes, others compute, no core waits for another, and memory holds at most one part per stream.
"""

import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from tsukiji.kernel.pipeline import submit_ahead
from tsukiji.vision.execution_plan import Plan

T = TypeVar("T")
R = TypeVar("R")


def parts_of(items: Sequence[T], batch_size: int, streams: int) -> list[Sequence[T]]:
    """Split into forward passes; if the items are few, into smaller ones that occupy all streams."""
    size = max(1, min(batch_size, -(-len(items) // streams)))
    return [items[start : start + size] for start in range(0, len(items), size)]


def in_streams(
    plan: Plan, parts: Sequence[Sequence[T]], act: Callable[[Sequence[T]], R], niceness: int = 0
) -> Generator[R, None, None]:
    """Yield the results of `act` for each part, in order.

    After an error, or when the generator is closed, the others stop when their current part is done.

    Args:
        plan: of the computation; each stream has its number of torch threads.
        parts: see `parts_of`.
        act: called in a stream.
        niceness: by which the streams' priority is lower than the caller's, on Linux.
    """
    if not parts:
        return
    with (
        ThreadPoolExecutor(plan.streams, "stream", initializer=_begin, initargs=(plan, niceness)) as pool,
        closing(submit_ahead(pool, act, parts, len(parts))) as found,
    ):
        for _, future in found:
            yield future.result()


def _begin(plan: Plan, niceness: int) -> None:
    """Prepare the calling thread only: Linux has priorities per thread."""
    plan.begin_stream()
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
