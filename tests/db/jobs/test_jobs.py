import itertools
import threading

import pytest
from sqlalchemy import select, update

from db.clock import now
from db.jobs import jobs, leases, scheduling
from db.jobs.leases import Signals
from db.models import Job
from tests.requests import BLANK
from tsukiji.errors import NanLoss, NotFound, StorageUnavailable, TrainingCrashed
from tsukiji.jobs import TRANSITIONS, JobKind, JobStatus, Queue

LEASE = 30


def make(session, **columns):
    return jobs.create(session, JobKind.TRAINING, request=BLANK[JobKind.TRAINING], max_attempts=3, **columns)


def put(session, job, **columns):
    session.execute(update(Job).where(Job.id == job.id).values(**columns))


def test_only_the_table_s_moves_are_made(session):
    for start, target in itertools.product(JobStatus, JobStatus):
        job = make(session)
        put(session, job, status=start)
        moved = jobs.move(session, job.id, target)
        assert moved == (target in TRANSITIONS[start]), f"{start} to {target}"
        assert jobs.find(session, job.id).status == (target if moved else start)


def test_a_claim_takes_the_job_once(session):
    job = make(session)
    claimed = leases.claim(session, Job, job.id, "w1", LEASE)
    assert (claimed.status, claimed.attempt, claimed.lease_owner) == ("running", 1, "w1")
    assert claimed.started_at is not None
    assert leases.claim(session, Job, job.id, "w2", LEASE) is None


