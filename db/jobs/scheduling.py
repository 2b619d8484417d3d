"""Fair scheduling: which work a worker takes next. Highest priority first, then round-robin.

Projects take turns. Within one, jobs of a queue are taken round-robin over keys, oldest job first, and chunks
round-robin over batches: a new batch joins as if it had just been served, ahead of those that really were, so that it
waits for at most one chunk of each other batch, and new batches never starve old ones. Turns are counted, not timed: a
clock that jumps delays no work.
"""

import math
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from db.blobs import upsert
from db.clock import now
from db.jobs import jobs, leases, workers
from db.jobs.leases import Work
from db.models import Chunk, Job, QueueTurn
from db.session import Database
from tsukiji.ids import new_id
from tsukiji.jobs import OPEN, PRESENT_SECONDS, QUEUE_OF, JobKind, JobStatus, Queue
from tsukiji.kernel.settings import JobSettings

LEAST_IMAGES: Final = 32
"""One forward pass; a smaller chunk is not worth its transaction."""
YIELD_SECONDS: Final = 10
KINDS: Final = {queue: [kind for kind in QUEUE_OF if QUEUE_OF[kind] == queue] for queue in Queue}

OF_PROJECT, OF_KEY, NEW = aliased(QueueTurn), aliased(QueueTurn), aliased(Job)
"""Made once: an alias costs more than the query in which it is used."""

Size = Callable[[Session, Job], int]
"""Returns how many images of a batch to take at once."""


def claim_next(
    database: Database, queue: Queue, worker: str, settings: JobSettings, size: Size | None = None
) -> Work | None:
    """Claim the next job or chunk of a queue; None if nothing is due.

    If other workers claim it first, it tries the next until none is left. Searching takes no lock, so a superfluous
    notification costs little.
    """
    while True:
        with database.reading() as session:
            job_id = session.scalar(due(queue).limit(1))
        if job_id is None:
            return None
        with database.transaction() as session:
            if work := take(session, queue, job_id, worker, settings, size):
                return work


def due(queue: Queue) -> Select[str]:
    """Return the jobs that are due, or have due chunks, in the order in which they are served."""
    if queue == Queue.INFER:
        chunks = select(Chunk.id).where(Chunk.job_id == Job.id, *due_chunks()).correlate(Job).exists()
        batches = select(Job.id).outerjoin(OF_PROJECT, turn_of(OF_PROJECT, queue, Job.project_id))
        first = (Job.priority.desc(), func.coalesce(OF_PROJECT.turn, 0))
        return batches.where(Job.status.in_(OPEN), chunks).order_by(*first, Job.turn, Job.age.desc())
    mine = select(Job.id).outerjoin(OF_PROJECT, turn_of(OF_PROJECT, queue, Job.project_id))
    mine = mine.outerjoin(OF_KEY, turn_of(OF_KEY, queue, func.coalesce(Job.created_by, "")))
    turns = (func.coalesce(turn, 0) for turn in (OF_PROJECT.turn, OF_KEY.turn))
    due_ones = mine.where(Job.kind.in_(KINDS[queue]), *leases.waits(Job), leases.rested(Job))
    return due_ones.order_by(Job.priority.desc(), *turns, Job.age)


def turn_of(table: Any, queue: Queue, owner: Any) -> ColumnElement[bool]:
    return and_(table.queue == queue, table.key_id == owner)


def due_chunks() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a due chunk."""
    return (*leases.waits(Chunk), leases.rested(Chunk), or_(Chunk.attempt == 0, ~newcomers()))


def newcomers() -> ColumnElement[bool]:
    """Return whether there are new batches that no worker has planned yet.

    A retried chunk may kill its worker again, so new batches are planned before it is tried.
    """
    moment = NEW.created_at.between(now(-YIELD_SECONDS), now())
    wait = (NEW.status == JobStatus.QUEUED, NEW.planned.is_(False), NEW.kind.in_([JobKind.BATCH, JobKind.EVALUATION]))
    return select(NEW.id).where(*wait, moment).exists()


def take(
    session: Session, queue: Queue, job_id: str, worker: str, settings: JobSettings, size: Size | None = None
) -> Work | None:
    """Claim a due job, or its first due chunk; None if another worker was faster.

    A chunk of more images than `size` allows is split, and the rest stays queued. A retried chunk is not split, so that
    a poisonous one uses up its attempts instead of hiding among ever new chunks.
    """
    if queue != Queue.INFER:
        hours = settings.training_hours
        job = leases.claim(session, Job, job_id, worker, settings.lease_seconds, 3600 * hours)
        if isinstance(job, Job):
            count_turn(session, queue, job.project_id, job.created_by or "")
        return job
    job = jobs.lock(session, job_id)
    chunk = session.scalar(
        select(Chunk).where(Chunk.job_id == job_id, *due_chunks()).order_by(Chunk.first_seq).limit(1)
    )
    if chunk is None:
        return None
    if size is not None and chunk.attempt == 0:
        split(session, chunk, size(session, job))
    claimed = leases.claim(session, Chunk, chunk.id, worker, settings.lease_seconds)
    if claimed is not None:
        count_turn(session, queue, job.project_id)
    return claimed


def count_turn(session: Session, queue: Queue, *owners: str) -> None:
    """Record that a project, and a key of it, had their turn."""
    last = session.scalar(select(func.max(QueueTurn.turn)).where(QueueTurn.queue == queue)) or 0
    for owner in owners:
        row = upsert(session, QueueTurn).values(queue=queue, key_id=owner, turn=last + 1)
        session.execute(row.on_conflict_do_update(index_elements=["queue", "key_id"], set_={"turn": last + 1}))


def split(session: Session, chunk: Chunk, images: int) -> None:
    """Cut a queued chunk down to its first images; the rest becomes a new chunk."""
    last = chunk.first_seq + images - 1
    if last >= chunk.last_seq:
        return
    rest = {
        "first_seq": last + 1,
        "last_seq": chunk.last_seq,
        "max_attempts": chunk.max_attempts,
        "items_sha256": chunk.items_sha256,
    }
    session.execute(insert(Chunk).values(id=new_id("chk"), job_id=chunk.job_id, **rest))
    session.execute(update(Chunk).where(Chunk.id == chunk.id).values(last_seq=last))


# --- notifications ---------------------------------------------------------------------------------------------------


def workers_to_wake(session: Session, images: int) -> int:
    """Return how many workers to notify about this many images: no more than are alive, or can get a chunk."""
    there = workers.count(session, Queue.INFER, PRESENT_SECONDS)
    return max(1, min(there, math.ceil(images / LEAST_IMAGES)))


def waiting(session: Session, queue: Queue, limit: int) -> list[str]:
    """Return the ids of the first due jobs or chunks, up to `limit`."""
    found = list(session.scalars(due(queue).limit(limit)))
    if queue != Queue.INFER:
        return found
    first = select(Chunk.id).where(*due_chunks()).order_by(Chunk.first_seq).limit(limit)
    return [chunk for job_id in found for chunk in session.scalars(first.where(Chunk.job_id == job_id))][:limit]
