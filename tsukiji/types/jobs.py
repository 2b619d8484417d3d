"""Jobs and their history."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from tsukiji.types.base import Answer, Plain, Problem


class Progress(Answer):
    fraction: float
    unit: str
    completed: float
    total: float
    eta_seconds: float | None = None


class ItemCounts(Answer):
    """Items of a job by status; they always add up to `total`."""

    total: int
    queued: int
    succeeded: int
    errored: int
    cancelled: int = 0
    expired: int = 0


class JobState(Answer):
    """How far a job is. Test `done` rather than the list of statuses, which may grow."""

    object: str
    id: str
    status: str
    done: bool
    phase: str | None = None
    progress: Progress
    counts: ItemCounts | None = None
    attempt: int = 0

    def _told(self) -> Iterator[tuple[str, Any]]:
        yield "id", self.id
        yield "status", self.status
        if not self.done:
            if self.phase:
                yield "phase", self.phase
            yield "progress", Plain(f"{self.progress.fraction:.0%}")
        if self.counts:
            yield "succeeded", Plain(f"{self.counts.succeeded} of {self.counts.total}")


class Job(JobState):
    """A job of any kind."""

    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    """Unfinished work expires then; a training or import has one from its first start."""
    cancel_requested_at: datetime | None = None
    results_expire_at: datetime | None = None
    """When results and pictures are deleted; null while the job runs, or if they are kept."""
    results_deleted_at: datetime | None = None
    created_by: str | None = None
    metadata: dict[str, str] = {}
    retry_of: str | None = None
    error: Problem | None = None
    result: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None
    """How a worker ran the model: device, precision and its check, streams, threads."""
    links: dict[str, str] = {}
    request: dict[str, Any] = {}
    """The request, with defaults filled in."""

    def _told(self) -> Iterator[tuple[str, Any]]:
        yield from super()._told()
        if self.error:
            yield "error", self.error.code
        if self.result:
            yield from ((name, value) for name, value in self.result.items() if name.endswith("_id"))


class JobEvent(Answer):
    """One line of a job's history, and one server-sent event."""

    id: int
    event: Literal["status", "progress", "metric", "log", "done"]
    at: datetime
    attempt: int = 0
    worker: str | None = None
    data: dict[str, Any] = {}


class Event(JobEvent):
    """One line in the history of any job, with the job as it is now."""

    job: JobState