def test_eight_workers_race_and_one_wins(database):
    with database.transaction() as session:
        job = make(session)
    won, start = [], threading.Barrier(8)

    def race(worker):
        start.wait()
        with database.transaction() as session:
            if leases.claim(session, Job, job.id, worker, LEASE):
                won.append(worker)

    threads = [threading.Thread(target=race, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_zombie_s_writes_change_nothing(session):
    job = make(session)
    zombie = leases.claim(session, Job, job.id, "w1", LEASE)
    assert zombie.attempt == 1
    put(session, job, lease_expires_at=now(-1))
    session.expunge(zombie)
    assert leases.recover(session, leases.expired(session)[0]) == JobStatus.QUEUED

    def write_late():
        assert leases.beat(session, zombie, LEASE, completed=9) == Signals(lost=True)
        assert not jobs.finish(session, zombie, {"by": "zombie"})
        assert not leases.fail(session, zombie, NanLoss())
        assert not leases.give_back(session, zombie, "late")

    write_late()  # while the job waits, its number is still the zombie's
    heir = leases.claim(session, Job, job.id, "w2", LEASE)
    assert heir.attempt == 2
    write_late()
    assert jobs.finish(session, heir, {"by": "heir"})
    assert jobs.find(session, job.id).result == {"by": "heir"}


def test_a_lease_that_is_renewed_does_not_expire(session):
    job = make(session)
    leases.claim(session, Job, job.id, "w1", LEASE)
    assert leases.expired(session) == []
    put(session, job, lease_expires_at=now(-1))
    assert leases.beat(session, job, LEASE, completed=1) == Signals()
    assert leases.expired(session) == []


def test_poison_fails_after_its_last_attempt_with_the_reason(session):
    job = make(session)
    for _ in range(3):
        assert leases.claim(session, Job, job.id, "w", LEASE)
        put(session, job, lease_expires_at=now(-1))
        leases.recover(session, jobs.find(session, job.id))
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.error["code"], ended.error["attempts"]) == ("failed", "worker_lost", 3)
    assert leases.claim(session, Job, job.id, "w", LEASE) is None


def test_giving_back_costs_no_attempt(session):
    job = make(session)
    for attempt in range(1, 7):
        assert leases.claim(session, Job, job.id, "w", LEASE).attempt == attempt
        assert leases.give_back(session, job, "worker_stopping")
    assert jobs.find(session, job.id).status == "queued"


def test_cancel_of_a_waiting_job_is_at_once_and_of_an_ended_one_nothing(session):
    job = make(session)
    assert jobs.request_cancel(session, job.id).status == "cancelled"
    assert jobs.request_cancel(session, job.id).status == "cancelled"
    other = make(session)
    leases.claim(session, Job, other.id, "w", LEASE)
    jobs.finish(session, other, {})
    assert jobs.request_cancel(session, other.id).status == "succeeded"


def test_cancel_of_a_running_job_reaches_its_worker(session):
    job = make(session)
    leases.claim(session, Job, job.id, "w", LEASE)
    assert jobs.request_cancel(session, job.id).status == "cancelling"
    assert leases.beat(session, job, LEASE).cancel
    assert leases.signals(session, job).cancel
    assert jobs.move(session, job.id, JobStatus.CANCELLED, attempt=1)


def test_a_worker_that_dies_while_cancelling_leaves_a_cancelled_job(session):
    job = make(session)
    leases.claim(session, Job, job.id, "w", LEASE)
    jobs.request_cancel(session, job.id)
    put(session, job, lease_expires_at=now(-1))
    assert leases.recover(session, jobs.find(session, job.id)) == JobStatus.CANCELLED


def test_finish_is_a_wish_that_the_worker_sees(session):
    job = make(session)
    leases.claim(session, Job, job.id, "w", LEASE)
    jobs.request_finish(session, job.id)
    assert leases.beat(session, job, LEASE) == Signals(finish=True)


def test_unexpected_errors_are_tried_again_until_the_last_attempt(session):
    job = make(session)
    for expected in ("queued", "queued", "failed"):
        leases.retry(session, leases.claim(session, Job, job.id, "w", LEASE), NanLoss("a detail"))
        assert jobs.find(session, job.id).status == expected
    assert jobs.find(session, job.id).error["detail"] == "a detail"


def test_what_waits_is_found_until_it_is_claimed(session):
    job = make(session)
    assert scheduling.waiting(session, Queue.TRAIN, 9) == [job.id]
    assert scheduling.waiting(session, Queue.INTAKE, 9) == []
    leases.claim(session, Job, job.id, "w", LEASE)
    assert scheduling.waiting(session, Queue.TRAIN, 9) == []


def test_the_history_tells_who_moved_the_job_and_why(session):
    job = make(session)
    leases.claim(session, Job, job.id, "w1", LEASE)
    leases.give_back(session, job, "worker_stopping")
    leases.claim(session, Job, job.id, "w2", LEASE)
    jobs.finish(session, job, {})
    session.flush()
    lines = [(line.event, line.data["status"], line.worker, line.attempt) for line in jobs.events(session, job.id)]
    assert lines == [
        ("status", "queued", None, 0),
        ("status", "running", "w1", 1),
        ("status", "queued", None, 1),
        ("status", "running", "w2", 2),
        ("done", "succeeded", None, 2),
    ]


def test_an_epoch_that_was_repeated_counts_once(session):
    job = make(session)
    for epoch, accuracy in ((1, 0.5), (2, 0.6), (2, 0.7)):
        jobs.record(session, job.id, "metric", {"epoch": epoch, "accuracy": accuracy})
    session.flush()
    assert [(line["epoch"], line["accuracy"]) for line in jobs.metrics(session, job.id)] == [(1, 0.5), (2, 0.7)]


def test_every_write_shows_in_the_version(session):
    job = make(session)
    versions = [jobs.find(session, job.id).version]
    leases.claim(session, Job, job.id, "w", LEASE)
    versions.append(jobs.find(session, job.id).version)
    leases.beat(session, job, LEASE, completed=1)
    versions.append(jobs.find(session, job.id).version)
    assert versions == sorted(set(versions))


def test_a_job_of_another_kind_is_not_found(session):
    job = make(session)
    with pytest.raises(NotFound):
        jobs.find(session, job.id, JobKind.BATCH)


def test_work_has_its_deadline_from_the_first_start_on(session):
    job = make(session)
    assert job.deadline_at is None
    first = leases.claim(session, Job, job.id, "w1", LEASE, 3600)
    deadline = first.deadline_at
    assert 3500 < (deadline - first.started_at).total_seconds() < 3700
    leases.give_back(session, job, "worker_stopping")
    assert leases.claim(session, Job, job.id, "w2", LEASE, 7200).deadline_at == deadline, (
        "a new attempt gets no more time"
    )


@pytest.mark.parametrize("status", ["queued", "running", "cancelling"])
def test_a_job_whose_deadline_has_passed_expires_wherever_it_stands(session, status):
    job = make(session)
    if status != "queued":
        leases.claim(session, Job, job.id, "w1", LEASE)
    if status == "cancelling":
        jobs.request_cancel(session, job.id)
    assert jobs.overdue(session) == []
    put(session, job, deadline_at=now(-1))
    (late,) = jobs.overdue(session)
    assert late.status == status
    assert jobs.expire(session, late)
    ended = jobs.find(session, job.id)
    assert (ended.status, ended.error["code"], ended.lease_owner) == ("expired", "deadline_exceeded", None)
    assert leases.beat(session, job, LEASE) == Signals(lost=True), "whoever works on it learns"
    assert not jobs.finish(session, job, {}), "and its late result is refused"
    assert not jobs.expire(session, late), "an end is final"


def test_dropped_work_is_recovered_at_once_and_costs_an_attempt(session):
    job = make(session)
    dropped = leases.claim(session, Job, job.id, "w1", LEASE)
    leases.drop(session, dropped, "stalled")
    (silent,) = leases.expired(session)
    assert leases.recover(session, silent) == "queued"
    assert [line.data.get("why") for line in jobs.events(session, job.id)] == [None, None, "stalled", "lease_expired"]
    session.expunge(dropped)
    leases.claim(session, Job, job.id, "w2", LEASE)
    leases.drop(session, dropped, "stalled")
    assert leases.expired(session) == [], "the work of another attempt is not dropped"


def test_an_outage_costs_no_attempt_and_the_work_waits(session):
    job = make(session)
    for _ in range(5):
        leases.retry(session, leases.claim(session, Job, job.id, "w", LEASE), StorageUnavailable("gone"))
        assert jobs.find(session, job.id).status == "queued"
        assert scheduling.waiting(session, Queue.TRAIN, 9) == [], "not at once: the store will hardly be back"
    for _ in range(3):
        leases.retry(session, leases.claim(session, Job, job.id, "w", LEASE), TrainingCrashed("gone"))
    assert jobs.find(session, job.id).error["code"] == "training_crashed", "all else has three attempts"


@pytest.mark.parametrize(("error", "expected"), [(StorageUnavailable(), [5, 10, 20, 60]), (NanLoss(), [5, 5, 5, 5])])
def test_in_an_outage_work_waits_longer_each_time_else_some_seconds(session, error, expected):
    job = make(session)
    pauses = {}
    for attempt in range(1, 16):
        put(session, job, max_attempts=100)
        leases.retry(session, leases.claim(session, Job, job.id, "w", LEASE), error)
        row = jobs.find(session, job.id)
        assert scheduling.waiting(session, Queue.TRAIN, 9) == []
        pauses[attempt] = 5 * round((row.rests_until - session.scalar(select(now()))).total_seconds() / 5)
    assert [pauses[attempt] for attempt in (1, 2, 4, 15)] == expected


def test_after_the_clock_was_set_back_nothing_waits_for_the_old_time(session):
    dead, waiting = make(session), make(session)
    leases.claim(session, Job, dead.id, "w", LEASE)
    put(session, dead, lease_expires_at=now(3600))
    put(session, waiting, rests_until=now(3600))
    assert scheduling.waiting(session, Queue.TRAIN, 9) == [waiting.id]
    assert leases.shorten(session, LEASE) == 1
    assert leases.shorten(session, LEASE) == 0
    remains = jobs.find(session, dead.id).lease_expires_at - jobs.find(session, dead.id).started_at
    assert remains.total_seconds() < LEASE + 5
