import pytest
from pydantic import ValidationError
from sqlalchemy import update

from db.jobs import jobs
from db.jobs.requests import REQUEST_OF, BatchRequest, DatasetInput, FilesInput, ImportRequest, TrainingRequest
from db.models import Job
from tests.requests import BLANK
from tsukiji.jobs import JobKind


@pytest.mark.parametrize("kind", JobKind)
def test_a_request_is_read_as_it_was_written(session, kind):
    job = jobs.create(session, kind, request=BLANK[kind], max_attempts=3)
    assert job.request == BLANK[kind], "members that were not set are not there"
    assert REQUEST_OF[kind].of(job).to_row() == job.request


@pytest.mark.parametrize("kind", JobKind)
def test_a_request_that_lacks_what_its_kind_needs_is_not_written(session, kind):
    with pytest.raises(ValidationError):
        jobs.create(session, kind, request={"input": {"type": "surprise"}}, max_attempts=3)


def test_rows_of_older_versions_are_read(session):
    job = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    old = {"model": "mdl_1", "label_names": ["a"], "top_k": 2, "threshold": 0, "by_another_version": 1}
    session.execute(update(Job).where(Job.id == job.id).values(request=old))
    asked = BatchRequest.of(jobs.find(session, job.id))
    assert (asked.top_k, asked.kind, asked.tags, asked.heatmap) == (2, "single_label", False, None)
    assert asked.input == FilesInput()


def test_what_is_written_is_short_and_whole():
    options = {"dataset": "dst_1", "options": {"label": "a"}}
    assert ImportRequest.model_validate(options).to_row() == options
    assert ImportRequest(dataset="dst_1").to_row() == {"dataset": "dst_1"}
    recipe = TrainingRequest.model_validate({"recipe": {"epochs": 3}, "name": "m"}).to_row()["recipe"]
    assert (recipe["epochs"], "image_size" in recipe) == (3, True), "a later default does not change it"
    source = DatasetInput(type="dataset", dataset="dst_1", split=None)
    asked = BatchRequest(model="mdl_1", label_names=["a"], input=source)
    assert asked.to_row()["input"] == {"type": "dataset", "dataset": "dst_1", "split": None}
