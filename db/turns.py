"""Whose turn it is: any number of workers take chunks of any number of batches, and no batch keeps another waiting.

The highest priority first; among equals the batch that was served least recently. Turns are counted, not timed: a clock
that jumps makes nobody wait. A batch that is new joins as if it had just been served, but before whoever had: it waits
for one turn of each other batch at most, and however many new ones come, the old ones get theirs.
"""

import math
from typing import Final

from sqlalchemy import ColumnElement, Select, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from db import batches, jobs, workers
from db.batches import OPEN, Work
from db.clock import now
from db.models import Chunk, Job
from tsukiji.ids import new_id
from tsukiji.jobs import PRESENT_SECONDS, JobKind, JobStatus, Queue

LEAST_IMAGES: Final = 32
"""A forward pass; a chunk of less is not worth its transaction."""
YIELD_SECONDS: Final = 10


def next_batch(session: Session) -> str | None:
    """Return the batch whose turn it is. Takes no lock, so that a message for nothing costs little."""
    query = fair(select(Job.id).where(has_chunks()))
    return session.scalar(query.limit(1))


def take(session: Session, job: Job, worker: str, lease_seconds: float, images: int | None = None) -> Work | None:
    """Claim the first chunk of a locked batch that waits; None when others have taken all.

    One that is longer than `images` is split: the rest waits on. A chunk that was tried before stays as it is, so that
    what ended a worker cannot hide in an ever longer row of fresh chunks.
    """
    query = select(Chunk).where(Chunk.job_id == job.id, *waits())
    chunk = session.scalar(query.order_by(Chunk.first_seq).limit(1))
    if chunk is None:
        return None
    if images is not None and chunk.attempt == 0:
        split(session, chunk, images)
    return batches.claim_chunk(session, chunk.id, worker, lease_seconds)


def split(session: Session, chunk: Chunk, images: int) -> None:
    """Leave a queued chunk its first images; what is beyond becomes a chunk of its own."""
    last = chunk.first_seq + images - 1
    if last >= chunk.last_seq:
        return
    rest = {"first_seq": last + 1, "last_seq": chunk.last_seq, "max_attempts": chunk.max_attempts}
    session.execute(insert(Chunk).values(id=new_id("chk"), job_id=chunk.job_id, **rest))
    session.execute(update(Chunk).where(Chunk.id == chunk.id).values(last_seq=last))


def hands(session: Session, images: int) -> int:
    """Return how many workers to wake for so many images: those that are there, if each finds something to do."""
    there = workers.count(session, Queue.INFER, PRESENT_SECONDS)
    return max(1, min(there, math.ceil(images / LEAST_IMAGES)))


def unsent_chunks(session: Session, resend_seconds: float, limit: int = 500, *, again: bool = True) -> list[Chunk]:
    """Return the first chunks, so many at most, of each batch for which no message may have woken a worker.

    Urgent ones first. Without `again` only those for which none was ever sent.
    """
    due = jobs.is_due(Job.sent_at, resend_seconds) if again else Job.sent_at.is_(None)
    found = list(session.scalars(fair(select(Job.id).where(has_chunks(), due)).limit(500)))
    first = select(Chunk).where(*waits()).order_by(Chunk.first_seq).limit(limit)
    return [chunk for job_id in found for chunk in session.scalars(first.where(Chunk.job_id == job_id))]


def fair(query: Select[str]) -> Select[str]:
    """Put the batches that go on into the order of their turns, whether all of each is planned or not."""
    return query.where(Job.status.in_(OPEN)).order_by(Job.priority.desc(), Job.turn, Job.age.desc())


def has_chunks() -> ColumnElement[bool]:
    return select(Chunk.id).where(Chunk.job_id == Job.id, *waits()).correlate(Job).exists()


def waits() -> tuple[ColumnElement[bool], ...]:
    """Return what is true of a chunk that may be taken now."""
    # A pause that ends later than any can: the clock was set back.
    rested = or_(Chunk.rests_until.is_(None), Chunk.rests_until < now(), Chunk.rests_until > now(jobs.OUTAGE_SECONDS))
    harmless = or_(Chunk.attempt == 0, ~newcomers())
    return (Chunk.status == JobStatus.QUEUED, Chunk.attempt < Chunk.max_attempts, rested, harmless)


def newcomers() -> ColumnElement[bool]:
    """Return whether batches came a moment ago that nobody has planned yet.

    A chunk that was tried before may end its worker again: whoever is new is planned first, and then has its turn.
    """
    new = aliased(Job)
    moment = new.created_at.between(now(-YIELD_SECONDS), now())
    wait = (new.status == JobStatus.QUEUED, new.planned.is_(False), new.kind.in_([JobKind.BATCH, JobKind.EVALUATION]))
    return select(new.id).where(*wait, moment).exists()
