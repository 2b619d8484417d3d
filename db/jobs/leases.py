"""Leases: a worker claims work (a job or a chunk), renews the lease while it works, and releases it.

Each claim increments `attempt`, which fences every later write: a stale worker's write changes no row. A lease that is
not renewed expires, and the work goes to another worker.
"""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, update
from sqlalchemy.orm import Session

from db.clock import now
from db.jobs import batches, jobs
from db.jobs.jobs import FREE
from db.models import Chunk, Job, SharedDevice
from tsukiji.errors import TsukijiError, WorkerLost
from tsukiji.jobs import CONCLUDING, OPEN, JobStatus

Work = Job | Chunk
TABLES: tuple[type[Work], ...] = (Job, Chunk)
HELD = frozenset({JobStatus.RUNNING, JobStatus.CANCELLING})
"""The states in which a worker may hold work."""
REST_SECONDS = 5
"""Back-off after a temporary error."""
OUTAGE_SECONDS = 60
"""In an outage the back-off is `REST_SECONDS` times the number of attempts, up to this."""


@dataclass(frozen=True)
class Signals:
    """What a worker reads when it renews its lease."""

    lost: bool = False
    """The work ended or belongs to another worker: write nothing more."""
    cancel: bool = False
    finish: bool = False

    @property
    def stop(self) -> bool:
        return self.lost or self.cancel


def job_of(work: Work) -> str:
    """Return the id of the job, or of the chunk's job."""
    return work.id if isinstance(work, Job) else work.job_id


# --- workers ---------------------------------------------------------------------------------------------------------


