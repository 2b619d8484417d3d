"""Leases: a worker claims work (a job, or a chunk of one), renews its lease while it is at it, and lets go of it.

A claim is the next `attempt`; that number fences every later write: a zombie's write changes no row. A lease that is
not renewed ends, and the work goes to another worker.
"""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, update
from sqlalchemy.orm import Session

from db.clock import now
from db.jobs import batches, jobs
from db.jobs.jobs import FREE
from db.models import Chunk, Job
from tsukiji.errors import TsukijiError, WorkerLost
from tsukiji.jobs import MEASURING, OPEN, JobStatus

Work = Job | Chunk
TABLES: tuple[type[Work], ...] = (Job, Chunk)
HELD = frozenset({JobStatus.RUNNING, JobStatus.CANCELLING})
"""The states in which a worker may hold work."""
REST_SECONDS = 5
"""Work that met an error which may pass rests for so long."""
OUTAGE_SECONDS = 60
"""In an outage it rests for `REST_SECONDS` for each attempt so far, but for this at most."""


@dataclass(frozen=True)
class Signals:
    """What a worker learns when it renews its lease."""

    lost: bool = False
    """The work is another worker's now, or ended: write nothing more."""
    cancel: bool = False
    finish: bool = False

    @property
    def stop(self) -> bool:
        return self.lost or self.cancel


def job_of(work: Work) -> str:
    """Return the id of the job that the work is, or is a part of."""
    return work.id if isinstance(work, Job) else work.job_id


# --- what a worker does ----------------------------------------------------------------------------------------------


def waits(table: type[Work]) -> tuple[ColumnElement[bool], ...]:
    """Return what is true of work that may be claimed, rested or not."""
    waiting = (table.status == JobStatus.QUEUED, table.attempt < table.max_attempts)
    whole = or_(Job.planned.is_(False), Job.phase == MEASURING)  # itself, and not its chunks
    return (*waiting, whole) if table is Job else waiting


def rested(table: type[Work]) -> ColumnElement[bool]:
    """Return whether work rests no more. A rest that ends later than any can: the clock was set back."""
    return or_(table.rests_until.is_(None), table.rests_until < now(), table.rests_until > now(OUTAGE_SECONDS))


def claim(
    session: Session,
    table: type[Work],
    work_id: str,
    worker: str,
    lease_seconds: float,
    work_seconds: float = 86400,
) -> Work | None:
    """Take work that waits: the next attempt is ours until the lease ends. None when it is not to be had.

    A job without a deadline gets one with its first start: `work_seconds` from now.
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
    """Renew the lease, write progress, and learn whether to stop."""
    hold(session, work, lease_expires_at=now(lease_seconds), **progress)
    return signals(session, work)


def signals(session: Session, work: Work) -> Signals:
    """Learn whether to stop, between two beats; writes nothing."""
    if session.scalar(select(type(work).id).where(*work.fence)) is None:
        return Signals(lost=True)
    wishes = (Job.cancel_requested_at.is_not(None), Job.finish_requested_at.is_not(None))
    cancel, finish = session.execute(select(*wishes).where(Job.id == job_of(work))).one()
    return Signals(cancel=cancel, finish=finish)


def drop(session: Session, work: Work, why: str) -> None:
    """End the lease now, as if its worker had died, and write down why: the work hangs in there."""
    if hold(session, work, lease_expires_at=now(-1)):
        note(session, work, "the worker gave up", why)


def give_back(session: Session, work: Work, why: str) -> bool:
    """Put the work back into the queue: its worker stops. That is no failed attempt, so one more is granted."""
    return put_back(session, work, why, max_attempts=type(work).max_attempts + 1)


def retry(session: Session, work: Work, error: TsukijiError) -> None:
    """Put work that met an unexpected error back into the queue, to rest, or fail it after its last attempt.

    An outage is not the work's fault, and costs no attempt; its deadline remains.
    """
    rest = min(REST_SECONDS * work.attempt, OUTAGE_SECONDS) if error.outage else REST_SECONDS
    later: dict[str, Any] = {"rests_until": now(rest)}
    if error.outage:
        later["max_attempts"] = type(work).max_attempts + 1
    last = work.attempt >= work.max_attempts and not error.outage
    if last or not put_back(session, work, error.code, **later):
        fail(session, work, error)


def fail(session: Session, work: Work, error: TsukijiError) -> bool:
    """End the work badly, with the reason."""
    if isinstance(work, Chunk):
        return batches.fail_chunk(session, work, error)
    return jobs.fail(session, work.id, error, attempt=work.attempt)


def cancel(session: Session, work: Work, why: str | None = None, worker: str | None = None) -> bool:
    """End the work of a job that is being cancelled."""
    if isinstance(work, Chunk):
        return batches.cancel_chunk(session, work)
    return jobs.move(session, work.id, JobStatus.CANCELLED, attempt=work.attempt, why=why, worker=worker)


def put_back(session: Session, work: Work, why: str, worker: str | None = None, **values: Any) -> bool:
    """Let the work wait for whoever is free; a chunk whose job does not go on is cancelled instead."""
    values |= FREE
    if isinstance(work, Job):
        return jobs.move(session, work.id, JobStatus.QUEUED, attempt=work.attempt, why=why, worker=worker, **values)
    if jobs.lock(session, work.job_id).status not in OPEN:
        return batches.cancel_chunk(session, work)
    return hold(session, work, status=JobStatus.QUEUED, **values)


def hold(session: Session, work: Work, **values: Any) -> bool:
    """Write to the row of work that is held; False where it is not any more."""
    if isinstance(work, Job):
        return jobs.change(session, *work.fence, **values)
    return jobs.write(session, Chunk, *work.fence, **values)


# --- what the dispatcher does ----------------------------------------------------------------------------------------


def expired(session: Session) -> list[Work]:
    """Return the work whose worker has gone silent."""
    found: list[Work] = []
    for table in TABLES:
        silent = (table.status.in_(HELD), table.lease_expires_at < now())
        found += session.scalars(select(table).where(*silent).limit(500))
    return found


def recover(session: Session, work: Work) -> JobStatus | None:
    """Requeue work whose lease ran out, or end it: cancelled when that was asked, failed after its last attempt.

    Returns what became of it; None where it was renewed, ended or claimed again since it was listed.
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
    """Shorten the leases that end later than any can: the clock was set back, and a dead worker's would last for long.

    Returns how many; a worker that lives renews its own before it ends.
    """
    shortened = 0
    for table in TABLES:
        statement = update(table).where(table.lease_expires_at > now(2 * lease_seconds))
        values = statement.values(lease_expires_at=now(lease_seconds))
        shortened += cast("CursorResult[Any]", session.execute(values)).rowcount
    return shortened


def release(session: Session, worker: str | None = None) -> None:
    """End the leases of a worker that is known to be dead, or of all workers where none can be alive."""
    for table in TABLES:
        held = table.lease_owner.is_not(None) if worker is None else table.lease_owner == worker
        session.execute(update(table).where(held).values(lease_expires_at=now(-1)))


def worker_lost(attempts: int) -> TsukijiError:
    """Return the error of work that ended its worker (or lost it) each time."""
    return WorkerLost(f"{attempts} workers in a row stopped responding while running this work.", attempts=attempts)


def note(session: Session, work: Work, message: str, why: str) -> None:
    """Tell the history what happened to the work."""
    data = {"message": message, "why": why} | ({"chunk": work.id} if isinstance(work, Chunk) else {})
    jobs.record(session, job_of(work), "log", data, attempt=work.attempt, worker=work.lease_owner)
