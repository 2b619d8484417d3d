"""Bulk inserts that bypass the ORM's objects, at half their cost."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from db.models import Base


def insert_rows(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows given as dicts with the same columns; omitted columns get their defaults."""
    session.execute(insert(cast("Table", table.__table__)), rows)
