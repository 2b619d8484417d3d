"""Reference tracking of stored bytes, and garbage collection of unreferenced ones."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db import stored_bytes
from db.clock import now
from db.models import Base, Blob


def upsert(session: Session, table: type[Base]) -> postgresql.Insert:
    """Return the dialect's INSERT with ON CONFLICT support."""
    if session.get_bind().dialect.name == "sqlite":
        return cast("postgresql.Insert", sqlite.insert(table))
    return postgresql.insert(table)


def keep(session: Session, blobs: Iterable[tuple[str, int]], *, made: bool = False) -> None:
    """Record blobs (sha256, size) that are in the store, in the transaction that refers to them.

    They count for the project's quota, which refuses them unless they were `made` here: the outcome of work.
    """
    rows: list[dict[str, Any]] = [{"sha256": sha256, "bytes": size} for sha256, size in sorted(set(blobs))]
    if rows:
        stored_bytes.note(session, sum(row["bytes"] for row in rows), made=made)
        session.execute(
            upsert(session, Blob).on_conflict_do_update(index_elements=[Blob.sha256], set_={"used_at": now()}), rows
        )


def release(session: Session, hashes: Select[str]) -> None:
    """Restart the grace period of these bytes before a reference is removed, for readers that still use them."""
    session.execute(
        update(Blob).where(Blob.sha256.in_(hashes)).values(used_at=now()),
        execution_options={"synchronize_session": False},
    )


def sweep(session: Session, grace_hours: float, limit: int = 500) -> list[str]:
    """Delete rows of blobs unreferenced for longer than the grace period; returns what the store may delete."""
    query = select(Blob.sha256).where(Blob.used_at < now(-3600 * grace_hours), *unused()).limit(limit)
    return forget(session, list(session.scalars(query)))


def forget(session: Session, hashes: list[str]) -> list[str]:
    """Delete the rows of the unreferenced ones of these blobs; returns what the store may delete."""
    statement = delete(Blob).where(Blob.sha256.in_(hashes), *unused()).returning(Blob.sha256)
    return list(session.scalars(statement, execution_options={"synchronize_session": False}))


def unused(besides: type[Base] | None = None) -> list[ColumnElement[bool]]:
    """Return a "not referenced" condition for each table that refers to blobs, except one."""
    references = [
        exists().where(table.c[key.parent.name] == Blob.sha256)
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table is Blob.__table__ and (besides is None or table is not besides.__table__)
    ]
    return [~reference for reference in references]


def sizes_of(session: Session, hashes: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield hash and size of those of these blobs that have a row."""
    for start in range(0, len(hashes), 500):
        query = select(Blob.sha256, Blob.bytes).where(Blob.sha256.in_(hashes[start : start + 500]))
        yield from ((row[0], row[1]) for row in session.execute(query))


def newest(session: Session, most: int) -> list[str]:
    """Return the hashes of the blobs that were used last."""
    return list(session.scalars(select(Blob.sha256).order_by(Blob.used_at.desc()).limit(most)))


def is_kept(session: Session, sha256: str) -> bool:
    """Return whether these bytes have a row again."""
    return session.get(Blob, sha256) is not None
