"""Stopping jobs and deleting their results: of other keys only with `train`. Knows no HTTP."""

from api.http.access import require_own
from db.jobs import jobs
from db.models import ApiKey
from db.predictions import retention
from db.session import Session
from tsukiji.jobs import JobKind


def cancel(session: Session, caller: ApiKey, job_id: str, kind: JobKind | None = None) -> None:
    """Raises: NotFound, ScopeMissing."""
    require_own(caller, jobs.find(session, job_id, kind))
    jobs.request_cancel(session, job_id, by=caller.id)


def delete_results(session: Session, caller: ApiKey, job_id: str, kind: JobKind | None = None) -> None:
    """Raises: NotFound, ScopeMissing, JobNotDone, Conflict."""
    require_own(caller, jobs.find(session, job_id, kind))
    retention.request_deletion(session, job_id, kind, by=caller.id)
