import itertools
import threading
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from db import blobs, keys
from db.clock import now
from db.jobs import batches, jobs, leases, scheduling, workers
from db.models import Chunk, Job
from tests.db.jobs.test_batches import rows
from tests.requests import BLANK
from tsukiji.errors import GpuOutOfMemory
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.settings import JobSettings

REST = 60
JOBS = JobSettings()


def make(session, images, priority=0, kind=JobKind.BATCH):
    blobs.keep(session, [("a" * 64, 1)])
    job = jobs.create(session, kind, request=BLANK[kind], max_attempts=3, priority=priority)
    batches.add_items(session, job.id, [{"custom_id": str(number), "sha256": "a" * 64} for number in range(images)])
    batches.finish_plan(session, job, images, 10_000, 3)
    return job.id


def take(session, images=2, worker="w"):
    """Take what is next, as a worker does."""
    job_id = session.scalar(scheduling.due(Queue.INFER).limit(1))
    return job_id and scheduling.take(session, Queue.INFER, job_id, worker, JOBS, lambda *_: images)


def finish(session, work):
    assert batches.finish_chunk(session, work, rows(work))


def test_a_small_batch_ends_long_before_the_huge_one_that_came_first(session):
    huge = make(session, 300)
    for _ in range(3):
        finish(session, take(session))
    small = make(session, 10)
    served = []
    while jobs.find(session, small).status != "succeeded":
        work = take(session)
        served.append(work.job_id)
        finish(session, work)
    assert served == [small, huge] * 4 + [small], "in turns, the new one first"
    assert jobs.find(session, huge).completed == 14


def test_batches_that_keep_coming_do_not_starve_the_one_that_is_there(session):
    old = make(session, 8)
    served = []
    while jobs.find(session, old).status != "succeeded":
        make(session, 2)
        work = take(session)
        served.append(work.job_id)
        finish(session, work)
    assert served.count(old) == 4
    assert len(served) <= 16, "new ones come as quickly as all are served, and the old one has its share"


def test_priority_goes_before_turns_and_a_prediction_before_all(session):
    low, high = make(session, 4), make(session, 4, priority=3)
    prediction = make(session, 1, priority=5, kind=JobKind.PREDICTION)
    served = [take(session).job_id for _ in range(5)]
    assert served == [prediction, high, high, low, low]
    assert take(session) is None


def lose(session, work):
    """Have the worker of a chunk be dead, and the chunk wait again."""
    leases.release(session, "w")
    (silent,) = leases.expired(session)
    assert silent.id == work.id
    leases.recover(session, silent)


def test_a_chunk_that_ended_its_worker_lets_newcomers_be_planned_first(session):
    """On a service with one worker they would wait for it to die again and again."""
    make(session, 2)
    lost = take(session)
    lose(session, lost)
    new = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    assert take(session) is None, "the newcomer is not planned yet"
    batches.add_items(session, new.id, [{"custom_id": "0", "sha256": "a" * 64}])
    batches.finish_plan(session, new, 1, 10_000, 3)
    assert [take(session).job_id for _ in range(2)] == [new.id, lost.job_id], "and both have their turns"


def test_it_does_not_wait_for_a_newcomer_that_nobody_plans(session):
    make(session, 2)
    lost = take(session)
    lose(session, lost)
    new = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    jobs.change(session, Job.id == new.id, created_at=now(-60))
    assert take(session).id == lost.id


def test_a_chunk_is_split_and_nothing_is_lost_or_double(session):
    job_id = make(session, 10)
    taken = [take(session, images) for images in (3, 1, 4, 100)]
    bounds = [(work.first_seq, work.last_seq) for work in taken]
    assert bounds == [(0, 2), (3, 3), (4, 7), (8, 9)]
    assert [len(batches.items_of(session, work)) for work in taken] == [3, 1, 4, 2]
    for work in taken:
        finish(session, work)
    ended = jobs.find(session, job_id)
    assert (ended.status, ended.items_succeeded) == ("succeeded", 10)


def test_a_chunk_that_was_tried_stays_whole_and_goes_first(session):
    make(session, 10)
    lost = take(session, 4)
    lose(session, lost)
    again = take(session, 1)
    assert (again.id, again.first_seq, again.last_seq) == (lost.id, 0, 3)


