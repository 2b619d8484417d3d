"""Copies all rows from one database to another: from SQLite on one machine to PostgreSQL, when a service grows."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select, text

from db.jobs import workers
from db.models import Base, Dataset, Job
from db.session import Database, Session
from db.upgrade import upgrade
from tsukiji.errors import Invalid
from tsukiji.kernel.settings import Settings

SLICE: Final = 1000
"""Rows of one statement."""
ABSENT_SECONDS: Final = 60
"""Without a heartbeat of a worker, the service is taken for stopped."""


def copy_database(source: Settings, target: Settings) -> Iterator[tuple[str, int]]:
    """Copy every row in one transaction of the target, which is migrated first; yield each table and its rows.

    The store is left as it is: both databases name the same bytes.

    Raises:
        Invalid: the source's service runs, the two are one, or the target holds data already. Nothing was copied.
    """
    if source.database_url == target.database_url:
        raise Invalid("The target is the database itself.", hint="Name another one with --to.")
    upgrade(source)
    upgrade(target)
    old, new = Database(source), Database(target)
    try:
        with old.reading() as reading, new.transaction() as writing:
            check_stopped(reading)
            check_empty(writing.connection())
            yield from copy_tables(reading.connection(), writing.connection())
    finally:
        old.close()
        new.close()


def check_stopped(session: Session) -> None:
    """Raise Invalid if a worker reported lately."""
    if workers.present(session, ABSENT_SECONDS):
        raise Invalid("The service runs.", hint="Stop it, wait for a minute, and try again.")


def check_empty(target: Connection) -> None:
    """Raise Invalid if there is a data set or a job."""
    for model in (Dataset, Job):
        if target.execute(select(model.id).limit(1)).first():
            raise Invalid("The target has data already.", hint="Name a new, empty database.")


def copy_tables(source: Connection, target: Connection) -> Iterator[tuple[str, int]]:
    tables = Base.metadata.sorted_tables
    for table in reversed(tables):  # the default project, and keys made on trial
        target.execute(table.delete())
    for table in tables:
        copied = 0
        found = source.execution_options(yield_per=SLICE).execute(select(table).order_by(*table.primary_key.columns))
        for rows in found.mappings().partitions(SLICE):
            target.execute(insert(table), [dict(row) for row in rows])
            copied += len(rows)
        renumber(target, table)
        yield table.name, copied


def renumber(target: Connection, table: Table) -> None:
    """Let PostgreSQL count on from the highest number that was copied."""
    column = table.autoincrement_column
    if target.dialect.name == "postgresql" and column is not None:
        highest: Any = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        target.execute(select(func.setval(sequence, highest, text("false"))))
