"""Batches: items, chunks and written predictions. A chunk takes effect once, however often it runs.

A batch may be cut into chunks while it is being planned, so that workers classify the first images while the last are
read. Until then the planner holds the job's lease, and the job's state describes the planning.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from db import prediction_rows, quotas
from db.bulk import insert_rows
from db.clock import now
from db.jobs import drift, guarantees, jobs
from db.models import BatchItem, Chunk, Job, Prediction
from tsukiji.errors import ModelGone, NoImageSucceeded, TsukijiError
from tsukiji.ids import new_id
from tsukiji.jobs import MEASURING, OPEN, JobKind, JobStatus
from tsukiji.vision.drift import Distribution

INSERT_ROWS = 1000
CLASSIFYING = "classifying"
"""The phase of a batch from its first claimed chunk on."""


def add_items(session: Session, job_id: str, items: Sequence[dict[str, Any]], first_seq: int = 0) -> None:
    """Insert items (custom_id, sha256, crop, true_label, error) with consecutive `seq`.

    Their blobs must have rows already.
    """
    blank = {"job_id": job_id, "crop": None, "true_label": None, "error": None}
    rows = [{**blank, "seq": seq, **item} for seq, item in enumerate(items, first_seq)]
    for start in range(0, len(rows), INSERT_ROWS):
        insert_rows(session, BatchItem, rows[start : start + INSERT_ROWS])


def items_of(session: Session, chunk: Chunk) -> list[BatchItem]:
    """Return the items of a chunk in their order."""
    mine = (BatchItem.job_id == chunk.job_id, BatchItem.seq.between(chunk.first_seq, chunk.last_seq))
    return list(session.scalars(select(BatchItem).where(*mine).order_by(BatchItem.seq)))


def items_named(session: Session, job_id: str, seqs: Sequence[int], custom_ids: Sequence[str]) -> list[BatchItem]:
    """Return the items with these numbers or names; all of them if several share a name."""
    named = BatchItem.seq.in_(seqs) | BatchItem.custom_id.in_(custom_ids)
    query = select(BatchItem).where(BatchItem.job_id == job_id, named)
    return list(session.scalars(query.order_by(BatchItem.seq.desc())))


def clear_items(session: Session, job_id: str) -> int:
    """Delete items that are in no chunk, left by an earlier attempt to plan.

    Returns the number of items in chunks, which are kept.
    """
    kept = items_cut(session, job_id)
    session.execute(delete(BatchItem).where(BatchItem.job_id == job_id, BatchItem.seq >= kept))
    return kept


def items_cut(session: Session, job_id: str) -> int:
    """Return how many of a batch's items are in chunks; these are always the first ones."""
    return session.scalar(select(func.max(Chunk.last_seq) + 1).where(Chunk.job_id == job_id)) or 0


def cut(session: Session, job: Job, items: int, chunk_images: int, max_attempts: int) -> list[str]:
    """Cut the first `items` items, except those in chunks already, into chunks; returns the new chunks' ids.

    A batch that is being cancelled gets none.
    """
    goes_on = jobs.lock(session, job.id).cancel_requested_at is None
    done = items_cut(session, job.id)
    quotas.count(session, quotas.quotas_of_job(session, job), max(0, items - done))
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
    """Cut the remaining items of a complete batch and mark it planned; returns the new chunks' ids.

    From now on the chunks hold leases, not the job. If no chunk is open any more, the batch ends.
    """
    chunk_ids = cut(session, job, items, chunk_images, max_attempts)
    planned = {"planned": True, "items_total": items, "total": items, "unit": "images", "phase": None}
    jobs.change(session, Job.id == job.id, **planned, **jobs.FREE)
    settle(session, job.id)
    return chunk_ids


