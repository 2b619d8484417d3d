from sqlalchemy import inspect

from db.upgrade import check, downgrade, upgrade


def test_the_migrations_say_what_the_models_say(database, settings):
    check(settings)


def test_down_and_up_again(database, settings):
    downgrade(settings, "base")
    assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}
    upgrade(settings)
    assert "jobs" in inspect(database.engine).get_table_names()


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
