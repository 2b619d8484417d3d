"""All jobs' histories as one stream, for `/v1/events`: the latest events, and active jobs."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db.models import Job, JobEvent
from db.paging import Rows, Window, fetch
from db.views import EVERYTHING
from tsukiji.jobs import ACTIVE, JobKind, JobStatus

RECENT: Final = 100
"""Late commits within this many newest events are found: on PostgreSQL a lower id may be committed later."""
AT_WORK: Final = frozenset({JobStatus.RUNNING, JobStatus.CANCELLING})
"""The states in which a job changes without a history entry."""


@dataclass(frozen=True)
class Choice:
    """Which jobs' events: of these jobs, or of all jobs of these kinds."""

    kinds: frozenset[JobKind]
    jobs: frozenset[str] = frozenset()

    def of_events(self) -> Select[JobEvent]:
        if self.jobs:
            return select(JobEvent).where(JobEvent.job_id.in_(self.jobs))
        query = select(JobEvent)
        return query if self.kinds == set(JobKind) else query.join(Job).where(Job.kind.in_(self.kinds))

    def of_jobs(self) -> Select[Job]:
        return select(Job).where(Job.id.in_(self.jobs) if self.jobs else Job.kind.in_(self.kinds))


def recent_ids(session: Session) -> list[int]:
    """Return the ids of the newest events of all jobs, newest first, whether this session sees them or not."""
    newest = select(JobEvent.id).order_by(JobEvent.id.desc()).limit(RECENT)
    return list(session.scalars(newest, execution_options=EVERYTHING))


def work_version(session: Session) -> int:
    """Return a number that changes whenever an active job changes, whether this session sees it or not."""
    at_work = select(func.coalesce(func.sum(Job.version), 0)).where(Job.status.in_(AT_WORK))
    return int(session.scalar(at_work, execution_options=EVERYTHING) or 0)


def events(session: Session, choice: Choice, after: int, limit: int) -> list[JobEvent]:
    """Return the events with a higher id, oldest first."""
    return list(session.scalars(choice.of_events().where(JobEvent.id > after).order_by(JobEvent.id).limit(limit)))


def events_of_ids(session: Session, choice: Choice, ids: Collection[int]) -> list[JobEvent]:
    """Return the events among these ids that belong to chosen jobs, oldest first."""
    if not ids:
        return []
    return list(session.scalars(choice.of_events().where(JobEvent.id.in_(ids)).order_by(JobEvent.id)))


def page(session: Session, choice: Choice, window: Window) -> Rows[JobEvent]:
    """Newest first."""
    return fetch(session, choice.of_events(), JobEvent.id, window, newest=True)


def unfinished(session: Session, choice: Choice, limit: int, statuses: Collection[JobStatus] = ACTIVE) -> list[Job]:
    """Return unfinished jobs: running ones first, then the newest."""
    query = choice.of_jobs().where(Job.status.in_(statuses))
    return list(session.scalars(query.order_by(Job.status == JobStatus.QUEUED, Job.age.desc()).limit(limit)))


def by_id(session: Session, job_ids: Collection[str]) -> dict[str, Job]:
    """Return jobs by their ids."""
    return {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))} if job_ids else {}
