"""Quotas of pictures, in both databases."""

import threading

import pytest
from sqlalchemy import select, update

from db import keys, projects, quotas
from db.models import DEFAULT_PROJECT, ApiKey, Project, Usage
from tsukiji.errors import QuotaExceeded


@pytest.fixture
def key(database):
    """A key that may send ten pictures a day, of a project that may send twelve."""
    with database.transaction() as session:
        session.execute(update(Project).where(Project.id == DEFAULT_PROJECT).values(pictures_per_day=12))
        made = keys.create(session, "camera", pictures_per_day=10)[0]
    yield made
    with database.transaction() as session:
        session.execute(update(Project).where(Project.id == DEFAULT_PROJECT).values(pictures_per_day=None))


def left(database, key):
    with database.reading() as session:
        return {found.quota.whose: found.pictures for found in quotas.left(session, quotas.quotas_of(key))}


def test_pictures_count_for_the_key_and_its_project(database, key):
    with database.transaction() as session:
        quotas.take(session, key, 4)
        quotas.take(session, key, 3)
    assert left(database, key) == {"key": 3, "project": 5}
    with pytest.raises(QuotaExceeded) as caught, database.transaction() as session:
        quotas.take(session, key, 4)
    assert caught.value.extra["quota"] == 10
    assert 0 < caught.value.extra["retry_after_seconds"] <= quotas.DAY_SECONDS
    assert left(database, key) == {"key": 3, "project": 5}, "what was refused did not count"


def test_the_quota_of_a_project_is_shared_by_its_keys(database, key):
    with database.transaction() as session:
        other = keys.create(session, "other")[0]
        quotas.take(session, key, 10)
        with pytest.raises(QuotaExceeded, match="project"):
            quotas.take(session, other, 3)


def test_each_day_has_the_whole_quota(database, key):
    with database.transaction() as session:
        quotas.take(session, key, 10)
        session.execute(update(Usage).values(day="2020-01-01"))
        quotas.check(session, key)
        quotas.forget_old(session)
        assert session.scalars(select(Usage)).all() == []
        quotas.take(session, key, 1)
        quotas.forget_old(session)
        assert len(session.scalars(select(Usage)).all()) == 2, "today's stay"


def test_requests_at_once_do_not_exceed_it(database, key):
    outcomes = []

    def send():
        try:
            with database.transaction() as session:
                quotas.take(session, key, 3)
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 3
    assert left(database, key) == {"key": 1, "project": 3}


def test_without_a_quota_nothing_is_read_or_written(database):
    with database.transaction() as session:
        lab = projects.create(session, "lab").id
        free = keys.create(session, "free", project_id=lab)[0]
        quotas.take(session, free, 1_000_000)
        assert session.scalars(select(Usage)).all() == []
        assert quotas.quotas_of(session.get_one(ApiKey, free.id)) == []