def waits(table: type[Work]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of queued work, whether or not it is backing off."""
    waiting = (table.status == JobStatus.QUEUED, table.attempt < table.max_attempts)
    whole = or_(Job.planned.is_(False), Job.phase.in_(CONCLUDING))  # the job itself is claimed, not its chunks
    return (*waiting, whole) if table is Job else waiting


def rested(table: type[Work]) -> ColumnElement[bool]:
    """Return the condition that a back-off is over. One longer than the maximum means that the clock was set back."""
    return or_(table.rests_until.is_(None), table.rests_until < now(), table.rests_until > now(OUTAGE_SECONDS))


def claim(
    session: Session,
    table: type[Work],
    work_id: str,
    worker: str,
    lease_seconds: float,
    work_seconds: float = 86400,
) -> Work | None:
    """Claim queued work: start its next attempt with a lease. None if it is no longer available.

    A job without a deadline gets one at its first start, `work_seconds` from now.
    """
    values: dict[str, Any] = {
        "status": JobStatus.RUNNING,
        "attempt": table.attempt + 1,
        "lease_owner": worker,
        "lease_expires_at": now(lease_seconds),
        "rests_until": None,
    }
    if table is Chunk:
        job_id = session.scalar(select(Chunk.job_id).where(Chunk.id == work_id))
        if job_id is None or jobs.lock(session, job_id).status not in OPEN:
            return None
    else:
        values["version"] = Job.version + 1
        values["started_at"] = func.coalesce(Job.started_at, now())
        values["deadline_at"] = func.coalesce(Job.deadline_at, now(work_seconds))
    if not jobs.write(session, table, table.id == work_id, *waits(table), **values):
        return None
    work = cast("Work", session.get_one(table, work_id, populate_existing=True))
    if isinstance(work, Chunk):
        batches.begin(session, work)
    else:
        jobs.record(session, work.id, "status", {"status": JobStatus.RUNNING}, attempt=work.attempt, worker=worker)
    return work


def beat(session: Session, work: Work, lease_seconds: float, **progress: Any) -> Signals:
    """Renew the lease, write progress, and return the signals."""
    hold(session, work, lease_expires_at=now(lease_seconds), **progress)
    return signals(session, work)


def signals(session: Session, work: Work) -> Signals:
    """Return the signals without renewing the lease, in one statement: every worker asks each half second."""
    flags = select(Job.cancel_requested_at.is_not(None), Job.finish_requested_at.is_not(None)).where(*work.fence)
    if isinstance(work, Chunk):
        flags = flags.join(Chunk, Chunk.job_id == Job.id)
    found = session.execute(flags).one_or_none()
    return Signals(lost=True) if found is None else Signals(cancel=found[0], finish=found[1])


def drop(session: Session, work: Work, why: str) -> None:
    """End the lease as if the worker had died, and record why: for work that hangs."""
    if hold(session, work, lease_expires_at=now(-1)):
        note(session, work, "the worker gave up", why)


def give_back(session: Session, work: Work, why: str) -> bool:
    """Requeue the work because its worker stops. This costs no attempt."""
    return put_back(session, work, why, max_attempts=type(work).max_attempts + 1)


def retry(session: Session, work: Work, error: TsukijiError) -> None:
    """Requeue work after an unexpected error, with a back-off, or fail it after its last attempt.

    An outage costs no attempt; the deadline remains.
    """
    rest = min(REST_SECONDS * work.attempt, OUTAGE_SECONDS) if error.outage else REST_SECONDS
    later: dict[str, Any] = {"rests_until": now(rest)}
    if error.outage:
        later["max_attempts"] = type(work).max_attempts + 1
    last = work.attempt >= work.max_attempts and not error.outage
    if last or not put_back(session, work, error.code, **later):
        fail(session, work, error)


def fail(session: Session, work: Work, error: TsukijiError) -> bool:
    """End the work as failed, with the reason."""
    if isinstance(work, Chunk):
        return batches.fail_chunk(session, work, error)
    return jobs.fail(session, work.id, error, attempt=work.attempt)


def cancel(session: Session, work: Work, why: str | None = None, worker: str | None = None) -> bool:
    """End the work of a job that is being cancelled."""
    if isinstance(work, Chunk):
        return batches.cancel_chunk(session, work)
    return jobs.move(session, work.id, JobStatus.CANCELLED, attempt=work.attempt, why=why, worker=worker)


def put_back(session: Session, work: Work, why: str, worker: str | None = None, **values: Any) -> bool:
    """Requeue the work; a chunk whose job does not go on is cancelled instead."""
    values |= FREE
    if isinstance(work, Job):
        return jobs.move(session, work.id, JobStatus.QUEUED, attempt=work.attempt, why=why, worker=worker, **values)
    if jobs.lock(session, work.job_id).status not in OPEN:
        return batches.cancel_chunk(session, work)
    return hold(session, work, status=JobStatus.QUEUED, **values)


def hold(session: Session, work: Work, **values: Any) -> bool:
    """Update the row if this attempt still holds it; returns whether it does."""
    if isinstance(work, Job):
        return jobs.change(session, *work.fence, **values)
    return jobs.write(session, Chunk, *work.fence, **values)


# --- the dispatcher --------------------------------------------------------------------------------------------------


def expired(session: Session) -> list[Work]:
    """Return the work with expired leases."""
    found: list[Work] = []
    for table in TABLES:
        silent = (table.status.in_(HELD), table.lease_expires_at < now())
        found += session.scalars(select(table).where(*silent).limit(500))
    return found


def recover(session: Session, work: Work) -> JobStatus | None:
    """Requeue work whose lease expired, or end it: cancelled if requested, failed after its last attempt.

    Returns the new state; None if the work was renewed, ended or claimed since it was listed.
    """
    job = jobs.lock(session, job_of(work))
    still = (*work.fence, type(work).lease_expires_at < now())
    if session.scalar(select(type(work).id).where(*still)) is None:
        return None
    if job.cancel_requested_at is not None:
        cancel(session, work, "lease_expired", work.lease_owner)
        return JobStatus.CANCELLED
    if work.attempt >= work.max_attempts:
        fail(session, work, worker_lost(work.attempt))
        return JobStatus.FAILED
    if isinstance(work, Chunk):
        note(session, work, "chunk requeued", "lease_expired")
    put_back(session, work, "lease_expired", work.lease_owner)
    return JobStatus.QUEUED


def shorten(session: Session, lease_seconds: float) -> int:
    """Shorten leases that end later than possible: the clock was set back, and a dead worker's would last long.

    Returns how many; a live worker renews its own in time.
    """
    shortened = 0
    for table in TABLES:
        statement = update(table).where(table.lease_expires_at > now(2 * lease_seconds))
        values = statement.values(lease_expires_at=now(lease_seconds))
        shortened += cast("CursorResult[Any]", session.execute(values)).rowcount
    return shortened


def release(session: Session, worker: str | None = None) -> None:
    """End the leases of a dead worker, or of all workers when none can be alive."""
    for table in TABLES:
        held = table.lease_owner.is_not(None) if worker is None else table.lease_owner == worker
        session.execute(update(table).where(held).values(lease_expires_at=now(-1)))
    device = SharedDevice.worker.is_not(None) if worker is None else SharedDevice.worker == worker
    session.execute(update(SharedDevice).where(device).values(expires_at=now(-1)))


def worker_lost(attempts: int) -> TsukijiError:
    """Return the error of work whose worker was lost at every attempt."""
    return WorkerLost(f"{attempts} workers in a row stopped responding while running this work.", attempts=attempts)


def note(session: Session, work: Work, message: str, why: str) -> None:
    """Record in the history what happened to the work."""
    data = {"message": message, "why": why} | ({"chunk": work.id} if isinstance(work, Chunk) else {})
    jobs.record(session, job_of(work), "log", data, attempt=work.attempt, worker=work.lease_owner)
