"""Drift of batches: counts of each chunk added up, and tested when the batch has succeeded (`tsukiji.vision.drift`)."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import webhooks
from db.jobs import jobs
from db.models import BatchDrift, Job, Model
from db.paging import Rows, Window, fetch
from tsukiji.vision.drift import LEVEL, Distribution, HeldOut, judge

EVENT = "model.drift"


def add(session: Session, job: Job, found: Distribution) -> None:
    """Add a chunk's counts to its batch, in the transaction that ends the chunk; the batch's row must be locked."""
    row = session.get(BatchDrift, job.id, populate_existing=True)
    if row is not None:
        row.distribution = (Distribution.from_bytes(row.distribution) + found).to_bytes()
    elif job.model_id is not None:
        session.add(BatchDrift(job_id=job.id, model_id=job.model_id, distribution=found.to_bytes()))
    session.flush()


def conclude(session: Session, job_id: str) -> None:
    """Test a batch that has succeeded; tell its history and webhooks if it has drifted."""
    row = session.get(BatchDrift, job_id, populate_existing=True)
    held_out = None if row is None else held_out_of(session, row.model_id)
    if row is None or held_out is None:
        return
    found = Distribution.from_bytes(row.distribution)
    verdict = judge(found, held_out)
    facts = {"strange": verdict.strange, "expected": round(verdict.expected, 1), "p_value": verdict.p_value}
    values = facts | {"expected": verdict.expected, "exceeded": verdict.exceeded}
    session.execute(update(BatchDrift).where(BatchDrift.job_id == job_id).values(**values))
    if verdict.exceeded:
        told = {"images": found.images, **facts}
        jobs.record(session, job_id, "log", {"message": "more strange pictures than were held out", **told})
        webhooks.emit(session, jobs.find(session, job_id).project_id, EVENT, lambda: describe(session, row, told))


def describe(session: Session, row: BatchDrift, told: dict[str, Any]) -> dict[str, Any]:
    """Return what webhooks are told."""
    links = {"self": f"/v1/models/{row.model_id}/drift", "batch": f"/v1/batches/{row.job_id}"}
    name = session.scalar(select(Model.name).where(Model.id == row.model_id))
    return {"model_id": row.model_id, "model": name, "batch_id": row.job_id, **told, "level": LEVEL, "links": links}


def held_out_of(session: Session, model_id: str) -> HeldOut | None:
    """Return the distribution of the pictures that a model's training held out; None for models of earlier versions."""
    kept = session.scalar(select(Model.held_out).where(Model.id == model_id))
    return None if kept is None else HeldOut.model_validate(kept)


def page(session: Session, model_id: str, window: Window) -> Rows[BatchDrift]:
    """Return those of a model's batches that the reader sees, newest first."""
    query = select(BatchDrift).join(Job, Job.id == BatchDrift.job_id).where(BatchDrift.model_id == model_id)
    return fetch(session, query, BatchDrift.job_id, window, newest=True)


def of_batch(session: Session, job_id: str) -> BatchDrift | None:
    return session.get(BatchDrift, job_id, populate_existing=True)