def test_a_chunk_that_met_an_error_rests_and_others_are_taken_meanwhile(session):
    make(session, 4)
    failed = take(session, 2)
    leases.retry(session, failed, GpuOutOfMemory())
    assert take(session, 2).first_seq == 2
    assert take(session) is None
    session.execute(update(Chunk).where(Chunk.rests_until.is_not(None)).values(rests_until=now(-1)))
    assert take(session).id == failed.id
    session.execute(update(Chunk).values(status="queued", rests_until=now(3600)))
    assert scheduling.waiting(session, Queue.INFER, 9), "a clock that was set back makes nobody wait for the future"


def test_workers_are_woken_for_batches_and_not_for_their_thousand_chunks(session):
    for worker in ("w", "b", "c"):
        workers.report(session, worker, "infer", None)
    workers.report(session, "t", "train", None)
    make(session, 300)
    wake = scheduling.workers_to_wake
    assert (wake(session, 300), wake(session, 40), wake(session, 1)) == (3, 2, 1)
    assert len(scheduling.waiting(session, Queue.INFER, 9)) == 1
    work = take(session)
    assert workers.idle(session, REST) == {"infer": 2, "train": 1}
    leases.give_back(session, work, "worker_stopping")
    assert len(scheduling.waiting(session, Queue.INFER, 9)) == 2, "what was given back is for whoever is free"
    assert len(scheduling.waiting(session, Queue.INFER, 1)) == 1


AGES = itertools.count()
"""Ids of one millisecond are in no order."""


def ask(session, key, kind=JobKind.TRAINING):
    age = f"{next(AGES):026}"
    return jobs.create(session, kind, request=BLANK[kind], max_attempts=3, created_by=key.id, age=age).id


def started(session):
    job_id = session.scalar(scheduling.due(Queue.TRAIN).limit(1))
    job = scheduling.take(session, Queue.TRAIN, job_id, "w", JOBS)
    assert jobs.finish(session, job, {})
    return job_id


def test_a_key_with_many_trainings_keeps_no_other_waiting(session):
    many, one, none = (keys.create(session, name)[0] for name in ("many", "one", "none"))
    first, *others = [ask(session, many) for _ in range(5)]
    assert started(session) == first
    mine = [ask(session, one) for _ in range(2)]
    served = [started(session) for _ in range(4)]
    assert served == [mine[0], others[0], mine[1], others[1]], "in turns, each key's oldest first"
    late, urgent = ask(session, none), ask(session, many)
    jobs.change(session, Job.id == urgent, priority=1)
    assert [started(session) for _ in range(4)] == [urgent, late, others[2], others[3]]


def test_turns_of_one_queue_do_not_count_in_another(session):
    ours, theirs = (keys.create(session, name)[0] for name in ("ours", "theirs"))
    for _ in range(3):
        ask(session, ours)
        started(session)
    first, _ = ask(session, ours, JobKind.IMPORT), ask(session, theirs, JobKind.IMPORT)
    assert session.scalar(scheduling.due(Queue.INTAKE).limit(1)) == first


def test_many_workers_at_once_take_each_image_once(database):
    with database.transaction() as session:
        make(session, 60)
        make(session, 30)
    bounds, errors = [], []

    def work(name):
        try:
            while True:
                taken = scheduling.claim_next(database, Queue.INFER, name, JOBS, lambda *_: 7)
                if taken is None:
                    return
                bounds.append((taken.job_id, taken.first_seq, taken.last_seq))
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion shows it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    bounds.sort()
    assert all(later[1] == earlier[2] + 1 for earlier, later in pairwise(bounds) if earlier[0] == later[0])
    assert sum(last - first + 1 for _, first, last in bounds) == 90


@pytest.mark.parametrize("chunks", [3000])
def test_a_claim_costs_the_same_however_many_chunks_wait(session, chunks):
    job_id = make(session, 1)
    more = [
        {"id": f"chk_{number}", "job_id": job_id, "first_seq": number, "last_seq": number, "max_attempts": 3}
        for number in range(1, chunks)
    ]
    session.execute(Chunk.__table__.insert(), more)
    if session.get_bind().dialect.name != "sqlite":
        return  # PostgreSQL plans by statistics that a fresh table lacks
    query = select(Chunk.id).where(Chunk.job_id == job_id, *scheduling.due_chunks()).order_by(Chunk.first_seq).limit(1)
    text = str(query.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
    plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "ix_chunks_job_status" in plan
    assert "TEMP B-TREE" not in plan, "the first one is found, not sorted out of all"
