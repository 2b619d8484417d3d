"""One look at the rows for all who wait: a thousand held connections cost no more queries than one."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
GROWTH: Final = 1.3
IDLE_SHARE: Final = 15
"""A pause is at least this many times as long as the look before it, so that waiting never keeps the database busy."""


class Topic(NamedTuple):
    """What may change: a job's row, its history, whether an API key is valid, or anything about all jobs together."""

    what: Literal["job", "history", "key", "activity"]
    id: str


ACTIVITY: Final = {name: Topic("activity", name) for name in ("events", "work")}
"""The histories of all jobs, and the rows of those at work."""
VALID: Final = 1
"""The one version of a valid key."""


@dataclass(eq=False)
class Waiter:
    known: Mapping[Topic, int]
    loop: asyncio.AbstractEventLoop
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """Tells who waits when something differs from what they know. Its thread lives while anybody waits.

    Args:
        look: returns the versions of topics; one that is gone is left out.
    """

    def __init__(self, look: Callable[[Collection[Topic]], Mapping[Topic, int]]) -> None:
        self._look = look
        self._changed = threading.Condition()
        self._waiters: set[Waiter] = set()
        self._runs = self._fresh = False

    async def wait(self, known: Mapping[Topic, int], seconds: float) -> bool:
        """Wait until a topic has another version, for `seconds` at most; returns whether there may be news."""
        waiter = Waiter(known, asyncio.get_running_loop())
        with self._changed:
            self._waiters.add(waiter)
            self._fresh = True
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="watch", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                return await waiter.news.wait()
        except TimeoutError:
            return False
        finally:
            with self._changed:
                self._waiters.discard(waiter)
                self._changed.notify()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._changed:
                if not self._waiters:
                    self._runs = False
                    return
                if self._fresh:
                    pause, self._fresh = FIRST_PAUSE, False
                waiters = list(self._waiters)
            began = time.monotonic()
            self._tell(waiters)
            taken = time.monotonic() - began
            with self._changed:  # who comes meanwhile has just read the row, and can wait for a short pause
                self._changed.wait_for(lambda: not self._waiters, max(pause, IDLE_SHARE * taken))
            pause = min(LONGEST_PAUSE, pause * GROWTH)

    def _tell(self, waiters: list[Waiter]) -> None:
        try:
            versions = self._look({topic for waiter in waiters for topic in waiter.known})
        except Exception as error:  # noqa: BLE001 - who waits reads the row, and meets it too
            log.warning("watch_failed", error=repr(error))
            versions = {}
        for waiter in waiters:
            if any(versions.get(topic) != version for topic, version in waiter.known.items()):
                try:
                    waiter.loop.call_soon_threadsafe(waiter.news.set)
                except RuntimeError:  # its loop has ended
                    continue
