"""The first phase of a training: the data set as it is when a worker begins, frozen once."""

import pytest
from sqlalchemy import select

from db import projects, registry
from db.curation import datasets
from db.jobs import jobs, leases
from db.models import Dataset, Job, Snapshot
from tests.worker.conftest import RECIPE, work
from tsukiji.curation import snapshots
from tsukiji.errors import StorageUnavailable
from tsukiji.jobs import JobKind
from worker.freezing import freeze
from worker.jobs import imports


@pytest.fixture
def dataset_id(services, submit, pets):
    job = submit.import_zip(pets)
    work(services, job.id, imports.run)
    return job.dataset_id


@pytest.fixture
def asked(submit, dataset_id):
    """A training as the API leaves it."""

    def ask(**request):
        request = {"dataset_name": "pets", "name": "pets", "recipe": RECIPE.model_dump(), "warnings": []} | request
        return submit.job(JobKind.TRAINING, request=request, dataset_id=dataset_id, unit="epochs", total=2)

    return ask


def frozen_of(services):
    with services.database.reading() as session:
        return [snapshots.loads(services.store.read(row.sha256)) for row in session.scalars(select(Snapshot))]


def test_it_is_frozen_once_however_many_attempts_there_are(services, submit, asked, dataset_id):
    job = asked()
    work(services, job.id, freeze)
    first = submit.find(job)
    assert first.snapshot_id
    assert [warning["code"] for warning in first.request["warnings"]] == ["few_images"]
    with services.database.transaction() as session:
        leases.give_back(session, first, "worker_stopping")
        image = datasets.labelled_images(session, dataset_id)[0]
        datasets.keep_splits(session, dataset_id, {image.id: "test"})
    work(services, job.id, freeze)
    assert submit.find(job).snapshot_id == first.snapshot_id
    (items,) = frozen_of(services)
    assert len(items) == 24
    assert {item.split for item in items} == {"train", "valid"}


def test_what_a_worker_inserts_belongs_to_the_project_of_the_job(services, submit, asked, dataset_id):
    job = asked()
    with services.database.transaction() as session:
        other = projects.create(session, "other").id
        for row in (session.get(Job, job.id), session.get(Dataset, dataset_id)):
            row.project_id = other
    work(services, job.id, freeze)
    with services.database.reading() as session:
        assert session.scalars(select(Snapshot.project_id)).all() == [other]


def test_a_data_set_that_is_gone_fails_the_training(services, submit, asked, dataset_id):
    job = asked()
    with services.database.transaction() as session:
        datasets.remove(session, dataset_id)
    work(services, job.id, freeze)
    ended = submit.find(job)
    assert (ended.status, ended.error["detail"]) == ("failed", "The data set was deleted.")


def test_what_counting_labels_does_not_tell_fails_the_training_with_the_way_out(services, submit, asked, dataset_id):
    with services.database.transaction() as session:
        for image in datasets.labelled_images(session, dataset_id):
            image.group = image.label
    job = asked()
    work(services, job.id, freeze)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "dataset_too_small")
    assert "--set-split" in ended.error["hint"]
    assert frozen_of(services) == []


def test_an_attempt_that_is_not_the_newest_freezes_nothing(services, submit, asked):
    job = asked()

    def lose(services, job, lease):
        with services.database.transaction() as session:
            jobs.change(session, Job.id == job.id, attempt=job.attempt + 1)
        freeze(services, job, lease)

    work(services, job.id, lose)
    assert submit.find(job).snapshot_id is None
    assert frozen_of(services) == []


def test_a_store_that_is_away_is_waited_for(services, submit, asked, monkeypatch):
    job = asked()

    def refuse(*_):
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(services.store), "put", refuse)
        work(services, job.id, freeze)
    waiting = submit.find(job)
    assert (waiting.status, waiting.snapshot_id) == ("queued", None)
    with services.database.transaction() as session:
        jobs.change(session, Job.id == job.id, rests_until=None)
    work(services, job.id, freeze)
    with services.database.reading() as session:
        assert registry.find_snapshot(session, submit.find(job).snapshot_id).images == 24
