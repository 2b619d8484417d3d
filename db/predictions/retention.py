"""Deletion of results after their retention period, in small slices to keep locks short. Active jobs are spared."""

from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from db.blobs import release
from db.clock import now
from db.jobs import jobs
from db.models import BatchItem, Chunk, ImportItem, Job, Prediction
from tsukiji.errors import Conflict, JobNotDone
from tsukiji.jobs import TERMINAL, JobKind

SLICE_IMAGES = 500
"""About 40 ms on SQLite, during which all other writers wait."""
SLICE_JOBS = 500
SLICE_CHUNKS = 100
KINDS: Final = frozenset({JobKind.BATCH, JobKind.PREDICTION, JobKind.EVALUATION})
"""Kinds with rows for each image, and pictures of their own."""
IMPORTS: Final = frozenset({JobKind.IMPORT})
"""Kinds with a verdict for each file; the pictures belong to the data set."""


def request_deletion(session: Session, job_id: str, kind: JobKind | None = None, by: str | None = None) -> Job:
    """Hide a job's results from all readers immediately; the dispatcher deletes them. Idempotent.

    Raises:
        NotFound
        JobNotDone: it has not ended.
        Conflict: its kind has no results of its own.
    """
    job = jobs.find(session, job_id, kind)
    if job.kind not in KINDS:
        raise Conflict(
            f"The {job.kind} {job.id} has no results to delete.",
            hint="Delete what it created instead: the model, image or data set.",
        )
    if job.status not in TERMINAL:
        raise JobNotDone(f"The {job.kind} {job.id} is {job.status}.")
    close(session, job, "asked", by)
    return jobs.find(session, job_id)


def close(session: Session, job: Job, why: str, by: str | None = None) -> None:
    """Mark a job's results as deleted before the first row goes, so that a part is never taken for the whole."""
    gone = {"results_deleted_at": now(), "results_expire_at": now()}
    ended = (Job.status.in_(TERMINAL), Job.results_deleted_at.is_(None))
    if jobs.change(session, Job.id == job.id, *ended, **gone):
        jobs.record(session, job.id, "log", {"message": "results deleted", "why": why} | ({"by": by} if by else {}))


def give_up(session: Session, kinds: frozenset[JobKind], days: float) -> int:
    """Expire the results of up to `SLICE_JOBS` jobs that ended this many days ago; returns how many.

    Jobs with a retention of their own are left.
    """
    old = (Job.kind.in_(kinds), Job.status.in_(TERMINAL), Job.finished_at < now(-86400 * days))
    open_ended = (Job.retention_days.is_(None), Job.results_expire_at.is_(None), Job.results_deleted_at.is_(None))
    some = select(Job.id).where(*old, *open_ended).order_by(Job.finished_at).limit(SLICE_JOBS)
    expired = update(Job).where(Job.id.in_(some)).values(results_expire_at=now(), version=Job.version + 1)
    result = session.execute(expired, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


def next_due(session: Session) -> Job | None:
    """Return the ended job whose results have been due for deletion the longest."""
    query = select(Job).where(Job.results_expire_at < now(), Job.status.in_(TERMINAL))
    return session.scalar(query.order_by(Job.results_expire_at).limit(1))


def delete_slice(session: Session, job_id: str) -> bool:
    """Delete the results of some images or files, and release their pictures; False when none were left."""
    lowest = (select(func.min(table.seq)).where(table.job_id == job_id) for table in (BatchItem, ImportItem))
    first = min((seq for seq in map(session.scalar, lowest) if seq is not None), default=None)
    if first is None and delete_files(session, job_id):
        return True
    if first is None:
        session.execute(delete(Chunk).where(Chunk.job_id == job_id))
        jobs.change(session, Job.id == job_id, results_expire_at=None)
        return False
    last = first + SLICE_IMAGES - 1
    release(session, select(BatchItem.sha256).where(BatchItem.job_id == job_id, BatchItem.seq <= last))  # type: ignore[arg-type]
    of_slice: dict[Any, Any] = {
        BatchItem: BatchItem.seq,
        Prediction: Prediction.seq,
        Chunk: Chunk.last_seq,
        ImportItem: ImportItem.seq,
    }
    for table, seq in of_slice.items():
        statement = delete(table).where(table.job_id == job_id, seq <= last)
        session.execute(statement, execution_options={"synchronize_session": False})
    return True


def delete_files(session: Session, job_id: str) -> bool:
    """Release the lists and parts of some chunks, and delete these; False when none were left."""
    some = select(Chunk.id).where(Chunk.job_id == job_id, Chunk.items_sha256.is_not(None)).limit(SLICE_CHUNKS)
    ids = list(session.scalars(some))
    for held in (Chunk.items_sha256, Chunk.part_sha256):
        release(session, select(held).where(Chunk.id.in_(ids), held.is_not(None)))  # type: ignore[arg-type]
    session.execute(delete(Chunk).where(Chunk.id.in_(ids)), execution_options={"synchronize_session": False})
    return bool(ids)
