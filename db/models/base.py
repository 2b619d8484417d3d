"""The declarative base, and the types of columns that several areas share."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from db.clock import Timestamp
from tsukiji.jobs import JobKind, JobStatus
from tsukiji.labels import MAX_SET_BYTES

Json = JSON().with_variant(JSONB(), "postgresql")
Identity = BigInteger().with_variant(Integer(), "sqlite")  # SQLite auto-increments only INTEGER
LabelText = String(MAX_SET_BYTES)
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, values: type[JobStatus | JobKind] | tuple[str, ...]) -> str:
    """Return a CHECK that a column holds one of these values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {datetime: Timestamp, dict[str, Any]: Json, list[str]: Json, list[int]: Json, list[Any]: Json}  # noqa: RUF012 - SQLAlchemy's own class attribute
