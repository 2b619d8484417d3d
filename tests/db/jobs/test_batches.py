import threading

import pytest
from sqlalchemy import func, select, update

from db import blobs
from db.clock import now
from db.jobs import batches, jobs, leases, scheduling
from db.models import Chunk, Job, Prediction
from db.paging import Window
from db.predictions import results
from db.predictions.results import Wanted
from tests.requests import BLANK
from tsukiji.errors import GpuOutOfMemory, ModelGone
from tsukiji.jobs import JobKind, Queue

LEASE = 30


def make(session, images=10, chunk_images=4, kind=JobKind.BATCH):
    blobs.keep(session, [(f"{number:064x}", 1) for number in range(images)])
    job = jobs.create(session, kind, request=BLANK[kind], max_attempts=3)
    items = [{"custom_id": f"{number}.jpg", "sha256": f"{number:064x}"} for number in range(images)]
    batches.add_items(session, job.id, items)
    return job, batches.finish_plan(session, job, images, chunk_images, 3)


def claim(session, chunk_id) -> Chunk:
    work = leases.claim(session, Chunk, chunk_id, "w", LEASE)
    assert work is not None
    return work


def rows(work, bad=()):
    return [
        batches.blank_prediction(seq)
        | ({"error": {"code": "truncated"}} if seq in bad else {"label": "cat", "score": 0.9, "probabilities": b""})
        for seq in range(work.first_seq, work.last_seq + 1)
    ]


def predictions(session, job):
    return session.scalar(select(func.count()).where(Prediction.job_id == job.id))


def test_a_batch_ends_with_its_last_chunk(session):
    job, chunks = make(session)
    assert len(chunks) == 3
    for chunk_id in chunks:
        assert jobs.find(session, job.id).status != "succeeded"
        work = claim(session, chunk_id)
        assert jobs.find(session, job.id).status == "running"
        assert batches.finish_chunk(session, work, rows(work, bad={3}))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.items_succeeded, ended.items_errored, ended.completed) == ("succeeded", 9, 1, 10)


def test_a_batch_that_a_worker_planned_says_that_it_is_being_classified(session):
    job = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    leases.claim(session, Job, job.id, "planner", LEASE)
    blobs.keep(session, [("0" * 64, 1)])
    batches.add_items(session, job.id, [{"custom_id": "0.jpg", "sha256": "0" * 64}])
    (chunk_id,) = batches.finish_plan(session, job, 1, 4, 3)
    assert jobs.find(session, job.id).phase is None
    claim(session, chunk_id)
    assert jobs.find(session, job.id).phase == "classifying"


def test_an_evaluation_waits_for_who_measures_it(session):
    job, chunks = make(session, kind=JobKind.EVALUATION)
    assert leases.claim(session, Job, job.id, "w", LEASE) is None, "its chunks hold the work"
    for chunk_id in chunks:
        work = claim(session, chunk_id)
        assert batches.finish_chunk(session, work, rows(work, bad={3}))
    waits = jobs.find(session, job.id)
    assert (waits.status, waits.phase) == ("queued", "measuring")
    assert scheduling.waiting(session, Queue.INTAKE, 9) == [job.id]
    measuring = leases.claim(session, Job, job.id, "w", LEASE)
    assert measuring.phase == "measuring"
    batches.cancel_chunk(session, work)  # a worker that woke too late
    assert not leases.signals(session, job).lost
    assert jobs.finish(session, job, {})


def test_measuring_has_attempts_of_its_own(session):
    job, (chunk_id,) = make(session, images=1, kind=JobKind.EVALUATION)
    jobs.change(session, Job.id == job.id, attempt=3)  # planning took all it had
    work = claim(session, chunk_id)
    assert batches.finish_chunk(session, work, rows(work))
    for _ in range(3):
        claimed = leases.claim(session, Job, job.id, "w", LEASE)
        leases.retry(session, claimed, GpuOutOfMemory())
    assert jobs.find(session, job.id).status == "failed"


def test_an_evaluation_of_nothing_readable_fails_and_a_cancelled_one_is_not_measured(session):
    job, (chunk_id,) = make(session, images=1, kind=JobKind.EVALUATION)
    work = claim(session, chunk_id)
    batches.finish_chunk(session, work, rows(work, bad={0}))
    assert jobs.find(session, job.id).status == "failed"
    job, (chunk_id,) = make(session, images=1, kind=JobKind.EVALUATION)
    work = claim(session, chunk_id)
    jobs.request_cancel(session, job.id)
    batches.finish_chunk(session, work, rows(work))
    assert jobs.find(session, job.id).status == "cancelled"


def test_the_same_message_many_times_commits_once(session):
    job, (chunk_id, *_) = make(session)
    work = claim(session, chunk_id)
    assert leases.claim(session, Chunk, chunk_id, "w2", LEASE) is None
    assert batches.finish_chunk(session, work, rows(work))
    assert not batches.finish_chunk(session, work, rows(work))
    assert leases.claim(session, Chunk, chunk_id, "w2", LEASE) is None
    assert predictions(session, job) == 4


