import threading

import pytest
from sqlalchemy import text

from db.curation import datasets
from db.session import KEEPALIVE, Database
from tsukiji.kernel.settings import DatabaseSettings, Settings


def test_an_error_undoes_everything_and_the_next_transaction_goes_on(database):
    unread = []

    def fail():
        with database.transaction() as session:
            datasets.create(session, "pets")
            unread.append(session.execute(text("SELECT 1 UNION SELECT 2")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.transaction() as session:
        datasets.create(session, "birds")
    with database.transaction() as session:
        datasets.create(session, "fish")
    with database.reading() as session:
        assert [row.name for row in datasets.page(session, datasets.Window()).data] == ["fish", "birds"]


def test_postgresql_notices_a_client_that_vanished(postgres_url):
    """Otherwise what a lost machine had locked stays locked for hours."""
    database = Database(Settings(database=DatabaseSettings(url=postgres_url)))
    with database.reading() as session:
        session.rollback()  # a setting of a transaction would be gone
        found = [session.scalar(text(f"SHOW tcp_{name}")) for name in KEEPALIVE]
        assert (found, session.scalar(text("SHOW tcp_user_timeout"))) == (["10", "5", "4"], "30000")
    database.close()


def test_many_writers_at_once_wait_for_each_other(database):
    errors = []

    def write(writer):
        try:
            for number in range(10):
                with database.transaction() as session:
                    rows = datasets.page(session, datasets.Window()).data  # reads first, writes later
                    datasets.create(session, f"{writer}-{number}-{len(rows)}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion shows it
            errors.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.reading() as session:
        assert len(datasets.page(session, datasets.Window(100)).data) == 60
