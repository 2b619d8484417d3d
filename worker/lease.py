"""Holding claimed work: a thread renews the lease while the work goes on, and finds out when it has to stop.

Work without progress loses its lease, and its process is ended: a hanging call cannot be stopped from outside, and the
supervisor restarts the process.
"""

import os
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

import structlog

from db.jobs import leases
from db.jobs.leases import Signals, Work
from db.session import Database, DatabaseUnavailable, Session
from tsukiji.errors import WorkStalled
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.settings import JobSettings
from worker.shutdown import stopping

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""How often the thread checks for cancellation; it writes only every `beat_seconds`."""
STALLED = 75
"""Exit status of a process that hung."""


class Stopped(Exception):
    """The work must be left unfinished. The lease's signals have the reason."""


class Stale(Exception):
    """Another attempt holds the work: this one's results must not be written."""


def renew(session: Session, work: Work, settings: JobSettings, **progress: Any) -> None:
    """Renew the lease and write progress, within a larger transaction.

    Raises:
        Stale: the attempt is not current.
    """
    if leases.beat(session, work, settings.lease_seconds, **progress).lost:
        raise Stale


class Lease:
    """A context manager around claimed work.

    Args:
        work: what was claimed.
        end_process: ends this process; replaced in tests.
    """

    def __init__(
        self,
        database: Database,
        settings: JobSettings,
        work: Work,
        *,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.signals = Signals()
        self.renewals: list[Callable[[Session], None]] = []
        """Renew what belongs to the work, such as a device, in the transaction that renews its lease."""
        self._database = database
        self._settings = settings
        self._work = work
        self._end_process = end_process
        self._moved = time.monotonic()
        self._ended = threading.Event()
        context = copy_context()  # so that the thread's lines have the ids of the work
        self._thread = threading.Thread(target=context.run, args=(self._hold,), name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def shutdown(self) -> bool:
        """Return whether this worker is stopping."""
        return stopping.is_set()

    def check(self) -> None:
        """Report progress; raise Stopped if the work must be left."""
        self._moved = time.monotonic()
        if self.signals.stop or self.shutdown:
            raise Stopped

    def _hold(self) -> None:
        looks_per_beat = max(1, round(self._settings.beat_seconds / LOOK_SECONDS))
        looks = 0
        while not self._ended.wait(LOOK_SECONDS):
            looks += 1
            if time.monotonic() - self._moved > self._settings.stall_seconds:
                self._give_up()
                return
            try:
                self.signals = self._renew() if looks % looks_per_beat == 0 else self._learn()
            except DatabaseUnavailable as error:
                # The lease is valid until it expires; if the database is back before that, nothing is lost.
                log.warning("lease_beat_failed", error=str(error.orig))
            except Exception as error:
                log.warning("lease_beat_failed", exc_info=error)
            if self.signals.lost:
                log.warning("lease_lost")
                meters().leases_lost.labels("taken").inc()
                return

    def _give_up(self) -> None:
        log.error("work_stalled", seconds=self._settings.stall_seconds)
        meters().leases_lost.labels("stalled").inc()
        try:
            with self._database.transaction() as session:
                leases.drop(session, self._work, WorkStalled.code)
        except DatabaseUnavailable as error:
            log.warning("stall_not_told", error=str(error.orig))  # the lease expires by itself
        self._end_process(STALLED)

    def _renew(self) -> Signals:
        with self._database.transaction() as session:
            for renewal in list(self.renewals):
                renewal(session)
            return leases.beat(session, self._work, self._settings.lease_seconds)

    def _learn(self) -> Signals:
        with self._database.reading() as session:
            return leases.signals(session, self._work)