def test_a_zombie_s_chunk_is_refused_and_the_heir_s_counts(session):
    job, (chunk_id, *_) = make(session)
    zombie = claim(session, chunk_id)
    session.expunge(zombie)
    session.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_expires_at=now(-1)))
    (expired,) = leases.expired(session)
    leases.recover(session, expired)
    heir = claim(session, chunk_id)
    assert not batches.finish_chunk(session, zombie, rows(zombie))
    assert leases.signals(session, zombie).lost
    assert batches.finish_chunk(session, heir, rows(heir))
    assert jobs.find(session, job.id).items_succeeded == 4


def test_a_chunk_that_kills_each_worker_fails_alone(session):
    job, chunks = make(session)
    for _ in range(3):
        claim(session, chunks[0])
        session.execute(update(Chunk).where(Chunk.id == chunks[0]).values(lease_expires_at=now(-1)))
        (expired,) = leases.expired(session)
        session.refresh(expired)
        leases.recover(session, expired)
    for chunk_id in chunks[1:]:
        work = claim(session, chunk_id)
        batches.finish_chunk(session, work, rows(work))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.items_succeeded, ended.items_errored) == ("succeeded", 6, 4)
    first, _ = results.page(session, job.id, Window(1))
    assert first[0].error["code"] == "worker_lost"


def test_no_good_image_makes_a_failed_batch(session):
    job, (chunk_id,) = make(session, images=2)
    work = claim(session, chunk_id)
    batches.finish_chunk(session, work, rows(work, bad={0, 1}))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.error["code"]) == ("failed", "no_image_succeeded")


def test_cancel_keeps_what_is_done(session):
    job, chunks = make(session)
    done = claim(session, chunks[0])
    batches.finish_chunk(session, done, rows(done))
    running = claim(session, chunks[1])
    assert jobs.request_cancel(session, job.id).status == "cancelling"
    assert leases.claim(session, Chunk, chunks[2], "w", LEASE) is None
    assert leases.signals(session, running).cancel
    batches.cancel_chunk(session, running)
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.items_succeeded, predictions(session, job)) == ("cancelled", 4, 4)


@pytest.mark.parametrize(
    "put_back",
    [
        lambda session, chunk: leases.give_back(session, chunk, "worker_stopping"),
        lambda session, chunk: leases.retry(session, chunk, GpuOutOfMemory()),
    ],
)
def test_a_chunk_that_is_put_back_during_a_cancel_ends_the_batch(session, put_back):
    job, (chunk_id,) = make(session, images=2)
    work = claim(session, chunk_id)
    assert jobs.request_cancel(session, job.id).status == "cancelling"
    put_back(session, work)
    assert jobs.find(session, job.id).status == "cancelled"


def test_cancel_between_two_chunks_is_at_once(session):
    job, chunks = make(session)
    work = claim(session, chunks[0])
    batches.finish_chunk(session, work, rows(work))
    assert jobs.request_cancel(session, job.id).status == "cancelled"


def test_a_batch_that_cannot_go_on_keeps_what_is_done(session):
    job, chunks = make(session)
    work = claim(session, chunks[0])
    batches.finish_chunk(session, work, rows(work))
    jobs.fail(session, job.id, ModelGone())
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.error["code"], predictions(session, job)) == ("failed", "model_gone", 4)
    assert leases.claim(session, Chunk, chunks[1], "w", LEASE) is None


def test_errors_of_a_chunk_go_to_its_images(session):
    job, chunks = make(session)
    work = claim(session, chunks[0])
    batches.fail_chunk(session, work, GpuOutOfMemory())
    found, _ = results.page(session, job.id, Window(10), Wanted(status="errored"))
    assert [row.error["code"] for row in found] == ["gpu_out_of_memory"] * 4


def test_giving_back_costs_no_attempt_and_trying_again_does(session):
    _, chunks = make(session)
    for _ in range(5):
        assert leases.give_back(session, claim(session, chunks[0]), "worker_stopping")
    attempts = 0
    while work := leases.claim(session, Chunk, chunks[0], "w", LEASE):
        leases.retry(session, work, GpuOutOfMemory())
        attempts += 1
    assert attempts == 3


