"""Quotas of pictures: how many a key, and all keys of a project together, may send on a day (UTC).

Counted in the transaction that takes the pictures in, and only where there is a quota. A counter's row is locked until
that transaction ends, so two requests at once cannot exceed it. Where only a worker sees how many there are, they are
counted then, and what comes afterwards is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.clock import now, today
from db.models import ApiKey, Job, Project, Usage
from tsukiji.errors import QuotaExceeded
from tsukiji.jobs import JobKind

DAY_SECONDS: Final = 86400
COUNTED: Final = frozenset({JobKind.BATCH, JobKind.PREDICTION})
"""Kinds of jobs that classify pictures that were sent, or named, for that alone."""


@dataclass(frozen=True)
class Quota:
    """Of a key or a project (`owner`, its id): pictures in a day."""

    owner: str
    whose: str
    pictures: int


@dataclass(frozen=True)
class Left:
    """What is left of a quota today, in pictures, and for how many seconds."""

    quota: Quota
    pictures: int
    seconds: int


def quotas_of(key: ApiKey) -> list[Quota]:
    """Return the quotas that a key has to keep."""
    return _given((key.id, "key", key.pictures_per_day), (key.project_id, "project", key.project.pictures_per_day))


def _given(*known: tuple[str, str, int | None]) -> list[Quota]:
    return [Quota(owner, whose, pictures) for owner, whose, pictures in known if pictures is not None]


def quotas_of_job(session: Session, job: Job) -> list[Quota]:
    """Return the quotas that the pictures of a job count for."""
    if job.kind not in COUNTED:
        return []
    if job.created_by and (key := session.get(ApiKey, job.created_by)):
        return quotas_of(key)
    return _given((job.project_id, "project", session.get_one(Project, job.project_id).pictures_per_day))


def count(session: Session, quotas: Sequence[Quota], pictures: int) -> None:
    """Count pictures; the key's quota before the project's, so that no two transactions wait for each other."""
    for quota in quotas if pictures else ():
        row = upsert(session, Usage).values(owner=quota.owner, day=today(), pictures=pictures)
        more = {"pictures": Usage.pictures + pictures}
        session.execute(row.on_conflict_do_update(index_elements=[Usage.owner, Usage.day], set_=more))


def left(session: Session, quotas: Sequence[Quota]) -> list[Left]:
    """Return what is left today; less than nothing where it was exceeded."""
    if not quotas:
        return []
    query = select(Usage.owner, Usage.pictures).where(Usage.day == today(), Usage.owner.in_([q.owner for q in quotas]))
    used = {row.owner: row.pictures for row in session.execute(query)}
    seconds = seconds_left(session.scalars(select(now())).one())
    return [Left(quota, quota.pictures - used.get(quota.owner, 0), seconds) for quota in quotas]


def seconds_left(moment: datetime) -> int:
    """Return the seconds until the next day begins, at least 1."""
    tomorrow = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1, round((tomorrow - moment).total_seconds()))


def take(session: Session, key: ApiKey, pictures: int) -> None:
    """Count pictures that a key sends.

    Raises:
        QuotaExceeded: the day's quota does not allow that many; roll the transaction back.
    """
    count(session, quotas_of(key), pictures)
    check(session, key, sent=pictures)


def check(session: Session, key: ApiKey, *, sent: int = 0) -> None:
    """Check that the quotas allow what was counted, or, if nothing was, another picture.

    Args:
        session: of the transaction that counted.
        key: that sends.
        sent: pictures that were counted in this transaction.

    Raises:
        QuotaExceeded
    """
    for found in left(session, quotas_of(key)):
        if found.pictures < (0 if sent else 1):
            quota, before = found.quota, max(0, found.pictures + sent)
            raise QuotaExceeded(
                f"This {quota.whose} may send {quota.pictures:,} pictures a day; {before:,} are left.",
                quota=quota.pictures,
                retry_after_seconds=found.seconds,
            )


def forget_old(session: Session) -> None:
    """Delete the counts of days before today."""
    session.execute(delete(Usage).where(Usage.day < today()), execution_options={"synchronize_session": False})
