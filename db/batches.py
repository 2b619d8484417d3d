"""Batches: items, chunks and predictions being written. A chunk's effects are committed once, however often it runs.

A batch may be cut into chunks while it is being planned: workers classify the first images while the last are read.
Until it is planned the job's lease is the planner's, and its state says what the planner does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, case, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from db import jobs, predictions
from db.bulk import insert_rows
from db.clock import now
from db.models import BatchItem, Chunk, Job, Prediction
from tsukiji.errors import NoImageSucceeded, TsukijiError
from tsukiji.ids import new_id
from tsukiji.jobs import ACTIVE, MEASURING, JobKind, JobStatus

INSERT_ROWS = 1000
CLASSIFYING = "classifying"
"""The phase of a batch from its first chunk on."""
OPEN = {JobStatus.QUEUED, JobStatus.RUNNING}


@dataclass(frozen=True)
class Work:
    """A claimed chunk with all that its worker needs to know."""

    chunk: Chunk
    job: Job
    items: list[BatchItem]


def add_items(session: Session, job_id: str, items: Sequence[dict[str, Any]], first_seq: int = 0) -> None:
    """Insert items (custom_id, sha256, crop, true_label, error) in order, counted on by `seq`.

    Blobs must be kept already.
    """
    blank = {"job_id": job_id, "crop": None, "true_label": None, "error": None}
    rows = [{**blank, "seq": seq, **item} for seq, item in enumerate(items, first_seq)]
    for start in range(0, len(rows), INSERT_ROWS):
        insert_rows(session, BatchItem, rows[start : start + INSERT_ROWS])


def items_named(session: Session, job_id: str, seqs: Sequence[int], custom_ids: Sequence[str]) -> list[BatchItem]:
    """Return the items of these numbers and names; of a name that several have, all."""
    named = BatchItem.seq.in_(seqs) | BatchItem.custom_id.in_(custom_ids)
    query = select(BatchItem).where(BatchItem.job_id == job_id, named)
    return list(session.scalars(query.order_by(BatchItem.seq.desc())))


def clear_items(session: Session, job_id: str) -> int:
    """Delete the items that are in no chunk: an earlier attempt to plan inserted them and got no further.

    Returns how many there are in chunks: those stay.
    """
    kept = items_cut(session, job_id)
    session.execute(delete(BatchItem).where(BatchItem.job_id == job_id, BatchItem.seq >= kept))
    return kept


def items_cut(session: Session, job_id: str) -> int:
    """Return how many of a batch's items are in chunks: the first so many."""
    return session.scalar(select(func.max(Chunk.last_seq) + 1).where(Chunk.job_id == job_id)) or 0


def cut(session: Session, job: Job, items: int, chunk_images: int, max_attempts: int) -> list[str]:
    """Cut those of so many items that are in no chunk yet into chunks; returns the chunks' ids.

    A batch that is being cancelled gets none.
    """
    goes_on = jobs.lock(session, job.id).cancel_requested_at is None
    done = items_cut(session, job.id)
    rows: list[dict[str, Any]] = [
        {
            "id": new_id("chk"),
            "job_id": job.id,
            "first_seq": first,
            "last_seq": min(first + chunk_images, items) - 1,
            "max_attempts": max_attempts,
        }
        for first in range(done, items if goes_on else 0, chunk_images)
    ]
    if rows:
        insert_rows(session, Chunk, rows)
    if not done:
        jobs.change(session, Job.id == job.id, turn=last_turn())
    return [row["id"] for row in rows]


def finish_plan(session: Session, job: Job, items: int, chunk_images: int, max_attempts: int) -> list[str]:
    """Cut what is left of a batch whose items are all there, and say that it is planned; returns the new chunks' ids.

    From here on the chunks hold the leases, and the job none. A batch that has no open chunks any more ends.
    """
    chunk_ids = cut(session, job, items, chunk_images, max_attempts)
    planned = {"planned": True, "items_total": items, "total": items, "unit": "images", "phase": None}
    jobs.change(session, Job.id == job.id, **planned, **jobs.NOBODY)
    settle(session, job.id)
    return chunk_ids


