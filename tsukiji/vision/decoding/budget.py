"""How much a process decodes at the same time: as many pictures as it has cores, within so much memory. Thread-safe.

See docs/decisions/0029-decoding-within-a-budget.md. Knows no pictures.
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
"""Bytes. What was as large is given back to the system at once, rather than kept for what comes next."""


class Budget:
    """Slots and bytes that threads take, in the order in which they asked.

    What asks for more bytes than there are waits until it is alone, and then has all of them.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._bytes = self._taken = 0

    def renew(self) -> None:
        """Forget who holds what: in a process that was forked they are not there."""
        self._begin()

    @contextmanager
    def take(self, size: int, most: int) -> Iterator[None]:
        """Hold a slot and `size` bytes, of `most` that may be held together."""
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
    """Let free memory go back to the system. glibc keeps what was freed in blocks; other C libraries need no word."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
