from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from db import blobs
from db.clock import now
from db.curation import import_verdicts
from db.jobs import batches, jobs
from db.models import BatchItem, Blob, Chunk, Job, Prediction
from db.predictions import retention
from tests.db.jobs.test_batches import claim, make, rows
from tests.requests import BLANK
from tsukiji.errors import Conflict, JobNotDone, NotFound
from tsukiji.jobs import JobKind, JobStatus

BATCHES = frozenset({JobKind.BATCH})


def ended(session, days=None, kind=JobKind.BATCH):
    """Return a batch of five images that has ended."""
    job, (chunk_id,) = make(session, images=5, chunk_images=5, kind=kind)
    session.execute(update(Job).where(Job.id == job.id).values(retention_days=days))
    work = claim(session, chunk_id)
    assert batches.finish_chunk(session, work, rows(work, bad={1}))
    return jobs.find(session, job.id)


def left(session, job):
    tables = {BatchItem: BatchItem.job_id, Prediction: Prediction.job_id, Chunk: Chunk.job_id}
    return [session.scalar(select(func.count()).select_from(t).where(c == job.id)) for t, c in tables.items()]


def delete_all(session, job):
    slices = 0
    while retention.delete_slice(session, job.id):
        slices += 1
    return slices


def test_the_time_counts_from_the_end_and_none_is_for_ever(session):
    for days in (1.5, 400):
        job = ended(session, days)
        assert abs(job.results_expire_at - job.finished_at - timedelta(days=days)) < timedelta(seconds=5)
    assert ended(session, 0).results_expire_at is None
    assert ended(session, None).results_expire_at is None
    assert retention.next_due(session) is None


def test_what_is_due_goes_slice_by_slice_and_the_job_stays(session, monkeypatch):
    monkeypatch.setattr(retention, "SLICE_IMAGES", 2)
    kept, job = ended(session, 0), ended(session, 1)
    session.execute(update(Job).where(Job.id == job.id).values(results_expire_at=now(-1)))
    assert retention.next_due(session).id == job.id
    retention.close(session, job, "retention")
    assert delete_all(session, job) == 3
    assert left(session, job) == [0, 0, 0]
    assert left(session, kept) == [5, 5, 1]
    session.expire_all()
    after = jobs.find(session, job.id)
    assert (after.status, after.items_succeeded, after.items_errored) == ("succeeded", 4, 1)
    assert (after.results_deleted_at is not None, after.results_expire_at) == (True, None)
    assert retention.next_due(session) is None
    assert jobs.events(session, job.id)[-1].data == {"message": "results deleted", "why": "retention"}


def test_pictures_are_let_go_of_unless_something_else_holds_them(session):
    job = ended(session)
    other = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    batches.add_items(session, other.id, [{"custom_id": "a", "sha256": f"{0:064x}"}])
    session.execute(update(Blob).values(used_at=now(-3600)))
    retention.request_deletion(session, job.id)
    delete_all(session, job)
    assert blobs.sweep(session, 0.5) == [], "whoever reads them has the grace time"
    session.execute(update(Blob).values(used_at=now(-3600)))
    assert sorted(blobs.sweep(session, 0.5)) == [f"{number:064x}" for number in range(1, 5)]


def test_a_setting_that_comes_later_counts_for_what_is_there_already(session):
    said, kept, old, young = ended(session, 9), ended(session, 0), ended(session), ended(session)
    measured = ended(session, kind=JobKind.PREDICTION)
    finished = update(Job).where(Job.id.in_([said.id, kept.id, old.id, measured.id]))
    session.execute(finished.values(finished_at=now(-3 * 86400)))
    running, _ = make(session)
    session.execute(update(Job).where(Job.id == running.id).values(created_at=now(-3 * 86400)))
    retention.give_up(session, BATCHES, 2)
    session.execute(update(Job).where(Job.results_expire_at <= now()).values(results_expire_at=now(-1)))
    due = retention.next_due(session)
    assert due.id == old.id
    retention.close(session, due, "retention")
    delete_all(session, due)
    assert retention.next_due(session) is None
    assert left(session, young) == [5, 5, 1]


def test_nothing_that_runs_is_deleted(session):
    job, (chunk_id, *_) = make(session)
    claim(session, chunk_id)
    with pytest.raises(JobNotDone):
        retention.request_deletion(session, job.id)
    session.execute(update(Job).where(Job.id == job.id).values(results_expire_at=now(-1), finished_at=now(-9999999)))
    retention.give_up(session, BATCHES, 1)
    assert retention.next_due(session) is None
    retention.close(session, job, "by mistake")
    session.expire_all()
    assert jobs.find(session, job.id).results_deleted_at is None


def test_deletion_on_request_is_at_once_and_twice_does_no_harm(session, key):
    job = ended(session, 30)
    first = retention.request_deletion(session, job.id, JobKind.BATCH, by=key.id)
    assert first.results_deleted_at is not None
    again = retention.request_deletion(session, job.id)
    assert again.results_deleted_at == first.results_deleted_at
    said = [line.data for line in jobs.events(session, job.id) if line.event == "log"]
    assert said == [{"message": "results deleted", "why": "asked", "by": key.id}]
    delete_all(session, job)
    retention.request_deletion(session, job.id)
    session.expire_all()
    assert jobs.find(session, job.id).results_expire_at is None, "it is not deleted again"


def test_what_has_no_results_of_its_own(session):
    training = jobs.create(session, JobKind.TRAINING, request=BLANK[JobKind.TRAINING], max_attempts=3)
    with pytest.raises(Conflict):
        retention.request_deletion(session, training.id)
    with pytest.raises(NotFound):
        retention.request_deletion(session, training.id, JobKind.BATCH)


def test_verdicts_of_an_import_go_in_slices_and_its_counts_stay(session, monkeypatch):
    monkeypatch.setattr(retention, "SLICE_IMAGES", 2)
    old, young = (jobs.create(session, JobKind.IMPORT, request=BLANK[JobKind.IMPORT], max_attempts=3) for _ in range(2))
    for job in (old, young):
        rows = [{"seq": seq, "name": f"{seq}.png", "verdict": "accepted", "label": None} for seq in range(5)]
        import_verdicts.add_verdicts(session, job.id, [row | {"image_id": None, "error": None} for row in rows])
        jobs.move(session, job.id, JobStatus.CANCELLED, result={"accepted": 5})
    session.execute(update(Job).where(Job.id == old.id).values(finished_at=now(-91 * 86400)))
    retention.give_up(session, retention.IMPORTS, 90)
    session.execute(update(Job).where(Job.results_expire_at <= now()).values(results_expire_at=now(-1)))
    due = retention.next_due(session)
    assert due.id == old.id
    retention.close(session, due, "retention")
    slices = 0
    while retention.delete_slice(session, due.id):
        slices += 1
    assert slices == 3
    assert (import_verdicts.count_verdicts(session, old.id), import_verdicts.count_verdicts(session, young.id)) == (
        {},
        {"accepted": 5},
    )
    assert retention.next_due(session) is None
    session.expire_all()
    after = jobs.find(session, old.id)
    assert after.results_deleted_at is not None
    assert after.result == {"accepted": 5}
