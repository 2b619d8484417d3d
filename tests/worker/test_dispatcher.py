import os
import time

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from db import blobs, reconciliation
from db.clock import now
from db.jobs import batches, jobs, leases, scheduling, workers
from db.models import BatchItem, Blob, Job
from tests.requests import BLANK
from tests.worker.conftest import Recorder, with_broker, work
from tsukiji.errors import StorageUnavailable
from tsukiji.jobs import JobKind, JobStatus, Queue
from worker import store_reconciliation
from worker.dispatcher import Renotifier, clean, purge, recover
from worker.jobs.batches import plan
from worker.store_reconciliation import Round


class Clock:
    """The dispatcher's clock, which a test can put ahead."""

    def __init__(self, monkeypatch):
        self._ahead, real = 0, time.monotonic
        monkeypatch.setattr(store_reconciliation.time, "monotonic", lambda: real() + self._ahead)

    def ahead(self, seconds):
        self._ahead += seconds


def report(services, worker, queue):
    with services.database.transaction() as session:
        workers.report(session, worker, queue, None)


def test_what_was_accepted_while_the_broker_was_down_is_rung_for_when_it_is_back(services, submit):
    submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])
    report(services, "train@here", "train")
    renotifier, down = Renotifier(services), with_broker(services, Recorder(up=False))
    renotifier.notify()
    assert down.sent == []
    up = with_broker(services, Recorder())
    renotifier.notify()
    renotifier.notify()
    assert up.sent == [Queue.TRAIN], "once, not at every tick"


def test_work_of_a_silent_worker_goes_to_another(services, submit):
    job = submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])
    report(services, "another", "train")
    renotifier, broker = Renotifier(services), with_broker(services, Recorder())
    renotifier.notify()
    with services.database.transaction() as session:
        leases.claim(session, Job, job.id, "silent", 30)
    recover(services)
    renotifier.notify()
    assert submit.find(job).status == "running"
    with services.database.transaction() as session:
        session.execute(update(Job).values(lease_expires_at=now(-1)))
    recover(services)
    renotifier.notify()
    assert submit.find(job).status == "queued"
    assert broker.sent == [Queue.TRAIN] * 2, "at once"
    assert [line.data.get("why") for line in submit.history(job)] == [None, None, "lease_expired"]


def test_a_bell_that_died_with_its_worker_is_rung_again_once_another_idles(services, submit, monkeypatch):
    submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])
    clock = Clock(monkeypatch)
    renotifier, broker = Renotifier(services), with_broker(services, Recorder())
    report(services, "infer@here", "infer")
    renotifier.notify()
    assert broker.sent == [], "no worker of its queue is free: one that starts looks for work by itself"
    report(services, "train@here", "train")
    renotifier.notify()
    clock.ahead(10)
    renotifier.notify()
    renotifier.notify()
    assert broker.sent == [Queue.TRAIN] * 2, "once, not at every tick"


def test_for_work_that_waits_behind_busy_workers_no_bell_is_rung(services, submit):
    busy, _ = (
        submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING]),
        submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING]),
    )
    renotifier, broker = Renotifier(services), with_broker(services, Recorder())
    report(services, "train@here", "train")
    with services.database.transaction() as session:
        leases.claim(session, Job, busy.id, "train@here", 30)
    renotifier.notify()
    assert broker.sent == []


def test_a_bell_is_rung_for_as_many_workers_as_idle(services, submit, model):
    job = submit.batch(model, {"type": "files"})
    with services.database.transaction() as session:
        batches.add_items(session, job.id, [{"custom_id": f"{n}.jpg", "sha256": None} for n in range(5)])
        batches.finish_plan(session, job, 5, 1, 3)
    renotifier, broker = Renotifier(services), with_broker(services, Recorder())
    for number in range(2):
        report(services, f"infer@{number}", "infer")
    renotifier.notify()
    assert broker.sent == [Queue.INFER] * 2


def yesterday(services, *hashes):
    """Let blobs have been used, and put, longer ago than the grace time."""
    then = time.time() - 25 * 3600
    for sha256 in hashes:
        os.utime(services.store.local_path(sha256), (then, then))
    with services.database.transaction() as session:
        session.execute(update(Blob).values(used_at=now(-25 * 3600)))


def test_bytes_that_nothing_refers_to_are_deleted_after_the_grace_time(services, submit):
    used, unused = services.store.put(b"used"), services.store.put(b"unused")
    submit.job(JobKind.IMPORT, request=BLANK[JobKind.IMPORT], upload_sha256=used.sha256)
    with services.database.transaction() as session:
        session.add(Blob(sha256=unused.sha256, bytes=6))
    clean(services)
    assert services.store.exists(unused.sha256), "somebody may be about to refer to it"
    yesterday(services, used.sha256, unused.sha256)
    clean(services)
    assert services.store.exists(used.sha256)
    assert not services.store.exists(unused.sha256)


