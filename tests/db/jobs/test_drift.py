"""Drift of batches: counted once for each chunk, tested at the end, and told."""

import numpy as np
import pytest
from sqlalchemy import select, update

from db import webhooks
from db.jobs import batches, drift, jobs
from db.models import BatchDrift, Chunk, Job, Model, WebhookDelivery
from db.paging import Window
from tests.db.jobs.test_batches import claim, make, rows
from tsukiji.jobs import JobKind
from tsukiji.vision.drift import FEATURES, Distribution, HeldOut

KNOWN = np.linspace(0.01, 1, 60)
HELD_OUT = HeldOut.of(np.arange(60) % 2, KNOWN, KNOWN, np.zeros((60, FEATURES)), 2)


@pytest.fixture
def model(session):
    row = Model(id="mdl_1", name="pets", backbone="resnet18", label_names=["cat", "dog"], recipe={}, bytes=1)
    row.held_out = HELD_OUT.model_dump()
    session.add(row)
    session.flush()
    return row


def batch(session, model, kind=JobKind.BATCH):
    """Return a batch of three chunks of the model, and their ids."""
    job, chunks = make(session, images=12, kind=kind)
    session.execute(update(Job).where(Job.id == job.id).values(model_id=model.id))
    return job, chunks


def pictures(known, images=4):
    scores = np.full(images, float(known))
    return Distribution.of(np.arange(images) % 2, scores, scores, np.zeros((images, FEATURES)), 2, HELD_OUT)


def classify(session, chunks, known):
    for chunk_id in chunks:
        work = claim(session, chunk_id)
        assert batches.finish_chunk(session, work, rows(work), None, pictures(known))


def test_a_batch_of_strange_pictures_is_told_to_history_and_webhooks(session, model):
    webhooks.create(session, "https://example.com", ["model.*"])
    job, chunks = batch(session, model)
    classify(session, chunks, 0.0)
    found = drift.of_batch(session, job.id)
    assert (found.strange, found.exceeded, found.model_id) == (12, True, "mdl_1")
    assert found.p_value <= 0.005
    assert found.expected == pytest.approx(12 / 15, abs=0.3)
    (told,) = session.scalars(select(WebhookDelivery)).all()
    assert told.event == "model.drift"
    assert told.data["batch_id"] == job.id
    assert (told.data["model"], told.data["images"], told.data["strange"]) == ("pets", 12, 12)
    last = jobs.events(session, job.id)[-1]
    assert (last.event, last.data["strange"]) == ("log", 12)


def test_a_batch_of_its_own_kind_is_tested_and_not_told(session, model):
    webhooks.create(session, "https://example.com", ["model.*"])
    job, chunks = batch(session, model)
    classify(session, chunks, 0.5)
    found = drift.of_batch(session, job.id)
    assert (found.strange, found.exceeded) == (0, False)
    assert found.p_value == 1
    assert session.scalars(select(WebhookDelivery)).all() == []


def test_each_chunk_counts_once_however_many_attempts_it_takes(session, model):
    job, (chunk_id, *_) = batch(session, model)
    first = claim(session, chunk_id)
    session.expunge(first)
    session.execute(update(Chunk).where(Chunk.id == chunk_id).values(status="queued", lease_owner=None))
    second = claim(session, chunk_id)
    assert not batches.finish_chunk(session, first, rows(first), None, pictures(0.0))
    assert batches.finish_chunk(session, second, rows(second), None, pictures(0.5))
    assert not batches.finish_chunk(session, second, rows(second), None, pictures(0.5))
    kept = Distribution.from_bytes(drift.of_batch(session, job.id).distribution)
    assert (kept.images, kept.strange.sum()) == (4, 0)
    assert drift.of_batch(session, job.id).p_value is None, "it is tested when the batch has ended"


def test_without_held_out_pictures_a_batch_is_counted_and_not_tested(session, model):
    model.held_out = None
    session.flush()
    job, chunks = batch(session, model)
    classify(session, chunks, 0.0)
    found = drift.of_batch(session, job.id)
    assert (found.strange, found.p_value, found.exceeded) == (None, None, False)
    assert Distribution.from_bytes(found.distribution).images == 12


def test_evaluations_and_batches_of_a_deleted_model_have_no_drift(session, model):
    _, chunks = batch(session, model, JobKind.EVALUATION)
    classify(session, chunks, 0.0)
    gone, chunks = make(session, images=12)
    classify(session, chunks, 0.0)
    assert jobs.find(session, gone.id).status == "succeeded"
    assert session.scalars(select(BatchDrift)).all() == []


def test_batches_of_a_model_come_newest_first_and_page_by_page(session, model):
    made = []
    for _ in range(3):
        job, chunks = batch(session, model)
        classify(session, chunks, 0.5)
        made.append(job.id)
    page = drift.page(session, "mdl_1", Window(2))
    rest = drift.page(session, "mdl_1", Window(2, page.next_cursor))
    assert [row.job_id for row in [*page.data, *rest.data]] == made[::-1]
    assert rest.next_cursor is None
