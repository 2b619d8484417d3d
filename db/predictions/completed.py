"""Predictions made before their job is written: inserted as finished jobs, with the same history as others."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from db import prediction_rows
from db.bulk import insert_rows
from db.clock import now
from db.jobs import jobs
from db.models import Job, JobEvent
from tsukiji.errors import NoImageSucceeded
from tsukiji.jobs import JobStatus


def ended(rows: Sequence[dict[str, Any]], retention_days: float | None) -> dict[str, Any]:
    """Return the columns of a job inserted as finished with these predictions, as `batches.settle` would leave them."""
    reasons = Counter(row["error"]["code"] for row in rows if row["error"])
    errored, total = reasons.total(), len(rows)
    error = NoImageSucceeded(reasons=dict(reasons.most_common())) if errored == total else None
    return {
        "status": JobStatus.FAILED if error else JobStatus.SUCCEEDED,
        "error": error and error.to_dict(),
        "planned": True,
        "completed": total,
        "total": total,
        "items_total": total,
        "items_succeeded": total - errored,
        "items_errored": errored,
        "started_at": now(),
        "finished_at": now(),
        "results_expire_at": now(86400 * retention_days) if retention_days else None,
    }


def add(session: Session, job: Job, rows: Sequence[dict[str, Any]], worker: str) -> list[dict[str, Any]]:
    """Insert the predictions of such a job, and its remaining transitions. Its items must exist.

    Returns the rows as stored.
    """
    kept = prediction_rows.write(session, job, rows)
    why = {"why": job.error["code"]} if job.error else {}
    began = jobs.event_row(job.id, "status", {"status": JobStatus.RUNNING}, worker=worker)
    insert_rows(session, JobEvent, [began, jobs.event_row(job.id, "done", {"status": job.status} | why)])
    jobs.tell_end(session, job.id, JobStatus(job.status))
    return kept
