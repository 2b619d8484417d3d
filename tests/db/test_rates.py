"""Rates of requests, in both databases."""

import threading

import pytest
from sqlalchemy import select, update

from db import rates
from db.models import Rate
from db.session import Database


@pytest.fixture
def take(database):
    def take(owner, quota):
        with database.transaction() as session:
            return rates.take(session, owner, quota)

    return take


@pytest.fixture
def pass_time(database):
    """Let the rows be as if some seconds had passed."""

    def pass_time(seconds):
        with database.transaction() as session:
            session.execute(update(Rate).values(full_at=Rate.full_at - seconds))

    return pass_time


def test_the_quota_may_be_used_at_once_and_then_comes_back_evenly(take, pass_time):
    assert [take("a", 3).left for _ in range(3)] == [2, 1, 0]
    assert take("a", 3).wait == pytest.approx(20, abs=2)
    assert take("b", 3).left == 2, "each key has its own"
    pass_time(20)
    assert take("a", 3).wait == 0
    assert take("a", 3).wait == pytest.approx(20, abs=2), "a refused request uses nothing"
    pass_time(3600)
    assert take("a", 3).left == 2


def test_processes_share_one_rate(settings):
    """Each with its own connections, at once."""
    outcomes, databases = [], [Database(settings) for _ in range(2)]

    def send(database):
        for _ in range(10):
            with database.transaction() as session:
                outcomes.append(rates.take(session, "a", 8).wait == 0)

    threads = [threading.Thread(target=send, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert (len(outcomes), outcomes.count(True)) == (20, 8)


def test_rows_of_those_who_have_their_whole_rate_are_deleted(database, take, pass_time):
    take("a", 3)
    pass_time(3600)
    take("b", 3)
    with database.transaction() as session:
        rates.forget_old(session)
        assert session.scalars(select(Rate.owner)).all() == ["b"]
