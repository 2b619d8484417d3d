"""Jobs as rows: every move is a compare-and-set that the state table allows, and leaves a line of history.

A worker that claims gets the next `attempt`; that number fences every later write: a zombie's write changes no row.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.bulk import insert_rows
from db.clock import now, now_plus
from db.models import Chunk, Job, JobEvent
from db.pages import Rows, Window, fetch
from tsukiji.errors import DeadlineExceeded, NotFound, TsukijiError, WorkerLost
from tsukiji.ids import new_id
from tsukiji.jobs import ACTIVE, MEASURING, PREFIX_OF, TERMINAL, JobKind, JobStatus, sources_of

FREE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
"""Columns of a job or chunk that nobody holds."""
NOBODY: dict[str, Any] = FREE | {"sent_at": None}
"""Columns of a job that waits for a worker and for a message."""
LOST_SECONDS = 5
"""A message that nobody took for so long, although a worker idles, went down with another worker."""
OUTAGE_SECONDS = 60
"""During an outage work is tried again after `LOST_SECONDS` for each attempt so far, but after this at the latest."""


WHOLE = or_(Job.planned.is_(False), Job.phase == MEASURING)
"""Is the job itself to be claimed, and not its chunks?"""

HELD = frozenset({JobStatus.RUNNING, JobStatus.CANCELLING})
"""The states in which a worker may hold a job."""


@dataclass(frozen=True)
class Signals:
    """What a worker learns when it renews its lease."""

    lost: bool = False
    """The work is somebody else's now, or ended: write nothing more."""
    cancel: bool = False
    finish: bool = False

    @property
    def stop(self) -> bool:
        return self.lost or self.cancel


def create(session: Session, kind: JobKind, *, request: dict[str, Any], max_attempts: int, **columns: Any) -> Job:
    """Insert a queued job. Send its wake-up only after the transaction has been committed."""
    job_id = new_id(PREFIX_OF[kind])
    age = job_id.partition("_")[2]
    values = {"id": job_id, "age": age, "kind": kind, "request": request, "max_attempts": max_attempts} | columns
    job = session.scalars(insert(Job).values(values).returning(Job)).one()
    record(session, job.id, "status", {"status": JobStatus.QUEUED, "by": job.created_by})
    return job


def find(session: Session, job_id: str, kind: JobKind | None = None) -> Job:
    """Return the job.

    Raises:
        NotFound: there is none of this id (and kind).
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or (kind is not None and job.kind != kind):
        raise NotFound(f"There is no {kind or 'job'} {job_id!r}.")
    return job


def lock(session: Session, job_id: str) -> Job:
    """Return the job, its row locked before any of its chunks': last chunks see each other, none waits in a circle.

    In SQLite the transaction holds the one write lock from its start.

    Raises:
        NotFound: there is none of this id.
    """
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    return find(session, job_id)


def page(session: Session, window: Window, kind: str | None = None, status: str | None = None) -> Rows[Job]:
    """Newest first."""
    query = select(Job)
    if kind is not None:
        query = query.where(Job.kind == kind)
    if status is not None:
        query = query.where(Job.status == status)
    return fetch(session, query, Job.age, window, newest=True)


def versions(session: Session, job_ids: Collection[str]) -> dict[str, int]:
    """Return the versions of those jobs that there are."""
    rows = session.execute(select(Job.id, Job.version).where(Job.id.in_(job_ids)))
    return {row.id: row.version for row in rows}


def last_events(session: Session, job_ids: Collection[str]) -> dict[str, int]:
    """Return the id of the last line in the history of each of those jobs that there are."""
    last = select(func.max(JobEvent.id)).where(JobEvent.job_id == Job.id).scalar_subquery()  # one step in its index
    rows = session.execute(select(Job.id, func.coalesce(last, 0).label("event")).where(Job.id.in_(job_ids)))
    return {row.id: row.event for row in rows}


def count_active(session: Session, kind: JobKind, created_by: str | None = None) -> int:
    """Count the unfinished jobs of one kind, of one key or of all."""
    mine = () if created_by is None else (Job.created_by == created_by,)
    return session.scalar(select(func.count()).where(Job.kind == kind, Job.status.in_(ACTIVE), *mine)) or 0


def oldest_active(session: Session, kind: JobKind, created_by: str) -> Job | None:
    """Return a key's oldest unfinished job of one kind."""
    mine = (Job.kind == kind, Job.created_by == created_by, Job.status.in_(ACTIVE))
    return session.scalar(select(Job).where(*mine).order_by(Job.id).limit(1))


