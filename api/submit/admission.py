"""Admission of jobs: limits of unfinished jobs, and the job's row. Knows no HTTP and no kind of work."""

from typing import Any, Final

from api.http.idempotency import Once
from api.services import Services
from db import quotas, stored_bytes
from db.jobs import jobs
from db.jobs.requests import (
    JobRequest,
)
from db.models import ApiKey, Job
from db.session import Session
from tsukiji.errors import QueueFull
from tsukiji.jobs import JobKind

LIMIT_OF = {
    JobKind.TRAINING: "trainings",
    JobKind.BATCH: "batches",
    JobKind.PREDICTION: "batches",
    JobKind.IMPORT: "imports",
    JobKind.EVALUATION: "batches",
    JobKind.EXPORT: "imports",
    JobKind.ANALYSIS: "imports",
    JobKind.SUGGESTION: "imports",
}


def create(
    session: Session, services: Services, caller: ApiKey, kind: JobKind, request: JobRequest, **columns: Any
) -> Job:
    attempts = services.settings.jobs.max_attempts
    return jobs.create(session, kind, request=request, max_attempts=attempts, created_by=caller.id, **columns)


def expect_room(session: Session, services: Services, once: Once, kind: JobKind, caller: ApiKey) -> None:
    """Raise QueueFull before any bytes are stored, unless this request created a job before.

    Bytes of a request that is refused later have no row, and remain until the store's reconciliation.
    """
    if not once.is_known(session):
        check_room(session, services, kind, caller)


SENDS: Final = frozenset({JobKind.BATCH, JobKind.PREDICTION, JobKind.IMPORT})
"""Kinds whose pictures count for quotas."""


def check_room(session: Session, services: Services, kind: JobKind, caller: ApiKey) -> None:
    """Raise QueueFull if this key, or all together, have too many unfinished jobs of the kind, QuotaExceeded if no
    picture may be sent today, and StorageQuotaExceeded if nothing more may be stored.

    The error's extra members have the numbers (`unfinished` ones of this key, `limit`), and its oldest job (`oldest`,
    and `position`: how many of the kind are ahead of it in its project).
    """
    if kind in SENDS:
        quotas.check(session, caller)
    stored_bytes.check(session, caller.project_id)
    limits, name = services.settings.limits, LIMIT_OF[kind]
    mine, all_keys = jobs.count_active(session, kind, caller.id)
    for who, count, limit in (
        ("This key has", mine, getattr(limits, f"queued_{name}")),
        ("All keys together have", all_keys, getattr(limits, f"all_queued_{name}")),
    ):
        if count >= limit:
            oldest = jobs.oldest_active(session, kind, caller.id)
            raise QueueFull(
                f"{who} {limit} unfinished jobs of the kind {kind}; no more are allowed.",
                unfinished=min(count, limit),
                limit=limit,
                oldest=oldest and oldest.id,
                position=oldest and jobs.queue_position(session, oldest),
            )
