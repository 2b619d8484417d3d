"""Engines and transactions. One unit of work is one transaction; only this file calls `commit`."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DataError as ValueRefused
from sqlalchemy.exc import IntegrityError as RowExists
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import Session

from db import audit, stored_bytes
from db.audit import Actor
from db.models import DEFAULT_PROJECT, PROJECT_OPTION
from db.outages import DatabaseFull, DatabaseUnavailable, raise_outages
from db.views import View
from tsukiji.kernel.settings import Settings

__all__ = ["Database", "DatabaseFull", "DatabaseUnavailable", "PoolExhausted", "RowExists", "Session", "ValueRefused"]

T = TypeVar("T")

BUSY_SECONDS = 15
SQLITE_CONNECTIONS = 40
"""As many as the API has threads: a new connection sets its pragmas and reads the whole schema first."""
RETRY_SECONDS = 0.5
KEEPALIVE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
"""Seconds, seconds, and how many unanswered ones end a connection: half a minute in all."""
GONE_MILLISECONDS: Final = 30_000
"""The same for one that has sent something."""
AFTER_COMMIT = "after_commit"


def after_commit(session: Session, act: Callable[[], object]) -> None:
    """Do something quick that cannot fail once the transaction is committed, such as counting; nothing if it is not."""
    session.info.setdefault(AFTER_COMMIT, []).append(act)


class Database:
    """One per process: connections do not survive a fork."""

    view: View | None = None
    actor: Actor | None = None
    project: str | None = None
    """Of what is inserted; None: the default project."""

    def __init__(self, settings: Settings) -> None:
        url = make_url(settings.database_url)
        if url.get_backend_name() == "sqlite":
            self.engine = open_sqlite(url.render_as_string(hide_password=False))
        else:
            self.engine = open_postgres(url, settings.database.pool_size)
        raise_outages(self.engine)

    def seen_by(self, view: View | None, actor: Actor | None = None) -> "Database":
        """Return this database with only the rows of a view, and with what an actor writes in the audit log."""
        seen = copy.copy(self)
        seen.view, seen.actor = view, actor
        return seen.within(view.project) if view and view.project else seen

    def within(self, project_id: str) -> "Database":
        """Return this database, in which what is inserted belongs to a project."""
        inside = copy.copy(self)
        inside.project = project_id
        return inside

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A read-write unit of work: committed at the end, rolled back on any error."""
        options = {PROJECT_OPTION: self.project} if self.project else {}
        with (
            self.engine.connect().execution_options(**options) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            if self.view:
                self.view.narrow(session)
            if self.actor:
                audit.watch(session)
            try:
                yield session
                if self.actor:
                    audit.write(session, self.actor)
                stored_bytes.settle(session, self.project or DEFAULT_PROJECT)
                session.commit()
                for act in session.info.pop(AFTER_COMMIT, ()):
                    act()
            except BaseException:
                session.close()
                if connection.dialect.name == "sqlite":
                    # A cursor left unread by the error keeps its old snapshot, and the next BEGIN IMMEDIATE on this
                    # connection would fail: drop it.
                    connection.invalidate()
                raise

    def retry_while_unavailable(self, act: Callable[[Session], T], seconds: float) -> T:
        """Retry a unit of work while the database is unavailable, for up to `seconds`; returns the result of `act`.

        A commit whose response was lost may have succeeded: `act` must be fenced, so that a second run changes nothing.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.transaction() as session:
                    return act(session)
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_SECONDS)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only unit of work; in SQLite it never waits for a writer."""
        with self.engine.connect().execution_options(reading=True) as connection, Session(connection) as session:
            if self.view:
                self.view.narrow(session)
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A read-only unit of work that sees the rows of one moment, however long it takes; it holds up no writer."""
        options: dict[str, Any] = {"reading": True}
        if self.engine.dialect.name == "postgresql":  # in SQLite every transaction is one
            options["isolation_level"] = "REPEATABLE READ"
        with self.engine.connect().execution_options(**options) as connection, Session(connection) as session:
            yield session

    def check(self) -> None:
        """Raise SQLAlchemy's error if the database does not respond."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


def open_postgres(url: URL, pool_size: int) -> Engine:
    """Open PostgreSQL so that neither end waits for one that vanished: by default that takes hours.

    A machine that loses its power says no good-bye, and what its transactions had locked would stay locked.
    """
    options = {"pool_size": pool_size, "max_overflow": 20, "pool_pre_ping": True, "pool_recycle": 1800}
    engine = create_engine(url, connect_args=KEEPALIVE | {"tcp_user_timeout": GONE_MILLISECONDS}, **options)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        server = {f"tcp_{name}": value for name, value in KEEPALIVE.items()} | {"tcp_user_timeout": GONE_MILLISECONDS}
        connection.autocommit = True  # a setting within a transaction would end with it
        for name, value in server.items():
            connection.execute(f"SET {name} = {value}")
        connection.autocommit = False

    return engine


def open_sqlite(url: str) -> Engine:
    """Open SQLite for several writing processes: WAL, with the write lock taken at the start of a transaction.

    A transaction that reads first and writes later could not wait for the lock, whatever the timeout.
    """
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, pool_size=SQLITE_CONNECTIONS)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we issue BEGIN ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS}000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
