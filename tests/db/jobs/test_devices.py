"""Turns on a device that two queues share, on both databases."""

from itertools import pairwise

from sqlalchemy import update

from db.clock import now
from db.jobs import devices, leases
from db.models import SharedDevice
from tsukiji.jobs import Queue

GPU = "gpu-0"


def take(database, queue, worker=None, lease=30):
    with database.transaction() as session:
        return devices.take(session, GPU, queue, worker or str(queue), lease)


def give_back(database, queue, seconds=1.0):
    with database.transaction() as session:
        devices.give_back(session, GPU, str(queue), seconds)


def is_wanted(database, queue):
    with database.reading() as session:
        return devices.is_wanted(session, GPU, queue)


def test_one_has_it_and_the_other_waits(database):
    assert take(database, Queue.TRAIN) == 0
    assert not is_wanted(database, Queue.TRAIN)
    assert take(database, Queue.INFER) is None
    assert is_wanted(database, Queue.TRAIN)
    give_back(database, Queue.TRAIN, 2.5)
    assert take(database, Queue.TRAIN) is None, "the other has waited"
    assert take(database, Queue.INFER) == 2.5
    assert take(database, Queue.TRAIN) is None


def test_who_is_alone_goes_on_and_on(database):
    for _ in range(3):
        assert take(database, Queue.INFER) is not None
        give_back(database, Queue.INFER)


def test_turns_alternate_while_both_want_them(database):
    turns = []
    for _ in range(6):
        for queue in (Queue.INFER, Queue.TRAIN):
            if take(database, queue) is not None:
                turns.append(queue)
                take(database, Queue.TRAIN if queue == Queue.INFER else Queue.INFER)
                give_back(database, queue)
    assert all(first != second for first, second in pairwise(turns))
    assert len(turns) > 6


def test_what_a_dead_worker_has_is_free_when_its_lease_ends(database):
    take(database, Queue.TRAIN)
    with database.transaction() as session:
        devices.renew(session, GPU, "train", 60)
    assert take(database, Queue.INFER) is None
    with database.transaction() as session:
        leases.release(session, "train")
    assert take(database, Queue.INFER) is not None


def test_who_no_longer_waits_keeps_none_waiting(database):
    take(database, Queue.TRAIN)
    take(database, Queue.INFER)
    with database.transaction() as session:
        session.execute(update(SharedDevice).values(waits_until=now(-1)))
    assert not is_wanted(database, Queue.TRAIN)
    give_back(database, Queue.TRAIN)
    assert take(database, Queue.TRAIN) is not None
