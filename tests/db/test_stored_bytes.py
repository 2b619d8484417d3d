"""Quotas of stored bytes, in both databases."""

import threading

import pytest
from sqlalchemy import delete, select, update

from db import registry, stored_bytes
from db.curation import datasets
from db.curation.datasets import NewImage
from db.jobs import uploads
from db.models import DEFAULT_PROJECT, Base, Blob, Image, Project
from tsukiji.errors import StorageQuotaExceeded


@pytest.fixture
def dataset(database):
    with database.transaction() as session:
        return datasets.create(session, "sushi").id


@pytest.fixture
def quota(database):
    """Give the default project a quota."""

    def quota(size):
        with database.transaction() as session:
            session.execute(update(Project).values(max_stored_bytes=size, stored_bytes=None))

    yield quota
    quota(None)


def image(number, size=10):
    facts = {"width": 1, "height": 1, "format": "png", "phash": None, "miniature": None}
    named = {"name": f"{number}.png", "label": None, "split": None}
    return NewImage(sha256=f"{number:064x}", bytes=size, **named, **facts)


def send(database, dataset, *images):
    with database.transaction() as session:
        datasets.add_images(session, dataset, images)


def stored(database):
    with database.reading() as session:
        return stored_bytes.count(session, DEFAULT_PROJECT)


def test_what_does_not_fit_is_refused_as_a_whole(database, dataset, quota):
    quota(35)
    send(database, dataset, image(1), image(2))
    with pytest.raises(StorageQuotaExceeded, match="may store 35 bytes; 15 are left") as caught:
        send(database, dataset, image(3), image(4))
    assert caught.value.extra == {"quota": 35, "left": 15}
    assert stored(database) == 20
    send(database, dataset, image(3))
    with database.reading() as session:
        stored_bytes.check(session, DEFAULT_PROJECT, 5)
        with pytest.raises(StorageQuotaExceeded, match="5 are left"):
            stored_bytes.check(session, DEFAULT_PROJECT, 6)


def test_what_was_deleted_or_sent_again_does_not_count(database, dataset, quota):
    quota(20)
    send(database, dataset, image(1), image(2))
    send(database, dataset, image(1), image(2))
    with database.transaction() as session:
        session.execute(delete(Image).where(Image.sha256 == image(1).sha256))
    send(database, dataset, image(3))
    assert stored(database) == 20
    with pytest.raises(StorageQuotaExceeded):
        send(database, dataset, image(4))


def test_a_picture_in_two_data_sets_counts_once(database, dataset, quota):
    with database.transaction() as session:
        other = datasets.create(session, "fish").id
    quota(10)
    send(database, dataset, image(1))
    send(database, other, image(1))
    assert stored(database) == 10


def test_requests_at_once_do_not_exceed_it(database, dataset, quota):
    quota(30)
    outcomes = []

    def one(number):
        try:
            send(database, dataset, image(number))
            outcomes.append(True)
        except StorageQuotaExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 3
    assert stored(database) == 30


def test_outcomes_of_work_are_kept_and_what_comes_afterwards_is_refused(database, dataset, quota):
    quota(30)
    with database.transaction() as session:
        registry.add_snapshot(session, dataset, "a" * 64, 40, 1)
    assert stored(database) == 40
    with pytest.raises(StorageQuotaExceeded, match="0 are left"):
        send(database, dataset, image(1, size=1))


def test_unfinished_uploads_count_as_announced(database, dataset, quota):
    quota(50)
    with database.transaction() as session:
        uploads.add(session, "upl_1", 1, name="a.zip", bytes=45, part_bytes=45, token="")
    with pytest.raises(StorageQuotaExceeded, match="5 are left"):
        send(database, dataset, image(1))
    with database.transaction() as session:
        assert uploads.complete(session, "upl_1", 1, "b" * 64, 45)
    assert stored(database) == 45
    with database.transaction() as session:
        uploads.remove(session, "upl_1")
    send(database, dataset, image(1))


def test_what_another_project_stores_does_not_count(database, dataset, quota):
    send(database, dataset, image(1))
    with database.reading() as session:
        assert stored_bytes.count(session, "prj_other") == 0


def test_every_table_that_names_blobs_is_counted_for_some_project():
    for table in Base.metadata.tables.values():
        if any(key.column.table is Blob.__table__ for key in table.foreign_keys):
            assert stored_bytes.of_project(table, "prj_1") is not None


def test_without_a_quota_nothing_is_counted(database, dataset):
    send(database, dataset, image(1))
    with database.reading() as session:
        assert session.scalars(select(Project.stored_bytes)).all() == [None]
        stored_bytes.check(session, DEFAULT_PROJECT, 10**15)
