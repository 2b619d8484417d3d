"""Batches: items, chunks and written results. A chunk takes effect once, however often it runs.

Items and predictions are rows, or of a batch with an `output` files (`db.parts`): then the chunk's row says which, how
many pictures they hold, and why there are none.

A batch may be cut into chunks while it is being planned, so that workers classify the first images while the last are
read. Until then the planner holds the job's lease, and the job's state describes the planning.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache, partial
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from db import blobs, prediction_rows, quotas
from db.bulk import insert_rows
from db.clock import now
from db.items import Item
from db.jobs import drift, guarantees, jobs
from db.models import BatchItem, Chunk, Job, Prediction
from db.paging import Rows, Window, fetch
from db.session import after_commit
from tsukiji.errors import ModelGone, NoImageSucceeded, NotFound, TsukijiError
from tsukiji.ids import new_id
from tsukiji.jobs import CONCLUDING, LISTING, MEASURING, OPEN, JobKind, JobStatus
from tsukiji.vision.drift import Distribution

INSERT_ROWS = 1000
CLASSIFYING = "classifying"
"""The phase of a batch from its first claimed chunk on."""


@dataclass(frozen=True)
class Part:
    """A file with the results of a chunk: what its row tells of it."""

    sha256: str
    bytes: int
    succeeded: int
    errors: dict[str, int] = field(default_factory=dict)
    """Images by error code."""
    groups: list[tuple[str, str | None, int]] = field(default_factory=list)
    """Images by label, or set of labels, and reason for no decision: `db.predictions.results.Group`."""
    url: str | None = None
    """Where it is, unless in the store."""

    @property
    def errored(self) -> int:
        return sum(self.errors.values())


def has_parts(job: Job) -> bool:
    """Return whether a job's items and results are files."""
    return job.request.get("output") is not None


def add_items(session: Session, job_id: str, items: Sequence[dict[str, Any]], first_seq: int = 0) -> None:
    """Insert items (custom_id, sha256, crop, true_label, error) with consecutive `seq`.

    Their blobs must have rows already.
    """
    blank = {"job_id": job_id, "crop": None, "true_label": None, "error": None}
    rows = [{**blank, "seq": seq, **item} for seq, item in enumerate(items, first_seq)]
    for start in range(0, len(rows), INSERT_ROWS):
        insert_rows(session, BatchItem, rows[start : start + INSERT_ROWS])


def items_of(session: Session, chunk: Chunk) -> list[Item]:
    """Return the items of a chunk in their order."""
    return items_where(session, chunk.job_id, BatchItem.seq.between(chunk.first_seq, chunk.last_seq))


def items_named(session: Session, job_id: str, seqs: Sequence[int], custom_ids: Sequence[str] = ()) -> list[Item]:
    """Return the items with these numbers or names, last first; all of them if several share a name."""
    return items_where(session, job_id, BatchItem.seq.in_(seqs) | BatchItem.custom_id.in_(custom_ids))[::-1]


def items_where(session: Session, job_id: str, condition: ColumnElement[bool]) -> list[Item]:
    columns = [getattr(BatchItem, each.name) for each in fields(Item)]
    rows = session.execute(select(*columns).where(BatchItem.job_id == job_id, condition).order_by(BatchItem.seq))
    return [Item(*row) for row in rows]


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


def last_chunk(session: Session, job_id: str) -> Chunk | None:
    """Return the chunk with the last items so far."""
    query = select(Chunk).where(Chunk.job_id == job_id).order_by(Chunk.last_seq.desc())
    return session.scalar(query.limit(1))


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


def add_list(session: Session, job: Job, held: tuple[str, int], first: int, last: int, max_attempts: int) -> None:
    """Add the next chunk of a batch whose items are no rows: those of a list in the store (its hash and bytes).

    A batch that is being cancelled gets none.
    """
    if jobs.lock(session, job.id).cancel_requested_at is not None:
        return
    blobs.keep(session, [held], made=True)
    quotas.count(session, quotas.quotas_of_job(session, job), last + 1 - first)
    span = {"first_seq": first, "last_seq": last, "items_sha256": held[0]}
    insert_rows(session, Chunk, [{"id": new_id("chk"), "job_id": job.id, "max_attempts": max_attempts} | span])
    if not first:
        jobs.change(session, Job.id == job.id, turn=last_turn())


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


@cache  # an alias costs more than the query
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
    count(session, chunk.job_id, len(rows), sum(row["error"] is not None for row in rows), engine=engine)
    settle(session, chunk.job_id)
    return True


def finish_part(
    session: Session, chunk: Chunk, part: Part, engine: dict[str, Any] | None, distribution: Distribution | None
) -> bool:
    """Commit a chunk's part, with the counters and the end, all or nothing; otherwise as `finish_chunk`."""
    job = jobs.lock(session, chunk.job_id)
    held = keep_part(session, part)
    if not end_chunk(session, chunk, JobStatus.SUCCEEDED, part=asdict(part), part_sha256=held):
        return False
    if distribution is not None:
        drift.add(session, job, distribution)
    count(session, chunk.job_id, part.succeeded + part.errored, part.errored, engine=engine)
    after_commit(session, partial(prediction_rows.count_images, part.succeeded, part.errored))
    settle(session, chunk.job_id)
    return True


