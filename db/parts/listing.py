"""Batches that ended early with parts in a place of the user's own: in the phase `listing` until a log names these."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.clock import now
from db.jobs import jobs, leases
from db.models import Job
from tsukiji.jobs import LISTING, TERMINAL

TRY_SECONDS: Final = 86_400
"""A place that is not reached in this time is left without a log."""


def next_unlisted(session: Session) -> Job | None:
    """Return such a batch, unless the place was away a moment ago."""
    ended = (Job.status.in_(TERMINAL), Job.phase == LISTING, Job.finished_at > now(-TRY_SECONDS))
    waiting = select(Job).where(*ended, Job.results_deleted_at.is_(None), leases.rested(Job))
    return session.scalar(waiting.order_by(Job.finished_at).limit(1))


def end(session: Session, job: Job) -> None:
    """Record that the parts are listed."""
    jobs.change(session, Job.id == job.id, phase=None, rests_until=None)


def put_off(session: Session, job: Job) -> None:
    """Try again later."""
    jobs.change(session, Job.id == job.id, rests_until=now(leases.REST_SECONDS))
