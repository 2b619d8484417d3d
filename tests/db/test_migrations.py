import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, inspect, select, text

from db.jobs import jobs, scheduling
from db.models import BatchItem, JobEvent
from db.upgrade import check, downgrade, upgrade
from tsukiji.jobs import Queue


def test_the_migrations_say_what_the_models_say(database, settings):
    check(settings)


def test_down_and_up_again(database, settings):
    downgrade(settings, "base")
    assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}
    upgrade(settings)
    assert "jobs" in inspect(database.engine).get_table_names()


def test_jobs_keep_their_history_and_items_through_every_migration(database, settings, key):
    downgrade(settings, "0001")
    with database.transaction() as session:
        for statement in (
            (
                "INSERT INTO jobs (id, age, kind, status, priority, request, metadata, attempt, max_attempts, unit,"
                " completed, total, planned, items_total, items_succeeded, items_errored, version, created_at)"
                " VALUES ('bat_1', '1', 'batch', 'queued', 0, '{}', '{}', 0, 3, 'images', 0, 1, :yes, 1, 0, 0, 1, :now)"
            ),
            "INSERT INTO job_events (job_id, event, at, attempt, data) VALUES ('bat_1', 'status', :now, 0, '{}')",
            "INSERT INTO batch_items (job_id, seq, custom_id) VALUES ('bat_1', 0, 'a')",
        ):
            values = {"yes": True, "now": datetime.now(UTC).replace(tzinfo=None)}
            session.execute(text(statement), {name: value for name, value in values.items() if f":{name}" in statement})
    upgrade(settings)
    with database.reading() as session:
        assert jobs.find(session, "bat_1").status == "queued"
        assert [event.event for event in session.scalars(select(JobEvent))] == ["status"]
        assert session.scalar(select(BatchItem.custom_id)) == "a"


def test_a_job_that_rests_still_does_and_one_that_was_sent_is_due(database, settings, key):
    downgrade(settings, "0013")
    insert = (
        "INSERT INTO jobs (id, age, kind, status, priority, request, metadata, attempt, max_attempts, unit, completed,"
        " total, planned, turn, items_total, items_succeeded, items_errored, version, created_at, sent_at) VALUES"
        " (:id, :id, 'training', 'queued', 0, '{}', '{}', 1, 3, 'epochs', 0, 1, :no, 0, 0, 0, 0, 1, :now, :sent)"
    )
    moment = datetime.now(UTC).replace(tzinfo=None)
    with database.transaction() as session:
        for name, seconds in (("trn_rests", 50), ("trn_sent", -50)):
            sent = moment + timedelta(seconds=seconds)
            values = {"id": name, "no": False, "now": moment, "sent": sent}
            session.execute(text(insert), values)
    upgrade(settings)
    with database.reading() as session:
        assert jobs.find(session, "trn_rests").rests_until is not None
        assert scheduling.waiting(session, Queue.TRAIN, 9) == ["trn_sent"]


def test_upgrading_twice_changes_nothing(database, settings):
    upgrade(settings)
    database.check()


def test_sqlite_is_set_up_for_several_processes(database):
    if database.engine.dialect.name != "sqlite":
        return  # PostgreSQL needs no such settings
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 15000


FIRST_RELEASE = "0027"
"""Its last migration: what follows runs on tables that are large and in use."""
LARGE = {"images", "batch_items", "predictions", "job_events", "evaluation_items", "import_items", "blobs", "jobs"}
LONG = re.compile(
    r"(?i)^\s*(?:CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)\S+ ON (?P<indexed>\w+)"
    r"|ALTER TABLE (?P<altered>\w+) (?:ALTER COLUMN \w+ (?:TYPE|SET NOT NULL)|ADD CONSTRAINT (?!.*NOT VALID))"
    r"|UPDATE (?P<written>\w+) SET)"
)
"""What locks a table of PostgreSQL for as long as it takes to read or write all of it."""


def locked_for_long(statement):
    """Return the large table that a statement locks for long; None if it locks none."""
    found = LONG.match(statement)
    tables = {name for name in found.groupdict().values() if name} if found else set()
    return next(iter(tables & LARGE), None)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("CREATE INDEX ix_images_x ON images (x)", "images"),
        ("CREATE INDEX CONCURRENTLY ix_images_x ON images (x)", None),
        ("CREATE UNIQUE INDEX uq_aliases ON aliases (name)", None),
        ("ALTER TABLE predictions ALTER COLUMN label TYPE VARCHAR(300)", "predictions"),
        ("ALTER TABLE jobs ADD CONSTRAINT ck_jobs_kind CHECK (kind IN ('a'))", "jobs"),
        ("ALTER TABLE jobs ADD CONSTRAINT ck_jobs_kind CHECK (kind IN ('a')) NOT VALID", None),
        ("ALTER TABLE images ADD COLUMN x INTEGER", None),
        ("UPDATE images SET x=1", "images"),
    ],
)
def test_a_long_lock_is_recognised(statement, table):
    assert locked_for_long(statement) == table


def test_no_migration_since_the_first_release_locks_a_large_table_for_long(database, settings):
    if database.engine.dialect.name == "sqlite":
        return  # it has one writer at a time, and is upgraded with the service stopped
    downgrade(settings, FIRST_RELEASE)
    statements = []
    event.listen(Engine, "before_cursor_execute", note := lambda *run: statements.append(run[2]))
    try:
        upgrade(settings)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any(statement.lstrip().startswith("CREATE TABLE") for statement in statements)
    assert [statement for statement in statements if locked_for_long(statement)] == []
