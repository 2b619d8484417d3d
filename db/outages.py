"""Which database errors are outages, by the drivers' own codes: worth retrying.

An error in our SQL (SQLite: no such column) is an `OperationalError` too, but retrying it would only hide it.
"""

import sqlite3
from typing import Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError

SQLITE_OUTAGES: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,  # a file system remounted read-only after a disk error
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,  # lost the race for a lock
}
"""Primary result codes."""
POSTGRES_OUTAGES: Final = (
    "08",  # connection exception
    "25006",  # read only: connected to a server that is no longer the primary
    "40001",  # serialization failure
    "40P01",  # deadlock detected
    "53000",  # insufficient resources
    "53100",  # disk full
    "53200",  # out of memory
    "53300",  # too many connections
    "55P03",  # lock not available
    "57P01",  # admin shutdown
    "57P02",  # crash shutdown
    "57P03",  # cannot connect now
    "57P05",  # idle session timeout
    "58030",  # input or output error
)
"""Prefixes of SQLSTATEs. A cancelled slow query (57014) or a too long text (54000) is no outage."""
POSTGRES_DISK_FULL: Final = "53100"


class DatabaseUnavailable(OperationalError):
    """The database is down, busy or out of a resource; a retry may succeed. `orig` is the driver's error."""


class DatabaseFull(DatabaseUnavailable):
    """The database's disk is full."""


def raise_outages(engine: Engine) -> None:
    """Make an engine raise DatabaseUnavailable for outages, also while connecting; other errors are unchanged."""

    @event.listens_for(engine, "handle_error")
    def handle(context: ExceptionContext) -> DatabaseUnavailable | None:
        error = context.sqlalchemy_exception
        if not isinstance(error, DBAPIError) or error.orig is None:
            return None
        if not (context.is_disconnect or is_outage(error)):
            return None
        kind = DatabaseFull if is_disk_full(error.orig) else DatabaseUnavailable
        return kind(error.statement, error.params, error.orig, connection_invalidated=context.is_disconnect)


def is_outage(error: DBAPIError) -> bool:
    """Return whether the driver's error is an outage."""
    if isinstance(error.orig, sqlite3.Error):
        return _result_code(error.orig) in SQLITE_OUTAGES
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:  # raised by the client: it could not connect, or the connection broke
        return isinstance(error, OperationalError)
    return state.startswith(POSTGRES_OUTAGES)


def is_disk_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return _result_code(error) == sqlite3.SQLITE_FULL
    return getattr(error, "sqlstate", None) == POSTGRES_DISK_FULL


def _result_code(error: sqlite3.Error) -> int | None:
    """Return the primary result code; None for an error raised by Python's module itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
