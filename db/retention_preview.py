"""What the dispatcher deletes next, by the rules of retention: counted, and not touched."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from db.blobs import unused
from db.clock import now
from db.jobs.idempotency import KEPT_HOURS
from db.models import (
    AuditEntry,
    Base,
    BatchItem,
    Blob,
    Chunk,
    IdempotencyKey,
    ImportItem,
    Job,
    Upload,
    UploadPart,
    WebhookDelivery,
)
from db.predictions.retention import IMPORTS, KINDS
from tsukiji.jobs import TERMINAL, JobKind
from tsukiji.kernel.settings import Settings

BATCHES: Final = frozenset({JobKind.BATCH})
DAY: Final = 86_400


@dataclass(frozen=True)
class Due:
    """What one rule deletes.

    Attributes:
        kind: what it is.
        rule: the setting with its value.
        count: of jobs whose results are deleted, or of blobs, uploads, deliveries, entries or keys.
        rows: rows of images or files of those jobs; 0 for others.
        bytes: in the store.
        oldest: when the oldest of them ended, expired, or was used last.
    """

    kind: str
    rule: str
    count: int
    rows: int
    bytes: int
    oldest: datetime | None


def preview(session: Session, settings: Settings, days: float = 0) -> Iterator[Due]:
    """Yield what falls due within `days`; 0: what is due now.

    The bytes of pictures are freed `blob_grace_hours` after their rows.
    """
    kept, ahead = settings.retention, DAY * days
    for kind, kinds, setting, limit in (
        ("batches", BATCHES, "TSUKIJI_RETENTION_BATCH_DAYS", kept.batch_days),
        ("predictions and evaluations", KINDS - BATCHES, "TSUKIJI_RETENTION_PREDICTION_DAYS", kept.prediction_days),
        ("imports", IMPORTS, "TSUKIJI_RETENTION_IMPORT_DAYS", kept.import_days),
    ):
        yield results_due(session, kind, f"{setting}={limit:g}", due_jobs(kinds, limit, ahead))
    yield uploads_due(session, f"TSUKIJI_JOBS_UPLOAD_HOURS={settings.jobs.upload_hours:g}", ahead)
    grace = settings.jobs.blob_grace_hours
    unreferenced = (*unused(), Blob.used_at < now(ahead - 3600 * grace))
    yield rows_due(
        session, "unreferenced bytes", f"TSUKIJI_JOBS_BLOB_GRACE_HOURS={grace:g}", Blob.used_at, *unreferenced
    )
    delivered = WebhookDelivery.ended_at < now(ahead - DAY * kept.webhook_days)
    rule = f"TSUKIJI_RETENTION_WEBHOOK_DAYS={kept.webhook_days:g}"
    yield rows_due(session, "webhook deliveries", rule, WebhookDelivery.ended_at, delivered)
    old = (AuditEntry.at < now(ahead - DAY * kept.audit_days),) if kept.audit_days else (AuditEntry.id < 0,)
    yield rows_due(session, "audit entries", f"TSUKIJI_RETENTION_AUDIT_DAYS={kept.audit_days:g}", AuditEntry.at, *old)
    made = IdempotencyKey.created_at
    yield rows_due(session, "idempotency keys", f"{KEPT_HOURS} hours", made, made < now(ahead - 3600 * KEPT_HOURS))


def due_jobs(kinds: frozenset[JobKind], days: float, ahead: float) -> Select[str]:
    """Return the ended jobs whose results fall due within `ahead` seconds: by their own date, or by the setting."""
    own = Job.results_expire_at < now(ahead)
    no_date = and_(Job.retention_days.is_(None), Job.results_expire_at.is_(None), Job.results_deleted_at.is_(None))
    by_setting = and_(Job.finished_at < now(ahead - DAY * days), no_date)
    when = or_(own, by_setting) if days else own
    return select(Job.id).where(Job.kind.in_(kinds), Job.status.in_(TERMINAL), when)


def results_due(session: Session, kind: str, rule: str, mine: Select[str]) -> Due:
    """Count the results of jobs, and the pictures that nothing else refers to."""
    facts = select(func.count(), func.min(Job.finished_at)).where(Job.id.in_(mine))
    count, oldest = session.execute(facts).one()
    rows = sum(
        session.scalar(select(func.count()).select_from(table).where(table.job_id.in_(mine))) or 0
        for table in (BatchItem, ImportItem)
    )
    here = exists().where(BatchItem.sha256 == Blob.sha256, BatchItem.job_id.in_(mine))
    elsewhere = exists().where(BatchItem.sha256 == Blob.sha256, BatchItem.job_id.not_in(mine))
    freed = select(func.coalesce(func.sum(Blob.bytes), 0)).where(here, ~elsewhere, *unused(besides=BatchItem))
    files = select(func.sum(Blob.bytes)).where(exists().where(Chunk.job_id.in_(mine), is_file_of(Chunk)))
    size = sum(int(session.scalar(query) or 0) for query in (freed, files))
    return Due(kind, rule, count, rows, size, oldest)


def is_file_of(chunk: type[Chunk]) -> ColumnElement[bool]:
    """Return whether a blob is the list or the part of a chunk."""
    return or_(chunk.items_sha256 == Blob.sha256, chunk.part_sha256 == Blob.sha256)


def uploads_due(session: Session, rule: str, ahead: float) -> Due:
    late = Upload.expires_at <= now(ahead)
    count, oldest = session.execute(select(func.count(), func.min(Upload.expires_at)).where(late)).one()
    parts = select(func.sum(UploadPart.bytes)).join(Upload, Upload.id == UploadPart.upload_id)
    unfinished = session.scalar(parts.where(late, Upload.completed_at.is_(None)))
    return Due("uploads", rule, count, 0, int(unfinished or 0), oldest)


def rows_due(session: Session, kind: str, rule: str, when: Any, *conditions: ColumnElement[bool]) -> Due:
    table: type[Base] = when.class_
    size = func.sum(Blob.bytes) if table is Blob else func.min(0)
    count, oldest, freed = session.execute(select(func.count(), func.min(when), size).where(*conditions)).one()
    return Due(kind, rule, count, 0, int(freed or 0), oldest)
