"""What a worker process works with: settings, database, store, notifications, and its own name."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

from db.jobs import batches, workers
from db.jobs.requests import ClassificationRequest
from db.models import DEFAULT_PROJECT, Job
from db.parts.files import PartStore
from db.session import Database, Session
from db.views import view_of_job
from tsukiji.ingest.outputs import Outputs
from tsukiji.ingest.sources import Sources
from tsukiji.jobs import PRESENT_SECONDS, Queue
from tsukiji.kernel.queue import Notifier, create_app
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage import BlobStore, open_store
from tsukiji.vision.decoding.decode import DecodeLimits
from worker.chunk_sizing import ChunkSizing
from worker.shutdown import stopping

T = TypeVar("T")
WORKER_VARIABLE = "TSUKIJI_WORKER_NAME"
PARTS_LONGER: Final = 8
"""How many times longer a chunk with a part takes than others: few and large files serve every reader."""


@dataclass
class Services:
    settings: Settings
    database: Database
    store: BlobStore
    notifier: Notifier
    sources: Sources
    worker: str
    """Owner of the leases; shared by a worker and its child, so that a supervisor can end them."""
    chunk_sizing: ChunkSizing = field(default_factory=ChunkSizing)

    @cached_property
    def files(self) -> PartStore:
        """Where lists and parts of batches are."""
        return PartStore(self.store, Outputs(self.settings))

    def chunk_size(self, session: Session, job: Job) -> int:
        """Return how many images of a batch to take at once."""
        there = workers.count(session, Queue.INFER, PRESENT_SECONDS)
        left = int(job.items_total - job.completed)
        seconds = self.settings.jobs.chunk_seconds * (PARTS_LONGER if batches.has_parts(job) else 1)
        return self.chunk_sizing.images(ClassificationRequest.of(job).model, seconds, left, there)

    def seen_by_caller(self, job: Job) -> "Services":
        """Return these services as the key that started a job may use them: the rows that it sees and, if it is bound
        to some or of another project than the default one, no folders of the service.
        """
        with self.database.reading() as session:
            view = view_of_job(session, job)
        if view is None:
            return self
        foreign = view.bound or job.project_id != DEFAULT_PROJECT
        sources = self.sources.web_only() if foreign else self.sources
        return replace(self, database=self.database.seen_by(view), sources=sources)

    def within_project(self, project_id: str) -> "Services":
        """Return these services so that what is inserted belongs to a project."""
        return replace(self, database=self.database.within(project_id))

    def retry_while_unavailable(self, act: Callable[[Session], T]) -> T:
        """Run a fenced unit of work, retrying during an outage for as long as a lease could last."""
        jobs = self.settings.jobs
        return self.database.retry_while_unavailable(
            act, min(jobs.lease_seconds, jobs.stop_seconds) if stopping.is_set() else jobs.lease_seconds
        )

    @property
    def decode_limits(self) -> DecodeLimits:
        return DecodeLimits.of(self.settings.limits)

    @contextmanager
    def attempt_folder(self, job: Job) -> Iterator[Path]:
        """A folder for one attempt at a job, deleted at the end; leftovers of killed attempts on this machine too."""
        folder = self.work_folder(f"{job.id}-{job.attempt}")
        for left in folder.parent.glob(f"{job.id}-*"):
            if left != folder:
                shutil.rmtree(left, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def work_folder(self, name: str) -> Path:
        """Return a private folder for temporary files."""
        folder = self.settings.cache_dir / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def open_services(settings: Settings) -> Services:
    name = os.environ.get(WORKER_VARIABLE) or name_worker("worker")
    return Services(
        settings, Database(settings), open_store(settings), Notifier(create_app(settings)), Sources(settings), name
    )


def name_worker(role: str) -> str:
    return f"{role}@{socket.gethostname()}:{os.getpid()}"
