"""The database's clock in the tests' hands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from db.clock import now


@dataclass
class Clock:
    """Set the database's clock this many seconds ahead, or behind when negative."""

    ahead: float = 0


@contextmanager
def jumping_clock() -> Iterator[Clock]:
    """Yield what moves `db.clock.now` of this process, in every statement made from here on.

    Columns that fill themselves (`created_at`) keep the true time: no lease and no message depends on them.
    """
    clock, honest = Clock(), now.__init__

    def moved(self: now, seconds: float = 0) -> None:
        honest(self, seconds + clock.ahead)

    with mock.patch.object(now, "__init__", moved):
        yield clock
