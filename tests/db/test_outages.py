"""What is an outage, on both databases for real: it is tried again. An error in SQL is not."""

import sqlite3
import threading
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from db.outages import raise_outages
from db.session import Database, DatabaseFull, DatabaseUnavailable
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, Settings

A_WHILE = 60
"""Seconds to insist: a test that takes them has failed by its time."""


@pytest.fixture
def postgres(postgres_url, tmp_path):
    database = Database(Settings(data=DataSettings(dir=tmp_path), database=DatabaseSettings(url=postgres_url)))
    yield database
    database.close()


@pytest.fixture
def sqlite(tmp_path):
    """A file of SQLite that waits for no lock."""
    engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}", connect_args={"timeout": 0})
    raise_outages(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY)")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "sql", ["SELECT no_such_column", "SELECT * FROM no_such_table", "SELEKT 1", "INSERT INTO jobs (id) VALUES (NULL)"]
)
def test_an_error_in_our_sql_is_raised_at_once(database, sql):
    tries = []

    def act(session):
        tries.append(sql)
        session.execute(text(sql))

    with pytest.raises(DBAPIError) as met:
        database.retry_while_unavailable(act, A_WHILE)
    assert not isinstance(met.value, DatabaseUnavailable)
    assert len(tries) == 1
    with database.transaction() as session:
        assert session.scalar(text("SELECT 1")) == 1, "the next one goes on"


@pytest.mark.parametrize("sql", ["SELECT repeat('x', 2000000000)", "SET statement_timeout = 1; SELECT pg_sleep(9)"])
def test_what_postgresql_calls_operational_and_is_our_doing_is_no_outage(postgres, sql):
    with pytest.raises(OperationalError) as met, postgres.reading() as session:
        session.execute(text(sql))
    assert not isinstance(met.value, DatabaseUnavailable)


def test_a_connection_that_the_server_ends_is_an_outage_and_the_next_try_succeeds(postgres):
    found = []

    def act(session):
        process = session.scalar(text("SELECT pg_backend_pid()"))
        if not found:
            with postgres.reading() as other:
                found.append(other.scalar(text(f"SELECT pg_terminate_backend({process}, 5000)")))
        return session.scalar(text("SELECT 'back'"))

    with pytest.raises(DatabaseUnavailable) as met, postgres.transaction() as session:
        act(session)
    assert met.value.connection_invalidated
    found.clear()
    assert postgres.retry_while_unavailable(act, A_WHILE) == "back"


@pytest.mark.parametrize(
    ("state", "outage"),
    [
        ("08006", True),  # connection failure
        ("25006", True),  # read only
        ("40001", True),  # serialization failure
        ("40P01", True),  # deadlock
        ("53100", True),  # disk full
        ("53200", True),  # out of memory
        ("53300", True),  # too many connections
        ("55P03", True),  # lock not available
        ("57P01", True),  # admin shutdown
        ("57P03", True),  # cannot connect now
        ("58030", True),  # input or output error
        ("22P02", False),  # no number
        ("23505", False),  # unique violation
        ("42P01", False),  # no such table
        ("53400", False),  # a limit of the configuration
        ("54000", False),  # more than the program can
        ("57014", False),  # a query cancelled
        ("P0001", False),  # raised by a function
    ],
)
def test_postgresql_tells_them_apart_by_sqlstate(postgres, state, outage):
    with pytest.raises(DBAPIError) as met, postgres.reading() as session:
        session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{state}'; END $$"))
    assert met.value.orig.sqlstate == state
    assert isinstance(met.value, DatabaseUnavailable) is outage
    assert isinstance(met.value, DatabaseFull) is (state == "53100")


def test_a_row_that_another_holds_too_long_is_an_outage_in_postgresql(postgres):
    with postgres.transaction() as session:
        session.execute(text("LOCK TABLE jobs"))
        with postgres.reading() as other:
            other.execute(text("SET lock_timeout = 1"))
            with pytest.raises(DatabaseUnavailable) as met:
                other.execute(text("SELECT count(*) FROM jobs"))
    assert isinstance(met.value.orig, psycopg.errors.LockNotAvailable)


def test_a_server_that_cannot_be_reached_is_an_outage(tmp_path):
    url = "postgresql://nobody@127.0.0.1:1/none"
    database = Database(Settings(data=DataSettings(dir=tmp_path), database=DatabaseSettings(url=url)))
    with pytest.raises(DatabaseUnavailable):
        database.check()


def test_a_database_that_another_writes_is_busy(sqlite):
    with sqlite.connect() as writer, sqlite.connect() as other:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable) as met:
            other.exec_driver_sql("BEGIN IMMEDIATE")
    assert met.value.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY


def test_a_snapshot_that_is_out_of_date_is_told_by_its_extended_code(sqlite):
    with sqlite.connect() as late:
        late.exec_driver_sql("PRAGMA journal_mode = WAL")
        late.exec_driver_sql("BEGIN")
        late.exec_driver_sql("SELECT count(*) FROM things").all()
        with sqlite.begin() as other:
            other.exec_driver_sql("INSERT INTO things VALUES (1)")
        with pytest.raises(DatabaseUnavailable) as met:
            late.exec_driver_sql("INSERT INTO things VALUES (2)")
    assert met.value.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT


def test_a_full_disk_is_an_outage_of_its_own(sqlite):
    with sqlite.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(DatabaseFull):
            connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(1000000)")


def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'missing' / 'rows.db'}")
    raise_outages(engine)
    with pytest.raises(DatabaseUnavailable) as met:
        engine.connect()
    assert met.value.orig.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN


def test_a_file_that_may_not_be_written_is_an_outage(sqlite):
    with sqlite.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(DatabaseUnavailable):
            connection.exec_driver_sql("INSERT INTO things VALUES (1)")


def test_an_interrupted_statement_is_no_outage(sqlite):
    """SQLITE_INTERRUPT: somebody asked for it."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with sqlite.connect() as connection:
        driver = connection.connection.driver_connection
        timer = threading.Timer(0.05, driver.interrupt)
        timer.start()
        with pytest.raises(OperationalError) as met, suppress(DatabaseUnavailable):
            connection.exec_driver_sql(endless)
    assert met.value.orig.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