def fail_chunk(session: Session, chunk: Chunk, error: TsukijiError) -> bool:
    """End a chunk with an error for each of its images; the batch goes on. If its model is gone, the batch ends."""
    job = jobs.lock(session, chunk.job_id)
    if isinstance(error, ModelGone):
        return jobs.fail(session, chunk.job_id, error)  # finished predictions are kept
    if not end_chunk(session, chunk, JobStatus.FAILED, error=error.to_dict()):
        return False
    images = chunk.last_seq + 1 - chunk.first_seq
    if not has_parts(job):
        why = {"error": error.to_dict()}
        rows = [blank_prediction(seq) | why for seq in range(chunk.first_seq, chunk.last_seq + 1)]
        prediction_rows.write(session, job, rows)
    count(session, chunk.job_id, images, images)
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


def count(session: Session, job_id: str, images: int, errored: int, **columns: Any) -> None:
    """Add finished items to the batch's counters, and set columns of it."""
    jobs.change(
        session,
        Job.id == job_id,
        completed=Job.completed + images,
        items_succeeded=Job.items_succeeded + images - errored,
        items_errored=Job.items_errored + errored,
        **columns,
    )


def settle(session: Session, job_id: str) -> None:
    """End a planned batch after its last chunk; an evaluation is queued for measuring instead, parts for listing."""
    open_chunks = select(exists().where(Chunk.job_id == job_id, Chunk.status.in_(OPEN)))
    job = jobs.find(session, job_id)
    if not job.planned or job.phase in CONCLUDING or session.scalar(open_chunks):
        return
    unfinished = job.kind == JobKind.EVALUATION or job.items_succeeded + job.items_errored < job.items_total
    if job.cancel_requested_at is not None and unfinished:
        jobs.move(session, job_id, JobStatus.CANCELLED)
    elif job.items_succeeded == 0:
        error = NoImageSucceeded(reasons=reasons(session, job_id))
        jobs.move(session, job_id, JobStatus.FAILED, error=error.to_dict(), why=error.code)
    elif job.kind == JobKind.EVALUATION or has_parts(job):
        # Attempts used by planning do not count.
        fresh: dict[str, Any] = {"max_attempts": Job.attempt + Job.max_attempts}
        phase = MEASURING if job.kind == JobKind.EVALUATION else LISTING
        jobs.move(session, job_id, JobStatus.QUEUED, phase=phase, why="classified", **jobs.FREE, **fresh)
    elif jobs.move(session, job_id, JobStatus.SUCCEEDED) and job.kind == JobKind.BATCH:
        drift.conclude(session, job_id)
        guarantees.conclude(session, job_id)


def conclude(session: Session, job: Job, drawn: guarantees.Drawn | None) -> bool:
    """End a batch whose parts are listed, with its sample. False: the attempt is not current, roll back."""
    if not jobs.finish(session, job, job.result or {}):
        return False
    drift.conclude(session, job.id)
    if drawn is not None:
        guarantees.keep(session, job.id, drawn)
    return True


def page_of_parts(session: Session, job_id: str, window: Window) -> Rows[Chunk]:
    """Return the chunks that have a part, in their order."""
    return fetch(session, select(Chunk).where(Chunk.job_id == job_id, has_part()), Chunk.first_seq, window)


def part_at(session: Session, job_id: str, first_seq: int) -> Chunk:
    """Return the chunk whose part begins with this image.

    Raises:
        NotFound
    """
    mine = (Chunk.job_id == job_id, Chunk.first_seq == first_seq, has_part())
    if (chunk := session.scalar(select(Chunk).where(*mine))) is None:
        raise NotFound(f"{job_id} has no part that begins with image {first_seq}.")
    return chunk


def has_part() -> ColumnElement[bool]:
    """Return the condition; a null of JSON is one, too."""
    found: ColumnElement[bool] = Chunk.part["sha256"].as_string().is_not(None)
    return found


def failed_chunks(session: Session, job_id: str) -> list[Chunk]:
    """Return the chunks of a batch with parts that have none."""
    mine = (Chunk.job_id == job_id, Chunk.status == JobStatus.FAILED, Chunk.part.is_(None))
    return list(session.scalars(select(Chunk).where(*mine).order_by(Chunk.first_seq)))


def complete_part(session: Session, chunk: Chunk, part: Part) -> None:
    """Give a failed chunk a part with its errors."""
    held = keep_part(session, part)
    session.execute(update(Chunk).where(Chunk.id == chunk.id).values(part=asdict(part), part_sha256=held))


def keep_part(session: Session, part: Part) -> str | None:
    """Record that a part is in the store, if it is; returns the reference to it."""
    if part.url is not None:
        return None
    blobs.keep(session, [(part.sha256, part.bytes)], made=True)
    return part.sha256


def reasons(session: Session, job_id: str) -> dict[str, int]:
    """Return the error codes of a batch with their image counts, most frequent first."""
    if has_parts(jobs.find(session, job_id)):
        return dict(reasons_of_parts(session, job_id).most_common())
    code = Prediction.error["code"].as_string()
    query = select(code, func.count()).where(Prediction.job_id == job_id, Prediction.label.is_(None))
    return {row[0]: row[1] for row in session.execute(query.group_by(code).order_by(func.count().desc()))}


def reasons_of_parts(session: Session, job_id: str) -> Counter[str]:
    """Return the same of a batch with parts, from the rows of its chunks."""
    found: Counter[str] = Counter()
    facts = select(Chunk.part["errors"], Chunk.error["code"].as_string(), Chunk.last_seq + 1 - Chunk.first_seq)
    ended = or_(Chunk.part.is_not(None), Chunk.error.is_not(None))
    for errors, code, images in session.execute(facts.where(Chunk.job_id == job_id, ended)):
        found.update({code: images} if code else errors)
    return found


def end_chunk(session: Session, chunk: Chunk, status: JobStatus, **values: Any) -> bool:
    return jobs.write(session, Chunk, *chunk.fence, status=status, **values, **jobs.FREE)
