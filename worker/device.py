"""Who may use the device: one at a time. A prediction goes in between two forward passes of a chunk."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Device:
    """Held by who classifies a chunk for as long as that takes, and by the lane for one forward pass."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._hurried = False
        self._gave_way = False
        self._owed = False
        """The lane has had its pass while a chunk waited: the next is the chunk's."""

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the device for a chunk; call `give_way` between two forward passes."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._taken = True
        try:
            yield
        finally:
            self._release()

    def give_way(self) -> None:
        """Let the lane have one forward pass, if it waits for one. Costs nothing otherwise."""
        if not self._hurried:
            return
        with self._changed:
            self._taken, self._gave_way = False, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._taken and (self._owed or not self._hurried))
            self._taken, self._gave_way, self._owed = True, False, False

    @contextmanager
    def hold_first(self) -> Iterator[None]:
        """Hold the device for one forward pass of the lane, before any chunk's next. For one thread."""
        with self._changed:
            self._hurried = True
            self._changed.wait_for(lambda: not self._taken and not self._owed)
            self._taken = True
        try:
            yield
        finally:
            self._hurried, self._owed = False, self._gave_way
            self._release()

    def _release(self) -> None:
        with self._changed:
            self._taken = False
            self._changed.notify_all()
