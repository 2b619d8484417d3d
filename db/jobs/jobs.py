"""Jobs as rows: every transition is a compare-and-set that the state table allows, and is recorded in the history.

Claims and leases are in `db.jobs.leases`.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, ColumnElement, CursorResult, bindparam, case, func, insert, select, update
from sqlalchemy.orm import Session

from db import webhooks
from db.bulk import insert_rows
from db.clock import now, now_plus
from db.jobs.requests import REQUEST_OF, FeaturesRequest, JobRequest
from db.models import DEFAULT_PROJECT, Chunk, Job, JobEvent
from db.paging import Rows, Window, fetch
from db.session import after_commit
from db.views import EVERYTHING
from tsukiji.errors import DeadlineExceeded, NotFound, TsukijiError
from tsukiji.ids import new_id
from tsukiji.jobs import ACTIVE, LISTING, PREFIX_OF, TERMINAL, JobKind, JobStatus, sources_of
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.tracing import traceparent

KIND_OF: Final = {prefix: kind for kind, prefix in PREFIX_OF.items()}
FREE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
"""Columns of work without a lease."""
ACTIVE_COUNTS = (
    select(func.count().filter(Job.created_by == bindparam("created_by")).label("mine"), func.count().label("total"))
    .where(Job.kind == bindparam("kind"), Job.status.in_(ACTIVE))
    .execution_options(**EVERYTHING)
)
"""Runs with every submission, so it is built only once."""


def create(
    session: Session, kind: JobKind, *, request: JobRequest | dict[str, Any], max_attempts: int, **columns: Any
) -> Job:
    """Insert a queued job. Notify the queue's workers only after the transaction has been committed.

    Raises:
        pydantic.ValidationError: the request does not fit the kind.
    """
    asked = REQUEST_OF[kind].model_validate(request).to_row()
    job_id = new_id(PREFIX_OF[kind])
    age = job_id.partition("_")[2]
    values = {"id": job_id, "age": age, "kind": kind, "request": asked, "max_attempts": max_attempts} | columns
    if (trace := traceparent()) is not None:
        values["traceparent"] = trace
    # As parameters, so that the statement is built and compiled only once; only SQL expressions are part of it.
    computed = {name: value for name, value in values.items() if isinstance(value, ClauseElement)}
    plain = {name: value for name, value in values.items() if name not in computed}
    job = session.scalars(insert(Job).values(computed).returning(Job), [plain]).one()
    record(session, job.id, "status", {"status": JobStatus.QUEUED, "by": job.created_by})
    return job


def create_once(session: Session, kind: JobKind, request: FeaturesRequest, max_attempts: int, **columns: Any) -> Job:
    """Return a queued job of this request if there is one, else a new one: it will see the same images."""
    waiting = (Job.kind == kind, Job.dataset_id == request.dataset, Job.status == JobStatus.QUEUED)
    for job in session.scalars(select(Job).where(*waiting).order_by(Job.id)):
        if type(request).of(job) == request:
            return job
    columns |= {"dataset_id": request.dataset, "unit": "images"}
    return create(session, kind, request=request, max_attempts=max_attempts, **columns)


def find(session: Session, job_id: str, kind: JobKind | None = None) -> Job:
    """Return the job.

    Raises:
        NotFound: no job has this id (and kind).
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or (kind is not None and job.kind != kind):
        raise NotFound(f"There is no {kind or 'job'} {job_id!r}.")
    return job


def owner_of(session: Session, job_id: str) -> tuple[str | None, str]:
    """Return the key that started a job, and its project."""
    row = session.execute(select(Job.created_by, Job.project_id).where(Job.id == job_id)).first()
    return (row[0], row[1]) if row else (None, DEFAULT_PROJECT)  # it was deleted meanwhile


def trace_of(session: Session, job_id: str) -> str | None:
    """Return the trace of a job; None if it has none."""
    return session.scalar(select(Job.traceparent).where(Job.id == job_id))


def lock(session: Session, job_id: str) -> Job:
    """Return the job with its row locked. Lock it before its chunks, which prevents deadlocks between last chunks.

    In SQLite the transaction holds the one write lock from its start.

    Raises:
        NotFound
    """
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    return find(session, job_id)


def page(
    session: Session, window: Window, kind: str | None = None, status: str | None = None, dataset_id: str | None = None
) -> Rows[Job]:
    """Newest first."""
    query = select(Job)
    if dataset_id is not None:
        query = query.where(Job.dataset_id == dataset_id)
    if kind is not None:
        query = query.where(Job.kind == kind)
    if status is not None:
        query = query.where(Job.status == status)
    return fetch(session, query, Job.age, window, newest=True)


