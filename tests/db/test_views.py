"""What a key sees, in both databases: rows of each table, by queries of each form."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from db import aliases, keys
from db.curation import datasets
from db.jobs import activity, jobs
from db.models import Alias, AliasMove, Dataset, Evaluation, Job, JobEvent, Model, Upload
from db.views import view_of
from tsukiji.errors import NotFound
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind


@pytest.fixture
def halves(database):
    """A data set, a model trained on it, an alias, an evaluation, a training and a batch, of `a` and of `b`."""
    made = {}
    with database.transaction() as session:
        for name in ("a", "b"):
            dataset = datasets.create(session, name).id
            facts = {"name": name, "backbone": "resnet34", "label_names": [], "recipe": {}, "bytes": 1}
            model = Model(id=new_id("mdl"), dataset_id=dataset, **facts)
            session.add(model)
            session.flush()
            aliases.put(session, f"{name}-live", model.id)
            session.add(Evaluation(id=new_id("evl"), model_id=model.id, dataset_id=dataset, split="all", metrics={}))
            training = jobs.create(session, JobKind.EXPORT, request=export(model), max_attempts=1, dataset_id=dataset)
            export_job = jobs.create(session, JobKind.EXPORT, request=export(model), max_attempts=1, model_id=model.id)
            made[name] = {"dataset": dataset, "model": model.id, "jobs": {training.id, export_job.id}}
    return made


def export(model):
    return {"model": model.id, "model_name": model.name, "format": "onnx"}


@pytest.fixture
def seen(database, halves):
    """Open a session as a key sees it."""

    def seen(*scopes, **binding):
        with database.transaction() as session:
            key = keys.create(session, "key", scopes, **binding)[0]
        return key, database.seen_by(view_of(key))

    return seen


def test_a_key_that_reads_and_is_not_bound_has_no_filter(seen):
    assert seen("read")[1].view is None


def test_a_key_bound_to_a_data_set_sees_what_hangs_on_it(seen, halves):
    mine, theirs = halves["a"], halves["b"]
    _, database = seen("read", datasets=[mine["dataset"]])
    with database.reading() as session:
        assert session.scalars(select(Dataset.name)).all() == ["a"]
        assert session.scalars(select(Model.id)).all() == [mine["model"]]
        assert session.scalars(select(Alias.name)).all() == ["a-live"]
        assert session.scalars(select(AliasMove.name)).all() == ["a-live"]
        assert session.scalars(select(Evaluation.model_id)).all() == [mine["model"]]
        assert set(session.scalars(select(Job.id))) == mine["jobs"]
        assert set(session.scalars(select(JobEvent.job_id))) == mine["jobs"]
        assert session.get(Model, theirs["model"]) is None
        for job in theirs["jobs"]:
            with pytest.raises(NotFound):
                jobs.lock(session, job)


def test_other_forms_of_queries_are_filtered_as_well(seen, halves):
    _, database = seen("read", datasets=[halves["a"]["dataset"]])
    other = aliased(Job)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Model)) == 1
        assert len(session.scalars(select(other)).all()) == 2
        joined = select(Model.id).join(Evaluation, Evaluation.model_id == Model.id)
        assert session.scalars(joined).all() == [halves["a"]["model"]]
        within = select(func.count()).where(Dataset.id.in_(select(Model.dataset_id)))
        assert session.scalar(within) == 1
        assert len(activity.recent_ids(session)) == 4, "but what says that it needs all rows has them"


def test_a_key_bound_to_a_model_sees_no_data_set(seen, halves):
    for word in (halves["a"]["model"], "a-live"):
        _, database = seen("read", "predict", models=[word])
        with database.reading() as session:
            assert session.scalars(select(Model.id)).all() == [halves["a"]["model"]]
            assert session.scalars(select(Dataset.id)).all() == []
            assert len(session.scalars(select(Job.id)).all()) == 1, "the job of the model alone"
            assert session.scalars(select(Evaluation.model_id)).all() == [halves["a"]["model"]]


def test_a_key_that_only_predicts_sees_all_models_and_its_own_jobs_and_uploads(seen, database):
    key, narrowed = seen("predict")
    facts = {"name": "x", "bytes": 1, "part_bytes": 1, "token": "", "expires_at": func.now()}
    with database.transaction() as session:
        model = session.scalars(select(Model)).first()
        own = jobs.create(session, JobKind.EXPORT, request=export(model), max_attempts=1, created_by=key.id).id
        session.add_all([Upload(id="upl_1", created_by=key.id, **facts), Upload(id="upl_2", **facts)])
    with narrowed.reading() as session:
        assert len(session.scalars(select(Model)).all()) == 2
        assert session.scalars(select(Dataset)).all() == []
        assert session.scalars(select(Job.id)).all() == [own]
        assert session.scalars(select(Upload.id)).all() == ["upl_1"]


def test_writers_are_filtered_too(seen, halves):
    _, database = seen("label", datasets=[halves["a"]["dataset"]])
    with database.transaction() as session:
        assert session.scalars(select(Dataset.name)).all() == ["a"]
        with pytest.raises(NotFound):
            datasets.find(session, "b")
