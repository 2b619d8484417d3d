"""What requests share: database, store, wake-ups, and the knowledge that the server is about to stop."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from db import batches, jobs
from db.session import Database, DatabaseUnavailable
from tsukiji.jobs import Task
from tsukiji.queue import Wakeups, create_app
from tsukiji.settings import Settings
from tsukiji.storage import BlobStore, open_store
from tsukiji.vision.decode import DecodeLimits

MAX_HOLDS = 200


@dataclass
class Services:
    """One per application, made when it starts."""

    settings: Settings
    database: Database
    store: BlobStore
    wakeups: Wakeups
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the server is told to stop: whoever holds a connection open lets go."""
    holds: int = 0

    @property
    def decode_limits(self) -> DecodeLimits:
        return DecodeLimits.of(self.settings.limits)

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Count a connection that is held open; False when there are too many, and the caller must not wait.

        Only the event loop's thread comes here, so counting needs no lock.
        """
        self.holds += 1
        try:
            yield self.holds <= MAX_HOLDS
        finally:
            self.holds -= 1

    def wake(self, task: Task, job_id: str) -> None:
        """Send a job's wake-up, after the commit; the dispatcher sends again what was not noted as sent."""
        if self.wakeups.send(task, job_id):
            with suppress(DatabaseUnavailable), self.database.transaction() as session:
                jobs.mark_sent(session, [job_id])

    def wake_chunks(self, chunk_ids: Sequence[str], priority: int) -> None:
        sent = [chunk_id for chunk_id in chunk_ids if self.wakeups.send(Task.CHUNK, chunk_id, priority=priority)]
        if sent:
            with suppress(DatabaseUnavailable), self.database.transaction() as session:
                batches.mark_chunks_sent(session, sent)


def open_services(settings: Settings) -> Services:
    return Services(settings, Database(settings), open_store(settings), Wakeups(create_app(settings)))
