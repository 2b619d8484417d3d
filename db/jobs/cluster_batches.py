"""Batches that a cluster of the user's own runs and reports: `worker.ray_batches` is such a program.

The program holds the job's lease as a worker would, by reporting. It has one attempt: if it falls silent, the job fails
with what was reported until then, as no worker of the service can go on with it.
"""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import quotas
from db.clock import now
from db.jobs import batches, jobs, leases
from db.jobs.batches import CLASSIFYING, Part
from db.models import Chunk, Job
from tsukiji.errors import Invalid, JobNotRunning
from tsukiji.ids import new_id
from tsukiji.jobs import JobStatus
from tsukiji.vision.drift import Distribution

OWNER: Final = "cluster"
LEASES: Final = 2
"""A program reports less often than a worker."""


def begin(session: Session, job: Job, lease_seconds: float) -> None:
    """Give a new job's lease to its program."""
    jobs.change(session, Job.id == job.id, max_attempts=1, phase=CLASSIFYING)
    leases.claim(session, Job, job.id, OWNER, LEASES * lease_seconds)


def renew(session: Session, job_id: str, lease_seconds: float) -> Job:
    """Lock a job that a program still runs, and renew its lease.

    Raises:
        JobNotRunning: it has ended, or another worker has it.
    """
    job = jobs.lock(session, job_id)
    values = {"lease_expires_at": now(LEASES * lease_seconds)}
    if job.lease_owner != OWNER or not leases.hold(session, job, **values):
        raise JobNotRunning(f"The job {job_id} is {job.status}: no program runs it any more.")
    return job


def add_part(session: Session, job: Job, first: int, part: Part, seen: Distribution | None) -> None:
    """Record a part of the images from `first` on, unless it was reported before."""
    if session.scalar(select(Chunk.id).where(Chunk.job_id == job.id, Chunk.first_seq == first)) is not None:
        return
    images = part.succeeded + part.errored
    quotas.count(session, quotas.quotas_of_job(session, job), images)
    held: dict[str, Any] = {"status": JobStatus.RUNNING, "attempt": 1, "max_attempts": 1, "lease_owner": OWNER}
    span = {"first_seq": first, "last_seq": first + images - 1, "lease_expires_at": now(60)}
    chunk = Chunk(id=new_id("chk"), job_id=job.id, **span, **held)
    session.add(chunk)
    session.flush()
    batches.finish_part(session, chunk, part, None, seen)


def tell(session: Session, job: Job, images: int | None, engine: dict[str, Any] | None) -> None:
    """Record how many images there are, and what computes them; None: as it was."""
    values: dict[str, Any] = {} if images is None else {"items_total": images, "total": images}
    if engine is not None:
        values["engine"] = engine
    if values:
        jobs.change(session, Job.id == job.id, **values)


def end(session: Session, job: Job) -> None:
    """Release a job whose parts are all reported; it ends once they are listed, or as cancelled.

    Raises:
        Invalid: images are missing, and cancellation was not requested.
    """
    found = jobs.find(session, job.id)
    if found.cancel_requested_at is None and found.completed != found.items_total:
        raise Invalid(f"Of {found.items_total} images, {found.completed:.0f} are reported: the batch is not done.")
    jobs.change(session, Job.id == job.id, planned=True, phase=None, **jobs.FREE)
    batches.settle(session, job.id)
