"""The database's clock, used for all leases and deadlines: workers' clocks may be wrong."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Float, String, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

SQLITE_FORMAT = "%Y-%m-%d %H:%M:%f"  # strftime's %f is seconds with milliseconds; sorts as text


class Timestamp(TypeDecorator[datetime]):
    """An instant in UTC: `timestamptz` in PostgreSQL, sortable text with milliseconds in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite: SQLAlchemy's DateTime would misread milliseconds."""
        return dialect.type_descriptor(String(23) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write an aware instant."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read an aware instant."""
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return value if value is None else value.astimezone(UTC)


class now(FunctionElement[datetime]):  # noqa: N801 - used in SQL expressions like `func.now()`
    """The database's clock when the statement runs, plus `seconds` (may be negative)."""

    type = Timestamp()
    inherit_cache = True  # the seconds are a bound parameter, so statements are compiled once

    def __init__(self, seconds: float = 0) -> None:
        seconds = round(float(seconds), 3)  # smaller values would be written as 1e-05; SQLite has milliseconds anyway
        super().__init__(*([literal(seconds, Float())] if seconds else []))


class now_plus(FunctionElement[datetime]):  # noqa: N801 - as above
    """The database's clock plus the days in a column of the same row; null where that is null."""

    type = Timestamp()
    inherit_cache = True

    def __init__(self, days: ColumnElement[float | None]) -> None:
        super().__init__(days)


@compiles(now_plus, "postgresql")
def _postgresql_plus(element: now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => 86400 * {compiler.process(element.clauses, **kw)}))"


@compiles(now_plus, "sqlite")
def _sqlite_plus(element: now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('{SQLITE_FORMAT}', 'now', (86400.0 * {compiler.process(element.clauses, **kw)}) || ' seconds')"


class today(FunctionElement[str]):  # noqa: N801 - as above
    """The day of the database's clock, in UTC, as `2026-01-31`."""

    type = String(10)
    inherit_cache = True


@compiles(today, "postgresql")
def _postgresql_today(_element: today, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


@compiles(today, "sqlite")
def _sqlite_today(_element: today, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "strftime('%Y-%m-%d', 'now')"


class epoch(FunctionElement[float]):  # noqa: N801 - as above
    """The database's clock when the statement runs, in seconds since 1970."""

    type = Float()
    inherit_cache = True


@compiles(epoch, "postgresql")
def _postgresql_epoch(_element: epoch, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(epoch, "sqlite")
def _sqlite_epoch(_element: epoch, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    if not len(element.clauses):
        return "clock_timestamp()"
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    if not len(element.clauses):
        return f"strftime('{SQLITE_FORMAT}', 'now')"
    return f"strftime('{SQLITE_FORMAT}', 'now', {compiler.process(element.clauses, **kw)} || ' seconds')"
