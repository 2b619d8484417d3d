from datetime import UTC, datetime, timedelta

from sqlalchemy import inspect, select, text

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
