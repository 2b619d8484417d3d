"""Uploads in parts. A part counts once its row is written; an expired upload is treated as deleted."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, delete, func, select, update
from sqlalchemy.orm import Session

from db import stored_bytes
from db.blobs import keep, release, upsert
from db.clock import now
from db.models import Upload, UploadPart
from db.paging import Rows, Window, fetch
from db.views import EVERYTHING
from tsukiji.errors import NotFound


def add(session: Session, upload_id: str, hours: float, **columns: Any) -> Upload:
    """Insert an upload without parts."""
    upload = Upload(id=upload_id, expires_at=now(3600 * hours), **columns)
    session.add(upload)
    session.flush()
    stored_bytes.note(session, upload.bytes)
    return upload


def find(session: Session, upload_id: str) -> Upload:
    """Return the upload.

    Raises:
        NotFound: no upload has this id, or it has expired.
    """
    upload = session.scalar(select(Upload).where(Upload.id == upload_id, alive()))
    if upload is None:
        raise NotFound(
            f"There is no upload {upload_id!r}.",
            hint="Unfinished uploads expire; start another.",
        )
    return upload


def find_same(session: Session, sha256: str, size: int) -> Upload | None:
    """Return the complete upload of these bytes, or else the newest unfinished one."""
    same = select(Upload).where(Upload.sha256 == sha256, Upload.bytes == size, alive())
    return session.scalar(same.order_by(Upload.completed_at.is_(None), Upload.id.desc()).limit(1))


def page(session: Session, window: Window) -> Rows[Upload]:
    return fetch(session, select(Upload).where(alive()), Upload.id, window, newest=True)


def count_open(session: Session, created_by: str | None = None) -> int:
    """Count the unfinished uploads, of one key or of all."""
    mine = () if created_by is None else (Upload.created_by == created_by,)
    query = select(func.count()).where(Upload.completed_at.is_(None), alive(), *mine)
    return session.scalar(query, execution_options=EVERYTHING) or 0


def parts_of(session: Session, upload_id: str) -> Sequence[UploadPart]:
    query = select(UploadPart).where(UploadPart.upload_id == upload_id).order_by(UploadPart.number)
    return session.scalars(query).all()


def find_part(session: Session, upload_id: str, number: int) -> UploadPart | None:
    return session.get(UploadPart, (upload_id, number))


def confirmed_bytes(session: Session, upload_ids: Sequence[str]) -> dict[str, int]:
    """Return the bytes received, for each upload that has any."""
    query = select(UploadPart.upload_id, func.sum(UploadPart.bytes)).where(UploadPart.upload_id.in_(upload_ids))
    return {row[0]: int(row[1]) for row in session.execute(query.group_by(UploadPart.upload_id))}


def confirm(session: Session, upload_id: str, hours: float, part: dict[str, Any]) -> bool:
    """Record a stored part (number, bytes, sha256, tag). False: the upload is complete or gone."""
    open_one = update(Upload).where(Upload.id == upload_id, Upload.completed_at.is_(None), alive())
    if not changed(session, open_one.values(expires_at=now(3600 * hours))):
        return False
    row = upsert(session, UploadPart).values(upload_id=upload_id, **part)
    session.execute(row.on_conflict_do_update(index_elements=[UploadPart.upload_id, UploadPart.number], set_=part))
    return True


def complete(session: Session, upload_id: str, hours: float, sha256: str, size: int) -> bool:
    """Mark the upload complete. False: another request did so first, or it is gone."""
    keep(session, [(sha256, size)])
    open_one = update(Upload).where(Upload.id == upload_id, Upload.completed_at.is_(None), alive())
    done = {"sha256": sha256, "blob_sha256": sha256, "completed_at": now(), "expires_at": now(3600 * hours)}
    return changed(session, open_one.values(**done))


def remove(session: Session, upload_id: str) -> None:
    """Delete an upload; its bytes go when nothing else refers to them."""
    release(session, select(cast("ColumnElement[str]", Upload.blob_sha256)).where(Upload.id == upload_id))
    session.execute(delete(Upload).where(Upload.id == upload_id))


def expired(session: Session, limit: int = 100) -> list[Upload]:
    """Return expired uploads, which accept no more parts."""
    return list(session.scalars(select(Upload).where(Upload.expires_at <= now()).limit(limit)))


def alive() -> ColumnElement[bool]:
    return Upload.expires_at > now()


def changed(session: Session, statement: Update) -> bool:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1