def of_dataset(session: Session, kind: JobKind, dataset_id: str) -> list[Job]:
    """Return a data set's jobs of a kind, newest first."""
    query = select(Job).where(Job.dataset_id == dataset_id, Job.kind == kind)
    return list(session.scalars(query.order_by(Job.age.desc())))


def active_of(session: Session, kind: JobKind, dataset_id: str) -> Job | None:
    """Return the newest unfinished job of a kind for a data set."""
    mine = (Job.dataset_id == dataset_id, Job.kind == kind, Job.status.in_(ACTIVE))
    return session.scalar(select(Job).where(*mine).order_by(Job.age.desc()).limit(1))


def versions(session: Session, job_ids: Collection[str]) -> dict[str, int]:
    """Return the versions of the jobs that exist."""
    rows = session.execute(select(Job.id, Job.version).where(Job.id.in_(job_ids)))
    return {row.id: row.version for row in rows}


def last_events(session: Session, job_ids: Collection[str]) -> dict[str, int]:
    """Return the id of the last history entry of each job."""
    last = select(func.max(JobEvent.id)).where(JobEvent.job_id == Job.id).scalar_subquery()  # one index look-up
    rows = session.execute(select(Job.id, func.coalesce(last, 0).label("event")).where(Job.id.in_(job_ids)))
    return {row.id: row.event for row in rows}


def count_active(session: Session, kind: JobKind, created_by: str) -> tuple[int, int]:
    """Count the unfinished jobs of one kind: those of one key, and all."""
    mine, total = session.execute(ACTIVE_COUNTS, {"kind": kind, "created_by": created_by}).one()
    return mine, total


def oldest_active(session: Session, kind: JobKind, created_by: str) -> Job | None:
    """Return a key's oldest unfinished job of one kind."""
    mine = (Job.kind == kind, Job.created_by == created_by, Job.status.in_(ACTIVE))
    return session.scalar(select(Job).where(*mine).order_by(Job.id).limit(1))


def record(
    session: Session, job_id: str, event: str, data: dict[str, Any], *, attempt: int = 0, worker: str | None = None
) -> None:
    """Append one line to the job's history."""
    insert_rows(session, JobEvent, [event_row(job_id, event, data, attempt=attempt, worker=worker)])


def event_row(
    job_id: str, event: str, data: dict[str, Any], *, attempt: int = 0, worker: str | None = None
) -> dict[str, Any]:
    """Return one line of the history, for `insert_rows`."""
    return {"job_id": job_id, "event": event, "data": data, "attempt": attempt, "worker": worker}


def events(session: Session, job_id: str, after: int = 0, limit: int = 200) -> list[JobEvent]:
    """Return the history after an event's id, oldest first."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after)
    return list(session.scalars(query.order_by(JobEvent.id).limit(limit)))


def metrics(session: Session, job_id: str) -> list[dict[str, Any]]:
    """Return the epochs of a training in order; of an epoch repeated by a later attempt, the last run."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.event == "metric").order_by(JobEvent.id)
    epochs = {line.data["epoch"]: line.data for line in session.scalars(query)}
    return [epochs[number] for number in sorted(epochs)]