def test_two_last_chunks_at_once_end_the_batch(database):
    with database.transaction() as session:
        job, chunks = make(session, images=8, chunk_images=1)
    start = threading.Barrier(len(chunks))

    def work(chunk_id):
        with database.transaction() as session:
            claimed = claim(session, chunk_id)
        start.wait()
        with database.transaction() as session:
            batches.finish_chunk(session, claimed, rows(claimed))

    threads = [threading.Thread(target=work, args=(chunk_id,)) for chunk_id in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        ended = jobs.find(session, job.id)
        assert (ended.status, ended.items_succeeded) == ("succeeded", 8)


def test_results_come_in_the_order_of_the_input_while_running(session):
    job, chunks = make(session)
    last = claim(session, chunks[2])
    batches.finish_chunk(session, last, rows(last))
    page, cursor = results.page(session, job.id, Window(9))
    assert [row.custom_id for row in page] == [f"{number}.jpg" for number in range(9)]
    assert [row.reached is None for row in page] == [True] * 8 + [False]
    rest, end = results.page(session, job.id, Window(9, cursor))
    assert ([row.seq for row in rest], end) == ([9], None)
    waiting, _ = results.page(session, job.id, Window(50), Wanted(status="unreached"))
    assert len(waiting) == 8


@pytest.mark.parametrize("status", ["succeeded", "errored"])
def test_results_can_be_filtered(session, status):
    job, chunks = make(session)
    work = claim(session, chunks[0])
    batches.finish_chunk(session, work, rows(work, bad={1}))
    found, _ = results.page(session, job.id, Window(50), Wanted(status=status))
    assert [row.seq for row in found] == ([0, 2, 3] if status == "succeeded" else [1])


def test_chunks_that_wait_are_found_urgent_ones_first(session):
    _, slow = make(session, images=4)
    urgent_job = jobs.create(session, JobKind.PREDICTION, request=BLANK[JobKind.PREDICTION], max_attempts=3, priority=5)
    blobs.keep(session, [("f" * 64, 1)])
    batches.add_items(session, urgent_job.id, [{"custom_id": "a", "sha256": "f" * 64}])
    urgent = batches.finish_plan(session, urgent_job, 1, 4, 3)
    assert scheduling.waiting(session, Queue.INFER, 9) == [*urgent, *slow]
    claim(session, urgent[0])
    assert scheduling.waiting(session, Queue.INFER, 9) == slow


def test_last_chunks_that_are_cancelled_at_once_end_the_batch(database):
    with database.transaction() as session:
        job, chunks = make(session, images=8, chunk_images=1)
        claimed = [claim(session, chunk_id) for chunk_id in chunks]
    with database.transaction() as session:
        jobs.request_cancel(session, job.id)
    start, errors = threading.Barrier(len(chunks)), []

    def cancel(work):
        try:
            with database.transaction() as session:
                start.wait()
                batches.cancel_chunk(session, work)
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion shows it
            errors.append(error)

    threads = [threading.Thread(target=cancel, args=(work,)) for work in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert (errors, jobs.find(session, job.id).status) == ([], "cancelled")


def test_claims_and_a_cancel_at_once_never_wait_in_a_circle(database):
    for _ in range(5):
        with database.transaction() as session:
            job, chunks = make(session, images=6, chunk_images=1)
        start, errors = threading.Barrier(len(chunks) + 1), []

        def together(act, start=start, errors=errors):
            try:
                start.wait()
                with database.transaction() as session:
                    act(session)
            except Exception as error:  # noqa: BLE001 - whatever it is, the assertion shows it
                errors.append(error)

        acts = [lambda session, job=job: jobs.request_cancel(session, job.id)]
        acts += [lambda session, chunk=chunk: leases.claim(session, Chunk, chunk, "w", LEASE) for chunk in chunks]
        threads = [threading.Thread(target=together, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []


def test_an_expired_batch_takes_no_late_chunk(session):
    job, (first, second, _) = make(session)
    done, late = claim(session, first), claim(session, second)
    assert batches.finish_chunk(session, done, rows(done))
    session.execute(update(Job).where(Job.id == job.id).values(deadline_at=now(-1)))
    (overdue,) = jobs.overdue(session)
    assert jobs.expire(session, overdue)
    assert leases.signals(session, late).lost
    assert not batches.finish_chunk(session, late, rows(late))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.items_succeeded, predictions(session, job)) == ("expired", 4, 4)
    assert scheduling.waiting(session, Queue.INFER, 9) == []


def test_a_dropped_chunk_goes_to_another_worker_at_once(session):
    job, (chunk_id, *_) = make(session)
    work = claim(session, chunk_id)
    leases.drop(session, work, "stalled")
    (silent,) = leases.expired(session)
    leases.recover(session, silent)
    assert claim(session, chunk_id).attempt == 2
    whys = [line.data["why"] for line in jobs.events(session, job.id) if line.event == "log"]
    assert whys == ["stalled", "lease_expired"]


def test_a_batch_without_a_good_image_says_what_they_met(session):
    job, (chunk_id, other, last) = make(session)
    for lost in (chunk_id, other):
        for _ in range(3):
            put_late(session, claim(session, lost))
    work = claim(session, last)
    batches.finish_chunk(session, work, rows(work, bad={8, 9}))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.error["code"]) == ("failed", "no_image_succeeded")
    assert ended.error["reasons"] == {"worker_lost": 8, "truncated": 2}


def put_late(session, chunk):
    """Let a chunk's lease run out, and a dispatcher see it."""
    session.execute(update(Chunk).where(Chunk.id == chunk.id).values(lease_expires_at=now(-1)))
    leases.recover(session, chunk)