def begin(session: Session, chunk: Chunk) -> None:
    """Record on a locked batch that one of its chunks was claimed: its turn, and its phase."""
    planned = Job.planned.is_(True)
    started_at = func.coalesce(Job.started_at, now())
    jobs.move(session, chunk.job_id, JobStatus.RUNNING, planned, worker=chunk.lease_owner, started_at=started_at)
    news = planned & Job.phase.is_distinct_from(CLASSIFYING)  # later chunks are no news
    values: dict[str, Any] = {
        "turn": last_turn() + 1,
        "phase": case((planned, CLASSIFYING), else_=Job.phase),
        "version": Job.version + case((news, 1), else_=0),
    }
    session.execute(update(Job).where(Job.id == chunk.job_id).values(**values))


def last_turn() -> ColumnElement[int]:
    """Return the number of the newest turn, as an SQL expression."""
    others = aliased(Job)
    return func.coalesce(select(func.max(others.turn)).scalar_subquery(), 0)


def finish_chunk(
    session: Session,
    chunk: Chunk,
    found: Sequence[dict[str, Any]],
    engine: dict[str, Any] | None = None,
    distribution: Distribution | None = None,
) -> bool:
    """Write a chunk's predictions, counters and end, all or nothing. False: the attempt is not current, roll back.

    `engine` is what the worker ran the model with, `distribution` what the pictures are like.
    """
    job = jobs.lock(session, chunk.job_id)
    if not end_chunk(session, chunk, JobStatus.SUCCEEDED):
        return False
    rows = prediction_rows.write(session, job, found)
    if distribution is not None and job.kind == JobKind.BATCH:
        drift.add(session, job, distribution)
    count(session, chunk.job_id, rows, engine=engine)
    settle(session, chunk.job_id)
    return True


def fail_chunk(session: Session, chunk: Chunk, error: TsukijiError) -> bool:
    """End a chunk with an error for each of its images; the batch goes on. If its model is gone, the batch ends."""
    job = jobs.lock(session, chunk.job_id)
    if isinstance(error, ModelGone):
        return jobs.fail(session, chunk.job_id, error)  # finished predictions are kept
    if not end_chunk(session, chunk, JobStatus.FAILED):
        return False
    why = {"error": error.to_dict()}
    rows = [blank_prediction(seq) | why for seq in range(chunk.first_seq, chunk.last_seq + 1)]
    prediction_rows.write(session, job, rows)
    count(session, chunk.job_id, rows)
    settle(session, chunk.job_id)
    return True


def cancel_chunk(session: Session, chunk: Chunk) -> bool:
    """End a chunk whose batch is being cancelled."""
    jobs.lock(session, chunk.job_id)
    ended = end_chunk(session, chunk, JobStatus.CANCELLED)
    settle(session, chunk.job_id)
    return ended


def blank_prediction(seq: int) -> dict[str, Any]:
    """Return a prediction row with every column, for executemany."""
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
    """End a planned batch after its last chunk; an evaluation is queued for measuring instead."""
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
        # Attempts used by planning do not count.
        fresh: dict[str, Any] = {"max_attempts": Job.attempt + Job.max_attempts}
        jobs.move(session, job_id, JobStatus.QUEUED, phase=MEASURING, why="classified", **jobs.FREE, **fresh)
    elif jobs.move(session, job_id, JobStatus.SUCCEEDED) and job.kind == JobKind.BATCH:
        drift.conclude(session, job_id)
        guarantees.conclude(session, job_id)


def reasons(session: Session, job_id: str) -> dict[str, int]:
    """Return the error codes of a batch with their image counts, most frequent first."""
    code = Prediction.error["code"].as_string()
    query = select(code, func.count()).where(Prediction.job_id == job_id, Prediction.label.is_(None))
    return {row[0]: row[1] for row in session.execute(query.group_by(code).order_by(func.count().desc()))}


def end_chunk(session: Session, chunk: Chunk, status: JobStatus) -> bool:
    return jobs.write(session, Chunk, *chunk.fence, status=status, **jobs.FREE)
