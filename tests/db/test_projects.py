"""Projects, in both databases: what belongs to one, and what the keys of another see of it."""

import pytest
from sqlalchemy import func, select, text

from db import aliases, keys, projects, webhooks
from db.curation import datasets
from db.jobs import batches, jobs, leases, scheduling
from db.models import (
    DEFAULT_PROJECT,
    Alias,
    ApiKey,
    Base,
    Dataset,
    Job,
    JobEvent,
    Model,
    OfProject,
    Webhook,
    WebhookDelivery,
)
from db.session import RowExists
from db.upgrade import downgrade, upgrade
from db.views import view_of, view_of_job
from tests.db.test_views import export
from tests.requests import BLANK
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.settings import JobSettings

OK = {"label": "a", "score": 0.9}


class Half:
    """A project's key, with a data set, a model, an alias, a job and a webhook."""

    def __init__(self, database, project_id, *scopes):
        with database.transaction() as session:
            self.key = keys.create(session, "key", scopes or ("admin",), project_id=project_id)[0]
        self.database = database.seen_by(view_of(self.key))
        with self.database.transaction() as session:
            self.dataset = datasets.create(session, "pets").id
            facts = {"name": "pets", "backbone": "resnet34", "label_names": [], "recipe": {}, "bytes": 1}
            model = Model(id=new_id("mdl"), dataset_id=self.dataset, **facts)
            session.add(model)
            session.flush()
            self.model = model.id
            self.hook = webhooks.create(session, "https://hooks.example/", ["*"]).id
            aliases.put(session, "production", self.model)
            asked = {"request": export(model), "max_attempts": 1, "created_by": self.key.id}
            self.job = jobs.create(session, JobKind.EXPORT, model_id=self.model, **asked).id


@pytest.fixture
def other(database):
    with database.transaction() as session:
        return projects.create(session, "other").id


@pytest.fixture
def halves(database, other):
    return Half(database, DEFAULT_PROJECT), Half(database, other)


def test_what_is_inserted_belongs_to_the_project_of_the_key(database, halves, other):
    with database.reading() as session:
        for table in (Dataset, Model, Alias, Job, Webhook, ApiKey):
            assert set(session.scalars(select(table.project_id))) == {DEFAULT_PROJECT, other}, table


def test_a_key_sees_only_its_own_project(halves):
    for mine, theirs in (halves, halves[::-1]):
        with mine.database.reading() as session:
            assert session.scalars(select(Dataset.id)).all() == [mine.dataset]
            assert session.scalars(select(Model.id)).all() == [mine.model]
            assert session.scalars(select(Job.id)).all() == [mine.job]
            assert set(session.scalars(select(JobEvent.job_id))) == {mine.job}
            assert set(session.scalars(select(WebhookDelivery.webhook_id))) == {mine.hook}, "told of its own promotion"
            assert session.scalar(select(func.count()).select_from(Webhook)) == 1
            assert aliases.find(session, "production").model_id == mine.model
            assert datasets.find(session, "pets").id == mine.dataset
            assert session.get(Model, theirs.model) is None
            for find, foreign in ((datasets.find, theirs.dataset), (jobs.find, theirs.job), (jobs.lock, theirs.job)):
                with pytest.raises(NotFound):
                    find(session, foreign)


def test_no_table_of_projects_is_left_out(database, halves, other):
    """Of every table with a project's id, a key of another project reads nothing; one that is new fails here."""
    tables = [mapper.class_ for mapper in Base.registry.mappers]
    assert sum(issubclass(table, OfProject) for table in tables) == 10
    filtered = tuple(table for table, _ in view_of(halves[1].key).criteria())
    named = [table for table in tables if {"project_id", "dataset_id"} & set(table.__table__.columns.keys())]
    assert [table for table in named if not issubclass(table, filtered)] == []
    with halves[1].database.reading() as session:
        for table in named:
            of_others = table.project_id != other if hasattr(table, "project_id") else table.dataset_id != "x"
            assert session.scalars(select(table).where(of_others)).all() == [], table


def test_administrators_of_the_default_project_see_all_keys(halves):
    ours, theirs = halves
    with ours.database.reading() as session:
        assert {row.id for row in keys.all_keys(session)} == {ours.key.id, theirs.key.id}
        assert len(projects.page(session, projects.Window()).data) == 2
    with theirs.database.reading() as session:
        assert [row.id for row in keys.all_keys(session)] == [theirs.key.id]
        assert [row.name for row in projects.page(session, projects.Window()).data] == ["other"]