def test_bytes_that_somebody_puts_again_stay_until_their_row_comes(services):
    blob = services.store.put(b"sent before")
    with services.database.transaction() as session:
        session.add(Blob(sha256=blob.sha256, bytes=blob.size))
    yesterday(services, blob.sha256)
    services.store.put(b"sent before")  # its row is yet to come
    clean(services)
    assert services.store.exists(blob.sha256)


def test_bytes_of_refused_requests_go_in_a_daily_round(services, monkeypatch):
    """They were kept before what refused, and never got a row."""
    kept, old, young = (services.store.put(content) for content in (b"kept", b"old", b"young"))
    gone = services.store.put(b"gone")
    with services.database.transaction() as session:
        blobs.keep(session, [(blob.sha256, blob.size) for blob in (kept, gone)])
    services.store.delete(gone.sha256)
    yesterday(services, kept.sha256, old.sha256)
    clock = Clock(monkeypatch)
    daily = Round(services)
    with capture_logs() as logs:
        daily.advance()
        assert services.store.exists(old.sha256), "a service that has just started has better things to do"
        clock.ahead(700)
        daily.advance()
        clock.ahead(700)
        daily.advance()
    assert [services.store.exists(blob.sha256) for blob in (kept, old, young)] == [True, False, True]
    events = {line["event"]: line for line in logs}
    assert [line["event"] for line in logs] == ["store_reconciled", "blobs_damaged"], "one round a day"
    assert (events["store_reconciled"]["discarded"], events["blobs_damaged"]["first"]) == (1, [gone.sha256])


def test_a_round_goes_on_where_it_stopped(services, monkeypatch):
    monkeypatch.setattr(store_reconciliation, "TICK_SECONDS", -1)
    monkeypatch.setattr(reconciliation, "PAGE", 1)
    blob = services.store.put(b"kept")
    with services.database.transaction() as session:
        blobs.keep(session, [(blob.sha256, blob.size)])
    garbage = [services.store.put(content) for content in (b"1", b"2", b"3")]
    yesterday(services, *(one.sha256 for one in garbage))
    clock = Clock(monkeypatch)
    daily = Round(services)
    clock.ahead(700)
    for _ in range(20):
        daily.advance()
    assert [one.sha256 for one in services.store.walk()] == [blob.sha256]


def test_a_round_that_meets_an_outage_begins_anew(services, monkeypatch):
    clock = Clock(monkeypatch)
    daily = Round(services)
    clock.ahead(700)

    def away(_store):
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(services.store), "walk", away)
        with pytest.raises(StorageUnavailable):
            daily.advance()
    clock.ahead(700)
    with capture_logs() as logs:
        daily.advance()
    assert [line["event"] for line in logs] == ["store_reconciled"]


def test_old_results_go_with_their_pictures_and_the_job_stays(services, submit):
    retention = services.settings.retention.model_copy(update={"batch_days": 2})
    services.settings = services.settings.model_copy(update={"retention": retention})
    picture = services.store.put(b"a picture")
    old, young = (
        submit.job(JobKind.BATCH, request=BLANK[JobKind.BATCH]),
        submit.job(JobKind.BATCH, request=BLANK[JobKind.BATCH]),
    )
    with services.database.transaction() as session:
        session.add(Blob(sha256=picture.sha256, bytes=9))
        for job, sha256 in ((old, picture.sha256), (young, None)):
            batches.add_items(session, job.id, [{"custom_id": "a", "sha256": sha256}])
            jobs.move(session, job.id, JobStatus.CANCELLED)
        session.execute(update(Job).where(Job.id == old.id).values(finished_at=now(-3 * 86400)))
    clean(services)
    with services.database.transaction() as session:  # the clock counts milliseconds
        session.execute(update(Job).where(Job.results_expire_at <= now()).values(results_expire_at=now(-1)))
    purge(services)
    assert submit.find(old).results_deleted_at
    assert submit.find(young).results_deleted_at is None
    with services.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(BatchItem)) == 1
    yesterday(services, picture.sha256)
    clean(services)
    assert not services.store.exists(picture.sha256)
    assert submit.find(old).status == "cancelled"


def test_a_batch_wakes_who_is_free_and_nobody_who_is_at_work(services, submit, model, archive, monkeypatch):
    upload = services.store.put(archive({f"{number}.png": number for number in range(40)}))
    job = submit.batch(model, {"type": "archive"}, upload_sha256=upload.sha256)
    clock = Clock(monkeypatch)
    renotifier, broker = Renotifier(services), with_broker(services, Recorder(up=False))
    work(services, job.id, plan)
    for name in ("a", "b"):
        report(services, name, "infer")
    broker.up = True
    renotifier.notify()
    renotifier.notify()
    assert broker.sent == [Queue.INFER] * 2, "one bell for each worker, once"
    for name in ("a", "b"):
        assert scheduling.claim_next(services.database, Queue.INFER, name, services.settings.jobs)
    broker.sent.clear()
    clock.ahead(100)
    renotifier.notify()
    assert broker.sent == [], "both are at work, and look for more by themselves"
    report(services, "c", "infer")
    renotifier.notify()
    assert broker.sent == [Queue.INFER], "one is free, and has not heard of it"