def claim_chunk(session: Session, chunk_id: str, worker: str, lease_seconds: float) -> Work | None:
    """Take a queued chunk of a batch that goes on; None when it is not to be had."""
    job_id = session.scalar(select(Chunk.job_id).where(Chunk.id == chunk_id))
    if job_id is None:
        return None
    jobs.lock(session, job_id)
    goes_on = select(Job.id).where(Job.id == Chunk.job_id, Job.status.in_(OPEN)).exists()
    statement = update(Chunk).where(
        Chunk.id == chunk_id, Chunk.status == JobStatus.QUEUED, Chunk.attempt < Chunk.max_attempts, goes_on
    )
    lease = {"lease_owner": worker, "lease_expires_at": now(lease_seconds), "rests_until": None}
    if not changed(session, statement.values(status=JobStatus.RUNNING, attempt=Chunk.attempt + 1, **lease)):
        return None
    chunk = session.get_one(Chunk, chunk_id, populate_existing=True)
    planned = Job.planned.is_(True)
    started_at = func.coalesce(Job.started_at, now())
    jobs.move(session, chunk.job_id, JobStatus.RUNNING, planned, worker=worker, started_at=started_at)
    news = planned & Job.phase.is_distinct_from(CLASSIFYING)  # another turn is none
    whose: dict[str, Any] = {
        "turn": last_turn() + 1,
        "phase": case((planned, CLASSIFYING), else_=Job.phase),
        "version": Job.version + case((news, 1), else_=0),
    }
    session.execute(update(Job).where(Job.id == chunk.job_id).values(**whose))
    items = select(BatchItem).where(
        BatchItem.job_id == chunk.job_id, BatchItem.seq.between(chunk.first_seq, chunk.last_seq)
    )
    return Work(chunk, jobs.find(session, chunk.job_id), list(session.scalars(items.order_by(BatchItem.seq))))


def last_turn() -> ColumnElement[int]:
    """Return the number of the newest turn, as a part of a statement."""
    others = aliased(Job)
    return func.coalesce(select(func.max(others.turn)).scalar_subquery(), 0)


def beat_chunk(session: Session, chunk: Chunk, lease_seconds: float) -> jobs.Signals:
    """Renew the chunk's lease and learn whether to stop."""
    changed(session, held(chunk.id, chunk.attempt).values(lease_expires_at=now(lease_seconds)))
    return chunk_signals(session, chunk)


def drop_chunk(session: Session, chunk: Chunk, why: str) -> None:
    """End the chunk's lease now, as if its worker had died, and write down why: the work hangs in there."""
    if changed(session, held(chunk.id, chunk.attempt).values(lease_expires_at=now(-1))):
        data = {"message": "the worker gave up a chunk", "chunk": chunk.id, "why": why}
        jobs.record(session, chunk.job_id, "log", data, attempt=chunk.attempt, worker=chunk.lease_owner)


def finish_chunk(
    session: Session, chunk: Chunk, found: Sequence[dict[str, Any]], engine: dict[str, Any] | None = None
) -> bool:
    """Write a chunk's predictions, counters and end, all or nothing. False: the attempt is not current, roll back.

    `engine` is what the worker ran the model with.
    """
    job = jobs.lock(session, chunk.job_id)
    if not end_chunk(session, chunk, JobStatus.SUCCEEDED):
        return False
    rows = predictions.write(session, job, found)
    count(session, chunk.job_id, rows, engine=engine)
    settle(session, chunk.job_id)
    return True


def fail_chunk(session: Session, chunk: Chunk, error: TsukijiError) -> bool:
    """End a chunk badly: each of its images gets the reason, the batch goes on."""
    job = jobs.lock(session, chunk.job_id)
    if not end_chunk(session, chunk, JobStatus.FAILED):
        return False
    why = {"error": error.to_dict()}
    rows = [blank_prediction(seq) | why for seq in range(chunk.first_seq, chunk.last_seq + 1)]
    predictions.write(session, job, rows)
    count(session, chunk.job_id, rows)
    settle(session, chunk.job_id)
    return True


def cancel_chunk(session: Session, chunk: Chunk) -> bool:
    """End a chunk whose batch is being cancelled."""
    jobs.lock(session, chunk.job_id)
    ended = end_chunk(session, chunk, JobStatus.CANCELLED)
    settle(session, chunk.job_id)
    return ended


def give_back_chunk(session: Session, chunk: Chunk) -> bool:
    """Put a chunk back into the queue: its worker stops. That is no failed attempt."""
    if jobs.lock(session, chunk.job_id).status not in OPEN:
        return cancel_chunk(session, chunk)
    return requeue_chunk(session, chunk, max_attempts=Chunk.max_attempts + 1)


def requeue_chunk(session: Session, chunk: Chunk, **values: Any) -> bool:
    """Put a chunk of a batch that goes on back into the queue, for whoever is free."""
    requeued = held(chunk.id, chunk.attempt).values(status=JobStatus.QUEUED, **jobs.FREE, **values)
    return changed(session, requeued) and jobs.change(session, Job.id == chunk.job_id, sent_at=None)


def chunk_signals(session: Session, chunk: Chunk) -> jobs.Signals:
    """Learn whether to stop, between two beats; writes nothing."""
    current = session.get(Chunk, chunk.id, populate_existing=True)
    if current is None or current.attempt != chunk.attempt or current.status != JobStatus.RUNNING:
        return jobs.Signals(lost=True)
    job = jobs.find(session, chunk.job_id)
    return jobs.Signals(cancel=job.cancel_requested_at is not None or job.status not in ACTIVE)


