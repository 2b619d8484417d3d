"""Alembic's entry: runs each migration in its own transaction, one process at a time."""

from alembic import context
from sqlalchemy import Connection, text

from db.models import Base

ADVISORY_LOCK = 7_854_217  # arbitrary, but unused elsewhere


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_type=False,  # JSON, JSONB and our timestamps differ by dialect on purpose
    )
    if connection.dialect.name == "sqlite":
        # Altering a table there means to copy and drop it, and dropping would take along what refers to its rows. The
        # connection is not used for anything else, and the setting can only be changed outside a transaction.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
        connection.commit()
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        if connection.dialect.name == "postgresql":
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})"))
            connection.commit()


run(context.config.attributes["connection"])
