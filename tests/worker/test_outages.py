"""The database is away for a while: work that was under way is done once all the same, and no program ends of it."""

import logging
import sqlite3
import threading
from contextlib import suppress
from unittest.mock import Mock

import pytest
from celery.contrib.testing.worker import start_worker
from sqlalchemy import Engine, event, func, select, update

from db.clock import now
from db.curation import datasets
from db.jobs import batches, jobs, leases, scheduling, workers
from db.models import Chunk, Job, Prediction
from db.session import DatabaseUnavailable
from devtools.servers import wait_until
from tests.requests import BLANK
from tests.worker.conftest import Recorder, run_next, with_broker, work
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.queue import task_name
from worker import dispatcher, lease
from worker.inference import chunks
from worker.inference.batch_inference import Classified
from worker.inference.model_cache import Loaded
from worker.jobs import imports
from worker.jobs.batches import plan
from worker.supervisor import release
from worker.tasks import register


class Outage:
    """While it lasts the database answers nothing, in all threads of this process."""

    def __init__(self):
        self.lasts = False
        self.refused = 0
        self._first, self._once = None, False

    def begin_with(self, statement, *, once=False):
        """Begin when a statement like this comes; `once`, end again at once."""
        self._first, self._once = statement, once

    def meet(self, _connection, _cursor, statement, parameters, _context, _executemany):
        begins = self._first is not None and statement.startswith(self._first)
        if begins:
            self._first, self.lasts = None, not self._once
        if begins or self.lasts:
            self.refused += 1
            raise DatabaseUnavailable(
                statement, parameters, sqlite3.OperationalError("the server closed the connection")
            )


@pytest.fixture
def outage():
    outage = Outage()
    event.listen(Engine, "before_cursor_execute", outage.meet)
    yield outage
    event.remove(Engine, "before_cursor_execute", outage.meet)


@pytest.fixture
def models(monkeypatch):
    """Models that find everything red, at once."""

    def predict(_predictor, items, _reading, _threshold):
        rows = [batches.blank_prediction(item.seq) | {"label": "red", "score": 1.0} for item in items]
        return Classified(rows, distribution=None)

    monkeypatch.setattr(chunks, "predict", predict)
    models = Mock()
    models.get.return_value = Loaded(Mock(), {"device": "cpu"}, Mock())
    return models


@pytest.fixture
def batch(services, submit, model, archive):
    """A batch of one chunk with three pictures."""
    blob = services.store.put(archive({f"{number}.png": number for number in range(3)}))
    job = submit.batch(model, {"type": "archive", "filename": "x.zip"}, upload_sha256=blob.sha256)
    work(services, job.id, plan)
    return job


def chunk_of(services, job):
    with services.database.reading() as session:
        return session.scalars(select(Chunk).where(Chunk.job_id == job.id)).one()


def predictions_of(services, job):
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Prediction).where(Prediction.job_id == job.id))


def run_out(services):
    """Let the time of all leases pass, and a dispatcher look."""
    with services.database.transaction() as session:
        for table in (Job, Chunk):
            session.execute(update(table).where(table.lease_owner.is_not(None)).values(lease_expires_at=now(-1)))
    dispatcher.recover(services)


def test_a_dispatcher_goes_on_when_the_database_is_back(services, submit, outage):
    submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])
    broker, stop = with_broker(services, Recorder()), threading.Event()
    outage.lasts = True
    thread = threading.Thread(target=dispatcher.dispatch, args=(services, stop))
    thread.start()
    try:
        assert wait_until(lambda: outage.refused >= 3)
        assert broker.sent == []
        outage.lasts = False

        def rung():
            with services.database.transaction() as session:
                workers.report(session, "train@here", "train", None)  # as one that idles does now and then
            return broker.sent == [Queue.TRAIN]

        assert wait_until(rung)
    finally:
        stop.set()
        thread.join()


def test_a_supervisor_that_cannot_end_the_leases_of_the_dead_goes_on(services, submit, outage):
    job = submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])
    with services.database.transaction() as session:
        leases.claim(session, Job, job.id, "dead", 30)
    outage.lasts = True
    release(services.settings, "dead")
    outage.lasts = False
    assert (submit.find(job).lease_owner, outage.refused > 0) == ("dead", True), "its lease ends by itself"