def retry_chunk(session: Session, chunk: Chunk, error: TsukijiError) -> None:
    """Put a chunk that met an unexpected error back into the queue, to rest, or fail it after its last attempt."""
    granted = jobs.more_attempts(Chunk, error)
    if chunk.attempt >= chunk.max_attempts and not granted:
        fail_chunk(session, chunk, error)
    elif jobs.lock(session, chunk.job_id).status not in OPEN:
        cancel_chunk(session, chunk)
    else:
        rests = {"rests_until": now(jobs.pause_seconds(chunk, error))}
        back = held(chunk.id, chunk.attempt).values(status=JobStatus.QUEUED, **jobs.FREE, **rests, **granted)
        changed(session, back)


def abort(session: Session, job_id: str, error: TsukijiError) -> None:
    """End a batch that cannot go on; what is done stays."""
    jobs.lock(session, job_id)
    jobs.fail(session, job_id, None, error)


def blank_prediction(seq: int) -> dict[str, Any]:
    """Return a row's every column, for executemany."""
    names = ("label", "score", "known_score", "probabilities", "labels", "tags", "heatmap", "width", "height", "error")
    return {"seq": seq, **dict.fromkeys(names)}


def count(session: Session, job_id: str, rows: Sequence[dict[str, Any]], **columns: Any) -> None:
    """Add finished items to the batch's counters, and set columns of it."""
    errored = sum(row["error"] is not None for row in rows)
    jobs.change(
        session,
        Job.id == job_id,
        completed=Job.completed + len(rows),
        items_succeeded=Job.items_succeeded + len(rows) - errored,
        items_errored=Job.items_errored + errored,
        **columns,
    )


def settle(session: Session, job_id: str) -> None:
    """End a batch that is planned and whose last chunk has ended; an evaluation then waits to be measured."""
    open_chunks = select(func.count()).where(Chunk.job_id == job_id, Chunk.status.in_(OPEN))
    job = jobs.find(session, job_id)
    if not job.planned or job.phase == MEASURING or session.scalar(open_chunks):
        return
    unfinished = job.kind == JobKind.EVALUATION or job.items_succeeded + job.items_errored < job.items_total
    if job.cancel_requested_at is not None and unfinished:
        jobs.move(session, job_id, JobStatus.CANCELLED)
    elif job.items_succeeded == 0:
        error = NoImageSucceeded(reasons=reasons(session, job_id))
        jobs.move(session, job_id, JobStatus.FAILED, error=error.to_dict(), why=error.code)
    elif job.kind == JobKind.EVALUATION:
        # Those that planning took do not count.
        fresh: dict[str, Any] = {"max_attempts": Job.attempt + Job.max_attempts}
        jobs.move(session, job_id, JobStatus.QUEUED, phase=MEASURING, why="classified", **jobs.NOBODY, **fresh)
    else:
        jobs.move(session, job_id, JobStatus.SUCCEEDED)


def reasons(session: Session, job_id: str) -> dict[str, int]:
    """Return the codes of a batch's errors with how many images met each, most first."""
    code = Prediction.error["code"].as_string()
    query = select(code, func.count()).where(Prediction.job_id == job_id, Prediction.label.is_(None))
    return {row[0]: row[1] for row in session.execute(query.group_by(code).order_by(func.count().desc()))}


def held(chunk_id: str, attempt: int) -> Any:
    return update(Chunk).where(Chunk.id == chunk_id, Chunk.attempt == attempt, Chunk.status == JobStatus.RUNNING)


def end_chunk(session: Session, chunk: Chunk, status: JobStatus) -> bool:
    statement = held(chunk.id, chunk.attempt).values(status=status, lease_owner=None, lease_expires_at=None)
    return changed(session, statement)


def changed(session: Session, statement: Any) -> bool:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1


# --- what the dispatcher does ----------------------------------------------------------------------------------------


def expired_chunks(session: Session) -> list[Chunk]:
    """Return the chunks whose worker has gone silent."""
    query = select(Chunk).where(Chunk.status == JobStatus.RUNNING, Chunk.lease_expires_at < now())
    return list(session.scalars(query.limit(500)))


def recover_chunk(session: Session, chunk: Chunk) -> None:
    """Requeue a chunk whose lease ran out, or end it: cancelled with its batch, failed after its last attempt."""
    job = jobs.lock(session, chunk.job_id)
    still = select(Chunk.id).where(
        Chunk.id == chunk.id,
        Chunk.attempt == chunk.attempt,
        Chunk.status == JobStatus.RUNNING,
        Chunk.lease_expires_at < now(),
    )
    if session.scalar(still) is None:
        return  # renewed, ended or claimed again since it was listed
    if job.cancel_requested_at is not None or job.status not in ACTIVE:
        cancel_chunk(session, chunk)
    elif chunk.attempt >= chunk.max_attempts:
        fail_chunk(session, chunk, jobs.worker_lost(chunk.attempt))
    else:
        requeue_chunk(session, chunk)
        data = {"message": "chunk requeued", "chunk": chunk.id, "why": "lease_expired"}
        jobs.record(session, chunk.job_id, "log", data, attempt=chunk.attempt, worker=chunk.lease_owner)
