from sqlalchemy import func, select, update

from db import batches, jobs
from db.clock import now
from db.models import BatchItem, Blob, Job
from tsukiji.jobs import JobKind, JobStatus, Task
from worker.dispatcher import clean, purge, recover, send


class Recorder:
    """Stands in for a broker: remembers what was sent, or is down."""

    def __init__(self, up=True):
        self.up, self.sent = up, []

    def send(self, task, row_id, *, priority=0):
        if self.up:
            self.sent.append((task, row_id))
        return self.up


def with_broker(services, broker):
    object.__setattr__(services, "wakeups", broker)
    return broker


def test_what_was_accepted_while_the_broker_was_down_is_sent_when_it_is_back(services, submit):
    job = submit.job(JobKind.TRAINING, request={})
    down = with_broker(services, Recorder(up=False))
    send(services)
    assert down.sent == []
    up = with_broker(services, Recorder())
    send(services)
    send(services)
    assert up.sent == [(Task.TRAINING, job.id)], "once, not at every tick"


def test_work_of_a_silent_worker_goes_to_another(services, submit):
    job = submit.job(JobKind.TRAINING, request={})
    broker = with_broker(services, Recorder())
    send(services)
    with services.database.transaction() as session:
        jobs.claim(session, job.id, "silent", 30)
    recover(services)
    assert submit.find(job).status == "running"
    with services.database.transaction() as session:
        session.execute(update(Job).values(lease_expires_at=now(-1)))
    recover(services)
    send(services)
    assert submit.find(job).status == "queued"
    assert broker.sent == [(Task.TRAINING, job.id)] * 2
    assert [line.data.get("why") for line in submit.history(job)] == [None, None, "lease_expired"]


def test_bytes_that_nothing_refers_to_are_deleted_after_the_grace_time(services, submit):
    used, unused = services.store.put(b"used"), services.store.put(b"unused")
    submit.job(JobKind.IMPORT, request={}, upload_sha256=used.sha256)
    with services.database.transaction() as session:
        session.add(Blob(sha256=unused.sha256, bytes=6))
    clean(services)
    assert services.store.exists(unused.sha256), "somebody may be about to refer to it"
    with services.database.transaction() as session:
        session.execute(update(Blob).values(used_at=now(-25 * 3600)))
    clean(services)
    assert services.store.exists(used.sha256)
    assert not services.store.exists(unused.sha256)


def test_old_results_go_with_their_pictures_and_the_job_stays(services, submit):
    retention = services.settings.retention.model_copy(update={"batch_days": 2})
    object.__setattr__(services, "settings", services.settings.model_copy(update={"retention": retention}))
    picture = services.store.put(b"a picture")
    old, young = submit.job(JobKind.BATCH, request={}), submit.job(JobKind.BATCH, request={})
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
        session.execute(update(Blob).values(used_at=now(-25 * 3600)))
    clean(services)
    assert not services.store.exists(picture.sha256)
    assert submit.find(old).status == "cancelled"
