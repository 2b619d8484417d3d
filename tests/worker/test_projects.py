"""What a worker stores belongs to the project of the job, and counts for its quota."""

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from db import keys, projects, stored_bytes
from db.curation import datasets
from db.models import DEFAULT_PROJECT, Job, Project
from tests.worker.conftest import run_chunks, work
from tsukiji.kernel import log
from worker.jobs.batches import plan
from worker.jobs.imports import run


@pytest.fixture
def quota(services):
    """Let the default project store this many bytes more than it has."""

    def quota(more):
        with services.database.transaction() as session:
            size = stored_bytes.count(session, DEFAULT_PROJECT) + more
            session.execute(update(Project).values(max_stored_bytes=size))

    return quota


def test_an_import_ends_where_nothing_more_may_be_stored(services, submit, archive, quota):
    job = submit.import_zip(archive({f"red/{number}.png": number for number in range(0, 500, 2)}))
    quota(15_000)
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "storage_quota_exceeded")
    with services.database.reading() as session:
        added = sum(count for _, count in datasets.count_labels(session, [ended.dataset_id])[ended.dataset_id])
    assert 0 < added < 250


def test_a_batch_ends_where_nothing_more_may_be_stored(services, submit, model, pets, quota):
    blob = services.store.put(pets)
    job = submit.batch(model, {"type": "archive"}, upload_sha256=blob.sha256)
    quota(100)
    work(services, job.id, plan)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "storage_quota_exceeded")


def test_lines_of_a_chunk_name_its_key_and_project(services, submit, model, models, pets):
    with services.database.transaction() as session:
        lab = projects.create(session, "lab").id
        key = keys.create(session, "theirs", project_id=lab)[0].id
    blob = services.store.put(pets)
    job = submit.batch(model, {"type": "archive"}, upload_sha256=blob.sha256)
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == job.id).values(created_by=key, project_id=lab))
    work(services, job.id, plan)
    with capture_logs(processors=[log.merge_ids]) as lines:
        run_chunks(services, models)
    named = [(line["job_id"], line["key_id"], line["project_id"]) for line in lines if line["event"] == "work_started"]
    assert named == [(job.id, key, lab)] * len(named)
    assert named