def test_an_outage_shorter_than_a_lease_costs_a_running_job_nothing(services, submit, outage, monkeypatch):
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.02)
    job = submit.job(JobKind.TRAINING, request=BLANK[JobKind.TRAINING])

    def do(services, job, held):
        outage.lasts = True
        assert wait_until(lambda: outage.refused >= 3)
        outage.lasts = False
        with services.database.transaction() as session:
            jobs.request_finish(session, job.id)
        assert wait_until(lambda: held.signals.finish), "the lease's thread lives, and learns again"
        held.check()
        with services.database.transaction() as session:
            assert jobs.finish(session, job, {})

    work(services, job.id, do)
    ended = submit.find(job)
    assert (ended.status, ended.attempt) == ("succeeded", 1)


@pytest.mark.parametrize("statement", ["INSERT INTO predictions", "UPDATE jobs SET completed"])
def test_a_finished_chunk_that_could_not_be_written_is_repeated_after_its_lease(
    services, submit, models, batch, outage, statement
):
    outage.begin_with(statement)
    with suppress(DatabaseUnavailable):
        run_next(services, models)
    assert outage.refused > 0
    outage.lasts = False
    assert predictions_of(services, batch) == 0, "all or nothing"
    run_out(services)
    run_next(services, models)
    ended = submit.find(batch)
    assert (ended.status, ended.items_succeeded, ended.items_errored) == ("succeeded", 3, 0)
    assert predictions_of(services, batch) == 3


def test_a_chunk_that_met_a_short_outage_is_tried_again_and_loses_no_picture(services, submit, models, batch, outage):
    outage.begin_with("INSERT INTO predictions", once=True)
    run_next(services, models)
    run_out(services)
    run_next(services, models)
    ended = submit.find(batch)
    assert (ended.status, ended.items_succeeded, predictions_of(services, batch)) == ("succeeded", 3, 3)
    assert chunk_of(services, batch).attempt == 1, "it was only written a little later"


def test_work_whose_claim_could_not_be_written_still_waits(services, models, batch, outage):
    chunk = chunk_of(services, batch)
    outage.lasts = True
    with suppress(DatabaseUnavailable):
        run_next(services, models)
    outage.lasts = False
    waiting = chunk_of(services, batch)
    assert (waiting.status, waiting.attempt) == ("queued", 0)
    with services.database.reading() as session:
        assert scheduling.waiting(session, Queue.INFER, 9) == [chunk.id]


def test_an_import_goes_on_where_the_outage_met_it(services, submit, pets, outage, monkeypatch):
    monkeypatch.setattr(imports, "COMMIT_FILES", 10)
    job = submit.import_zip(pets)
    real, commits = imports.commit, []

    def commit(*arguments):
        commits.append(arguments)
        if len(commits) == 2:
            outage.begin_with("INSERT INTO import_items")
        real(*arguments)

    monkeypatch.setattr(imports, "commit", commit)
    with suppress(DatabaseUnavailable):
        work(services, job.id, imports.run)
    assert outage.refused > 0
    outage.lasts = False
    run_out(services)
    work(services, job.id, imports.run)
    ended = submit.find(job)
    assert (ended.status, ended.result["accepted"], ended.result["duplicates"]) == ("succeeded", 24, 0)
    with services.database.reading() as session:
        assert datasets.count_images(session, [job.dataset_id])[job.dataset_id].splits == {"unassigned": 24}


def test_a_celery_worker_lives_on_and_tells_its_log(services, submit, pets, outage, caplog, monkeypatch):
    monkeypatch.setattr("tsukiji.kernel.log.configure", lambda *_: None)  # pytest's own handlers stay
    job = submit.import_zip(pets)
    app = register(services.settings, Queue.INTAKE)
    caplog.set_level(logging.ERROR)
    outage.lasts = True
    with start_worker(app, pool="solo", perform_ping_check=False, queues=[task_name(Queue.INTAKE)], loglevel="ERROR"):
        assert services.notifier.notify(Queue.INTAKE)
        assert wait_until(lambda: "closed the connection" in caplog.text)
        outage.lasts = False
        assert submit.find(job).status == "queued"
        assert services.notifier.notify(Queue.INTAKE)
        assert wait_until(lambda: submit.find(job).status == "succeeded")