def test_while_there_is_one_project_nothing_is_filtered(database, key):
    assert view_of(key) is None
    with database.transaction() as session:
        projects.create(session, "other")
    with database.reading() as session:
        assert view_of(session.get(ApiKey, key.id)).project == DEFAULT_PROJECT


def test_a_worker_sees_what_the_project_of_the_job_has(database, halves, other):
    with database.reading() as session:
        job = session.get(Job, halves[1].job)
        assert view_of_job(session, job).project == other
        job.created_by = None  # the key is gone
        assert view_of_job(session, job).project == other


def test_names_are_unique_within_a_project(halves):
    with halves[1].database.transaction() as session, pytest.raises(Conflict):
        datasets.create(session, "pets")
    with halves[1].database.transaction() as session:
        session.add(Dataset(id=new_id("ds"), name="pets"))
        with pytest.raises(RowExists):
            session.flush()
        session.rollback()


def test_positions_in_the_queue_count_the_own_project(database, halves):
    with database.reading() as session:
        assert [jobs.queue_position(session, session.get(Job, half.job)) for half in halves] == [0, 0]


def test_webhooks_are_told_of_their_own_project(database, halves):
    for half in halves:
        with database.transaction() as session:
            job = leases.claim(session, Job, half.job, "test", 30)
            assert jobs.finish(session, job, {})
    with database.reading() as session:
        rows = session.scalars(select(WebhookDelivery).where(WebhookDelivery.event == "export.succeeded"))
        assert {row.webhook_id: row.data["id"] for row in rows} == {half.hook: half.job for half in halves}


def test_old_rows_belong_to_the_default_project(database, settings):
    downgrade(settings, "0022")
    with database.transaction() as session:
        insert = "INSERT INTO datasets (id, name, description, kind, created_at) VALUES ('ds_1', 'a', '', 'x', :now)"
        session.execute(text(insert), {"now": "2026-01-01 00:00:00.000"})
    upgrade(settings)
    with database.transaction() as session:
        assert datasets.find(session, "a").project_id == DEFAULT_PROJECT
        insert = "INSERT INTO datasets (id, name, description, kind, created_at) VALUES ('ds_2', 'b', '', 'x', :now)"
        session.execute(text(insert), {"now": "2026-01-01 00:00:00.000"})
        assert datasets.find(session, "b").project_id == DEFAULT_PROJECT, "a program of the version before goes on"
        session.add(Dataset(id="ds_3", name="c", project_id="prj_none"))
        with pytest.raises(RowExists):
            session.flush()
        session.rollback()


def test_projects_take_turns_whatever_the_number_of_their_keys_and_jobs(database, other):
    keys_of = {}
    with database.transaction() as session:
        for project, names in ((DEFAULT_PROJECT, "ab"), (other, "c")):
            for name in names:
                keys_of[name] = keys.create(session, name, project_id=project)[0]
        for number, name in enumerate("aabbcc"):
            key = keys_of[name]
            facts = {"created_by": key.id, "project_id": key.project_id, "age": f"{number:026}", "meta": {"key": name}}
            jobs.create(session, JobKind.TRAINING, request=BLANK[JobKind.TRAINING], max_attempts=3, **facts)
    served = []
    while (job := scheduling.claim_next(database, Queue.TRAIN, "w", JobSettings())) is not None:
        served.append(job.meta["key"])
        with database.transaction() as session:
            jobs.finish(session, job, {})
    assert served == ["a", "c", "b", "c", "a", "b"]


def test_chunks_of_projects_take_turns(database, other):
    with database.transaction() as session:
        for number, project in enumerate([DEFAULT_PROJECT, DEFAULT_PROJECT, DEFAULT_PROJECT, other]):
            facts = {"project_id": project, "age": f"{number:026}", "meta": {"project": project}}
            job = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3, **facts)
            batches.add_items(session, job.id, [{"custom_id": str(one)} for one in range(3)])
            batches.finish_plan(session, job, 3, 1, 3)
    served = []
    for _ in range(6):
        chunk = scheduling.claim_next(database, Queue.INFER, "w", JobSettings())
        with database.transaction() as session:
            served.append(session.get_one(Job, chunk.job_id).project_id)
            assert batches.finish_chunk(session, chunk, [batches.blank_prediction(chunk.first_seq) | OK])
    assert served.count(other) == 3, "one batch of four, and half of the turns"
