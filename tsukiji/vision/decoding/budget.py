"""Limits concurrent decoding in a process: as many pictures as it has cores, within a memory budget. Thread-safe.

See docs/decisions/0029-decoding-within-a-budget.md.
"""

import ctypes
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tsukiji.kernel.cores import usable_cores

LARGE: Final = 64 * 2**20
"""Bytes. Memory of such a picture is returned to the system at once instead of being kept for the next."""


class Budget:
    """Slots and bytes, granted to threads in the order of their requests.

    A request for more bytes than the whole budget waits until it is alone, and then gets all of them.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._bytes = self._taken = 0

    def renew(self) -> None:
        """Reset the counts, in a forked process without the threads that held them."""
        self._begin()

    @contextmanager
    def take(self, size: int, most: int) -> Iterator[None]:
        """Hold a slot and `size` bytes of a budget of `most` bytes."""
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: self._waiting[0] is me and self._has_room(size, most))
            self._waiting.popleft()
            self._bytes, self._taken = self._bytes + size, self._taken + 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._bytes, self._taken = self._bytes - size, self._taken - 1
                self._changed.notify_all()

    def _has_room(self, size: int, most: int) -> bool:
        return not self._taken or (self._taken < self.slots and self._bytes + size <= most)


BUDGET: Final = Budget(usable_cores())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BUDGET.renew)


def give_back() -> None:
    """Return free memory to the system. glibc caches freed blocks; other C libraries need no call."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
