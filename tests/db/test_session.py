import threading

import pytest
from sqlalchemy import text

from db.curation import datasets


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