def record(
    session: Session, job_id: str, event: str, data: dict[str, Any], *, attempt: int = 0, worker: str | None = None
) -> None:
    """Append one line to the job's history."""
    line = {"job_id": job_id, "event": event, "data": data, "attempt": attempt, "worker": worker}
    insert_rows(session, JobEvent, [line])


def events(session: Session, job_id: str, after: int = 0, limit: int = 200) -> list[JobEvent]:
    """Return the history after an event's id, oldest first."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after)
    return list(session.scalars(query.order_by(JobEvent.id).limit(limit)))


def metrics(session: Session, job_id: str) -> list[dict[str, Any]]:
    """Return the epochs of a training in order; an epoch that a later attempt repeated counts once, as it ended."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.event == "metric").order_by(JobEvent.id)
    epochs = {line.data["epoch"]: line.data for line in session.scalars(query)}
    return [epochs[number] for number in sorted(epochs)]


def change(session: Session, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Update the one job that meets the conditions; False when there is none."""
    statement = update(Job).where(*conditions).values(version=Job.version + 1, **values)
    result = cast("CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False}))
    return result.rowcount == 1


def holding(attempt: int) -> tuple[ColumnElement[bool], ...]:
    """Return the fence: the attempt is the newest, and was not given back, recovered or planned away meanwhile."""
    return (Job.attempt == attempt, Job.lease_owner.is_not(None))


def move(
    session: Session,
    job_id: str,
    to: JobStatus,
    *conditions: ColumnElement[bool],
    attempt: int | None = None,
    worker: str | None = None,
    why: str | None = None,
    by: str | None = None,
    **values: Any,
) -> bool:
    """Move a job to a state if the table allows it from where it stands, and write that down; False if it does not.

    The history says who moved it (`worker`, or `by`: the id of a key) and `why`.
    """
    fence = () if attempt is None else holding(attempt)
    if to in TERMINAL:
        values |= {
            "finished_at": now(),
            "lease_owner": None,
            "lease_expires_at": None,
            "phase": None,
            "eta_seconds": None,
            "checkpoint_sha256": None,
            "upload_sha256": None,
            "table_sha256": None,
            "results_expire_at": now_plus(func.nullif(Job.retention_days, 0)),
        }
    allowed = Job.status.in_(sources_of(to))
    if not change(session, Job.id == job_id, allowed, *fence, *conditions, status=to, **values):
        return False
    if to in TERMINAL:
        close_chunks(session, job_id, JobStatus.EXPIRED if to == JobStatus.EXPIRED else JobStatus.CANCELLED, ACTIVE)
    data = {"status": to} | ({"why": why} if why else {}) | ({"by": by} if by else {})
    event = "done" if to in TERMINAL else "status"
    record(session, job_id, event, data, attempt=attempt or 0, worker=worker)
    return True


# --- what a worker does ----------------------------------------------------------------------------------------------


def claim(session: Session, job_id: str, worker: str, lease_seconds: float, work_seconds: float = 86400) -> Job | None:
    """Take a queued job: the next attempt is ours until the lease ends. None when it is not to be had.

    A job without a deadline gets one with its first start: `work_seconds` from now.
    """
    mine = {"lease_owner": worker, "lease_expires_at": now(lease_seconds), "attempt": Job.attempt + 1}
    taken = change(
        session,
        Job.id == job_id,
        Job.status == JobStatus.QUEUED,
        Job.attempt < Job.max_attempts,
        WHOLE,
        status=JobStatus.RUNNING,
        started_at=func.coalesce(Job.started_at, now()),
        deadline_at=func.coalesce(Job.deadline_at, now(work_seconds)),
        **mine,
    )
    if not taken:
        return None
    job = find(session, job_id)
    record(session, job_id, "status", {"status": JobStatus.RUNNING}, attempt=job.attempt, worker=worker)
    return job


def is_queued(session: Session, job_id: str) -> bool:
    """Is a message about this job worth a claim? Takes no lock, so that many messages for one job cost little."""
    return session.scalar(select(Job.status).where(Job.id == job_id)) == JobStatus.QUEUED


def beat(session: Session, job_id: str, attempt: int, lease_seconds: float, **progress: Any) -> Signals:
    """Renew the lease, write progress, and learn whether to stop."""
    if not change(session, Job.id == job_id, *holding(attempt), lease_expires_at=now(lease_seconds), **progress):
        return Signals(lost=True)
    job = find(session, job_id)
    return Signals(cancel=job.cancel_requested_at is not None, finish=job.finish_requested_at is not None)


def drop(session: Session, job_id: str, attempt: int, why: str) -> None:
    """End the lease now, as if its worker had died, and write down why: the work hangs in there."""
    if change(session, Job.id == job_id, *holding(attempt), lease_expires_at=now(-1)):
        record(session, job_id, "log", {"message": "the worker gave up", "why": why}, attempt=attempt)


def finish(session: Session, job_id: str, attempt: int, result: dict[str, Any], **values: Any) -> bool:
    """End the job well, in the transaction that writes its results. False: the attempt is not current, roll back."""
    return move(session, job_id, JobStatus.SUCCEEDED, attempt=attempt, result=result, completed=Job.total, **values)


def fail(session: Session, job_id: str, attempt: int | None, error: TsukijiError) -> bool:
    """End the job badly, with the reason."""
    return move(session, job_id, JobStatus.FAILED, attempt=attempt, error=error.to_dict(), why=error.code)


def give_back(session: Session, job_id: str, attempt: int, why: str) -> bool:
    """Put the work back into the queue: its worker stops. That is no failed attempt, so one more is granted."""
    return move(
        session,
        job_id,
        JobStatus.QUEUED,
        attempt=attempt,
        why=why,
        max_attempts=Job.max_attempts + 1,
        **NOBODY,
    )


def signals(session: Session, job_id: str, attempt: int) -> Signals:
    """Learn whether to stop, between two beats; writes nothing."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or job.attempt != attempt or job.lease_owner is None:
        return Signals(lost=True)
    return Signals(cancel=job.cancel_requested_at is not None, finish=job.finish_requested_at is not None)


def retry(session: Session, job: Job, error: TsukijiError) -> None:
    """Put a job that met an unexpected error back into the queue, or fail it after its last attempt."""
    granted = more_attempts(Job, error)
    later = NOBODY | pause(job, error) | granted
    if (job.attempt >= job.max_attempts and not granted) or not move(
        session, job.id, JobStatus.QUEUED, attempt=job.attempt, why=error.code, **later
    ):
        fail(session, job.id, job.attempt, error)


def pause(job: Job, error: TsukijiError) -> dict[str, Any]:
    """Return what to write so that a failed job waits a while.

    It looks as if its message had gone out `LOST_SECONDS` before the end of the pause, and got lost.
    """
    return {"sent_at": now(pause_seconds(job, error) - LOST_SECONDS)}


def pause_seconds(work: Job | Chunk, error: TsukijiError) -> float:
    """Return how long failed work waits; in an outage the longer, the more attempts it had."""
    return min(LOST_SECONDS * work.attempt, OUTAGE_SECONDS) if error.outage else LOST_SECONDS


def more_attempts(table: type[Job] | type[Chunk], error: TsukijiError) -> dict[str, Any]:
    """Return what to write so that an outage, which is not the work's fault, costs no attempt; its deadline stands."""
    return {"max_attempts": table.max_attempts + 1} if error.outage else {}


# --- what a user asks ------------------------------------------------------------------------------------------------


def request_cancel(session: Session, job_id: str, by: str | None = None) -> Job:
    """Ask a job to stop; one that has ended stays as it is. Chunks that wait are cancelled here and now."""
    job = lock(session, job_id)
    if job.status in TERMINAL:
        return job
    change(session, Job.id == job_id, Job.cancel_requested_at.is_(None), cancel_requested_at=now())
    close_chunks(session, job_id, JobStatus.CANCELLED, {JobStatus.QUEUED})
    working = job.lease_owner is not None or session.scalar(
        select(func.count()).where(Chunk.job_id == job_id, Chunk.status == JobStatus.RUNNING)
    )
    # A batch between two chunks is RUNNING with nobody at work: it passes through CANCELLING at once.
    moved = job.status == JobStatus.QUEUED and move(session, job_id, JobStatus.CANCELLED, why="asked", by=by)
    if not moved:
        move(session, job_id, JobStatus.CANCELLING, why="asked", by=by)
        if not working:
            move(session, job_id, JobStatus.CANCELLED)
    return find(session, job_id)


def request_finish(session: Session, job_id: str, by: str | None = None) -> Job:
    """Ask a training to stop and keep the best so far."""
    still = (Job.status.in_(ACTIVE), Job.finish_requested_at.is_(None))
    if change(session, Job.id == job_id, *still, finish_requested_at=now()):
        record(session, job_id, "log", {"message": "asked to finish early", "by": by})
    return find(session, job_id)


# --- what the dispatcher does ----------------------------------------------------------------------------------------


def expired(session: Session) -> list[Job]:
    """Return the jobs whose worker has gone silent."""
    held = Job.status.in_(HELD)
    return list(session.scalars(select(Job).where(held, Job.lease_expires_at < now()).limit(500)))


def recover(session: Session, job: Job) -> JobStatus | None:
    """Requeue a job whose lease ran out, or end it: cancelled when that was asked, failed after its last attempt."""
    still = (Job.lease_expires_at < now(),)
    target, values = JobStatus.QUEUED, NOBODY
    if job.status == JobStatus.CANCELLING:
        target, values = JobStatus.CANCELLED, {}
    elif job.attempt >= job.max_attempts:
        target, values = JobStatus.FAILED, {"error": worker_lost(job.attempt).to_dict()}
    moved = move(
        session, job.id, target, *still, attempt=job.attempt, worker=job.lease_owner, why="lease_expired", **values
    )
    return target if moved else None


def overdue(session: Session) -> list[Job]:
    """Return the jobs whose deadline has passed."""
    return list(session.scalars(select(Job).where(Job.status.in_(ACTIVE), Job.deadline_at < now()).limit(500)))


def expire(session: Session, job: Job) -> bool:
    """End a job whose deadline has passed. What a batch has finished is kept; whoever works on it learns and stops."""
    lock(session, job.id)
    error = DeadlineExceeded(f"It was to be done by {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC.")
    late = Job.deadline_at < now()
    return move(session, job.id, JobStatus.EXPIRED, late, why=error.code, error=error.to_dict())


def close_chunks(session: Session, job_id: str, status: JobStatus, which: AbstractSet[JobStatus]) -> None:
    """End a batch's chunks that are in one of these states; a worker that holds one has lost it."""
    chunks = update(Chunk).where(Chunk.job_id == job_id, Chunk.status.in_(which))
    ended = {"status": status, "lease_owner": None, "lease_expires_at": None}
    session.execute(chunks.values(**ended), execution_options={"synchronize_session": False})


def worker_lost(attempts: int) -> TsukijiError:
    """Return the error of work that ended its worker (or lost it) each time."""
    return WorkerLost(f"{attempts} workers in a row went silent while they held this work.", attempts=attempts)


def shorten(session: Session, lease_seconds: float) -> int:
    """Shorten the leases that end later than any can: the clock was set back, and a dead worker's would last for long.

    Returns how many; a worker that lives renews its own before it ends.
    """
    shortened = 0
    for table in (Job, Chunk):
        statement = update(table).where(table.lease_expires_at > now(2 * lease_seconds))
        values = statement.values(lease_expires_at=now(lease_seconds))
        shortened += cast("CursorResult[Any]", session.execute(values)).rowcount
    return shortened


def is_due(sent_at: Any, resend_seconds: float) -> ColumnElement[bool]:
    """Return whether a message is to be sent: there was none, it was long ago, or (clock set back) lies far ahead."""
    return or_(sent_at.is_(None), sent_at < now(-resend_seconds), sent_at > now(resend_seconds + OUTAGE_SECONDS))


def unsent(
    session: Session, resend_seconds: float, kinds: Collection[JobKind] = tuple(JobKind), limit: int = 500
) -> list[Job]:
    """Return the queued jobs of these kinds that no message may have woken, urgent ones first."""
    due = is_due(Job.sent_at, resend_seconds)
    query = select(Job).where(Job.status == JobStatus.QUEUED, Job.kind.in_(kinds), WHOLE, due)
    return list(session.scalars(query.order_by(Job.priority.desc(), Job.id).limit(limit)))


def mark_sent(session: Session, job_ids: list[str]) -> None:
    """Note that messages went out, for a job or for the chunks of a batch."""
    waits = or_(Job.status == JobStatus.QUEUED, (Job.status == JobStatus.RUNNING) & Job.planned.is_(True))
    still = (Job.id.in_(job_ids), waits)
    session.execute(update(Job).where(*still).values(sent_at=now()))


def queue_position(session: Session, job: Job) -> int | None:
    """Return how many queued jobs of the kind stand before this one; None when it does not wait."""
    if job.status != JobStatus.QUEUED:
        return None
    before = select(func.count()).where(Job.kind == job.kind, Job.status == JobStatus.QUEUED, Job.id < job.id)
    return session.scalar(before) or 0
