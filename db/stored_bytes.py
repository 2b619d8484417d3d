"""Quotas of stored bytes: how much a project may keep in the store.

A project stores the blobs that its rows name, each once, and what its unfinished uploads announced. A transaction ends
by adding what it stored to the counter of its project, whose row is locked from then on: two at once cannot exceed the
quota together. The counter is never too low. Before it says no, the rows are counted, which have neither what was
deleted nor what was sent again.
"""

from typing import Final

from sqlalchemy import ColumnElement, Table, func, select, union, update
from sqlalchemy.orm import Session

from db.models import Base, Blob, Project, Upload
from tsukiji.errors import StorageQuotaExceeded

STORED: Final = "stored_bytes"
SENT: Final = "sent_bytes"
UNSYNCED: Final = {"synchronize_session": False}


def note(session: Session, size: int, *, made: bool = False) -> None:
    """Count bytes of this transaction.

    Args:
        session: of the transaction.
        size: in bytes.
        made: they are the outcome of work, which is not refused when it is done: what comes afterwards is.
    """
    session.info[STORED] = session.info.get(STORED, 0) + size
    session.info[SENT] = session.info.get(SENT, False) or not made


def settle(session: Session, project_id: str) -> None:
    """Add what the transaction stored to the project's counter, as its last statement.

    Raises:
        StorageQuotaExceeded: something was sent that does not fit.
    """
    size, sent = session.info.pop(STORED, 0), session.info.pop(SENT, False)
    if not size:
        return
    quota_kept = (Project.id == project_id, Project.max_stored_bytes.is_not(None))
    added = update(Project).where(*quota_kept).values(stored_bytes=Project.stored_bytes + size)
    row = session.execute(added.returning(Project.max_stored_bytes, Project.stored_bytes), execution_options=UNSYNCED)
    for quota, stored in row.all():
        if quota is not None and (stored is None or stored > quota):
            session.flush()
            exact = count(session, project_id)
            session.execute(update(Project).where(*quota_kept).values(stored_bytes=exact), execution_options=UNSYNCED)
            if sent and exact > quota:
                raise exceeded(quota, exact - size)


def check(session: Session, project_id: str, size: int = 1) -> None:
    """Check that this many bytes would fit, before they are sent.

    Raises:
        StorageQuotaExceeded
    """
    query = select(Project.max_stored_bytes, Project.stored_bytes).where(Project.id == project_id)
    for quota, stored in session.execute(query).all():
        if quota is not None and (stored is None or stored + size > quota):
            exact = count(session, project_id)
            if exact + size > quota:
                raise exceeded(quota, exact)


def exceeded(quota: int, stored: int) -> StorageQuotaExceeded:
    left = max(0, quota - stored)
    return StorageQuotaExceeded(f"This project may store {quota:,} bytes; {left:,} are left.", quota=quota, left=left)


def count(session: Session, project_id: str) -> int:
    """Return the bytes that a project stores, by its rows."""
    tables = Base.metadata.tables.values()
    named = union(
        *(
            select(key.parent).where(of_project(table, project_id))
            for table in tables
            for key in table.foreign_keys
            if key.column.table is Blob.__table__
        )
    )
    blobs, uploads = Blob.__table__.c, Upload.__table__.c
    stored = select(func.coalesce(func.sum(blobs.bytes), 0)).where(blobs.sha256.in_(named))
    unfinished = select(func.coalesce(func.sum(uploads.bytes), 0)).where(
        uploads.project_id == project_id, uploads.blob_sha256.is_(None)
    )
    return sum(int(session.scalar(query) or 0) for query in (stored, unfinished))


def of_project(table: Table, project_id: str) -> ColumnElement[bool]:
    """Return whether a row belongs to a project, itself or by the data set, model or job that it is of."""
    if "project_id" in table.c:
        return table.c.project_id == project_id
    return next(
        key.parent.in_(select(key.column).where(key.column.table.c.project_id == project_id))
        for key in table.foreign_keys
        if "project_id" in key.column.table.c
    )