def change(session: Session, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Update the job if it meets the conditions; returns whether it did."""
    return write(session, Job, *conditions, version=Job.version + 1, **values)


def write(session: Session, table: type[Job | Chunk], *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Update the row that meets the conditions; returns whether there was one."""
    statement = update(table).where(*conditions).values(**values)
    result = cast("CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False}))
    return result.rowcount == 1


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
    """Move a job to a state if its present one allows it, and record that; returns whether it moved.

    The history says who moved it (`worker`, or `by`: the id of a key) and `why`.
    """
    fence = () if attempt is None else (Job.attempt == attempt, Job.lease_owner.is_not(None))
    if to in TERMINAL:
        values |= FREE | {
            "finished_at": now(),
            "phase": None if to == JobStatus.SUCCEEDED else unlisted(),
            "rests_until": None,
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
    if to in TERMINAL:
        tell_end(session, job_id, to)
    return True


def unlisted() -> ColumnElement[str | None]:
    """Return the last phase of a job that ended early: parts in a place of the user's own are still to be listed."""
    return case((Job.request["output"]["url"].as_string().is_not(None), LISTING))


def tell_end(session: Session, job_id: str, status: JobStatus) -> None:
    """Count the end of a job, and queue it for webhooks, unless it is a prediction."""
    kind = KIND_OF.get(job_id.partition("_")[0], "unknown")
    after_commit(session, meters().jobs_ended.labels(kind, status).inc)
    if kind != JobKind.PREDICTION:
        project = select(Job.project_id).where(Job.id == job_id).scalar_subquery()
        webhooks.emit(session, project, f"{kind}.{status}", lambda: describe(find(session, job_id)))


def describe(job: Job) -> dict[str, Any]:
    """Return what webhooks are told of a job that ended; `links` leads to the rest."""
    error = job.error and {name: job.error[name] for name in ("code", "title", "detail")}
    made = {name: value for name, value in (job.result or {}).items() if name.endswith("_id")}
    counts = {"total": job.items_total, "succeeded": job.items_succeeded, "errored": job.items_errored}
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "dataset_id": job.dataset_id,
        "model_id": job.model_id,
        **made,
        "counts": counts if job.items_total else None,
        "error": error,
        "metadata": job.meta,
        "links": {"self": f"/v1/jobs/{job.id}"},
    }


def finish(session: Session, job: Job, result: dict[str, Any], **values: Any) -> bool:
    """End the job successfully, in the transaction that writes its results. False: the attempt is stale, roll back."""
    done = {"result": result, "completed": Job.total} | values
    return move(session, job.id, JobStatus.SUCCEEDED, attempt=job.attempt, **done)


def fail(session: Session, job_id: str, error: TsukijiError, *, attempt: int | None = None) -> bool:
    """End the job as failed, with the reason."""
    return move(session, job_id, JobStatus.FAILED, attempt=attempt, error=error.to_dict(), why=error.code)


# --- requests of users -----------------------------------------------------------------------------------------------


def request_cancel(session: Session, job_id: str, by: str | None = None) -> Job:
    """Request cancellation; a finished job is left as it is. Queued chunks are cancelled immediately."""
    job = lock(session, job_id)
    if job.status in TERMINAL:
        return job
    change(session, Job.id == job_id, Job.cancel_requested_at.is_(None), cancel_requested_at=now())
    close_chunks(session, job_id, JobStatus.CANCELLED, {JobStatus.QUEUED})
    working = job.lease_owner is not None or session.scalar(
        select(func.count()).where(Chunk.job_id == job_id, Chunk.status == JobStatus.RUNNING)
    )
    # A batch between two chunks is RUNNING though no worker holds it: it passes through CANCELLING at once.
    moved = job.status == JobStatus.QUEUED and move(session, job_id, JobStatus.CANCELLED, why="asked", by=by)
    if not moved:
        move(session, job_id, JobStatus.CANCELLING, why="asked", by=by)
        if not working:
            move(session, job_id, JobStatus.CANCELLED)
    return find(session, job_id)


def request_finish(session: Session, job_id: str, by: str | None = None) -> Job:
    """Ask a training to stop early and keep the best epoch so far."""
    still = (Job.status.in_(ACTIVE), Job.finish_requested_at.is_(None))
    if change(session, Job.id == job_id, *still, finish_requested_at=now()):
        record(session, job_id, "log", {"message": "asked to finish early", "by": by})
    return find(session, job_id)


# --- the dispatcher --------------------------------------------------------------------------------------------------


def overdue(session: Session) -> list[Job]:
    """Return the jobs whose deadline has passed."""
    return list(session.scalars(select(Job).where(Job.status.in_(ACTIVE), Job.deadline_at < now()).limit(500)))


def expire(session: Session, job: Job) -> bool:
    """End a job whose deadline has passed. Results of a batch are kept; its workers stop when they renew."""
    lock(session, job.id)
    error = DeadlineExceeded(f"Its deadline was {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC.")
    late = Job.deadline_at < now()
    return move(session, job.id, JobStatus.EXPIRED, late, why=error.code, error=error.to_dict())


def close_chunks(session: Session, job_id: str, status: JobStatus, which: AbstractSet[JobStatus]) -> None:
    """End a batch's chunks that are in one of these states; workers that hold them lose their leases."""
    chunks = update(Chunk).where(Chunk.job_id == job_id, Chunk.status.in_(which))
    session.execute(chunks.values(status=status, **FREE), execution_options={"synchronize_session": False})


def queue_position(session: Session, job: Job) -> int | None:
    """Return how many queued jobs of its kind and project are ahead of this one; None if it is not queued."""
    if job.status != JobStatus.QUEUED:
        return None
    queued = (Job.kind == job.kind, Job.status == JobStatus.QUEUED, Job.project_id == job.project_id)
    before = select(func.count()).where(*queued, Job.id < job.id)
    return session.scalar(before, execution_options=EVERYTHING) or 0
