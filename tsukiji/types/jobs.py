"""The envelope of all long work, and its history."""

from datetime import datetime
from typing import Any, Literal

from tsukiji.types.base import Answer, Problem


class Progress(Answer):
    fraction: float
    unit: str
    completed: float
    total: float
    eta_seconds: float | None = None


class ItemCounts(Answer):
    """Of the items of a job: their sum is `total` at any time."""

    total: int
    queued: int
    succeeded: int
    errored: int
    cancelled: int = 0
    expired: int = 0


class Job(Answer):
    """The envelope of all long work. Test `done`, not the list of statuses: that list may grow."""

    object: str
    id: str
    status: str
    done: bool
    phase: str | None = None
    progress: Progress
    counts: ItemCounts | None = None
    attempt: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    """What is not done by then is given up; a training or import has one from its first start on."""
    cancel_requested_at: datetime | None = None
    results_expire_at: datetime | None = None
    """Results and pictures are deleted then; null while it goes on, and where they are kept."""
    results_deleted_at: datetime | None = None
    created_by: str | None = None
    metadata: dict[str, str] = {}
    retry_of: str | None = None
    error: Problem | None = None
    result: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None
    """What a worker chose to classify with: device, precision (and how the model fared in it), streams, threads."""
    links: dict[str, str] = {}
    request: dict[str, Any] = {}
    """What was asked for, with every default filled in."""


class JobEvent(Answer):
    """One line of a job's history, and one server-sent event."""

    id: int
    event: Literal["status", "progress", "metric", "log", "done"]
    at: datetime
    attempt: int = 0
    worker: str | None = None
    data: dict[str, Any] = {}
