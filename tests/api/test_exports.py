"""Exports: one job for each model and format, and the file once it is made."""

import pytest

from db import registry
from db.jobs import exports, jobs, leases
from db.models import Job
from tests.api.conftest import limited


@pytest.fixture
def made(client, services, model):
    """An export as a worker makes it."""
    job = client.post("/v1/models/production/exports", json={"format": "onnx"}).json()
    finish(services, job["id"], model)
    return job


def finish(services, job_id, model, content=b"onnx file"):
    blob = services.store.put(content)
    with services.database.transaction() as session:
        job = leases.claim(session, Job, job_id, "test", 30)
        result = {"model_id": model, "format": "onnx", "max_difference": 1e-7}
        assert jobs.finish(session, job, result)
        exports.put(session, model, job.request["format"], blob.sha256, blob.size, {"max_difference": 1e-7})


def test_an_export_is_a_job(client, services, model):
    answer = client.post("/v1/models/production/exports", json={"format": "fastai"})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert client.get(answer.headers["location"]).json()["object"] == "export"
    assert job["request"] == {"model": model, "model_name": "sushi", "format": "fastai"}
    assert services.notifier.sent == ["intake"]


def test_the_file_is_fetched_once_it_is_there(client, made, model):
    answer = client.get("/v1/models/sushi/exports/onnx")
    assert answer.content == b"onnx file"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''sushi.onnx"
    assert answer.headers["content-length"] == "9"
    (listed,) = client.get(f"/v1/models/{model}/exports").json()["data"]
    assert (listed["format"], listed["bytes"], listed["facts"]) == ("onnx", 9, {"max_difference": 1e-7})
    assert client.get(listed["links"]["self"]).content == b"onnx file"
    ended = client.get(f"/v1/jobs/{made['id']}").json()
    assert client.get(ended["links"]["export"]).content == b"onnx file"


def test_asked_again_it_is_answered_at_once(client, services, made):
    services.notifier.sent.clear()
    again = client.post("/v1/models/sushi/exports", json={"format": "onnx"})
    assert (again.status_code, again.json()["id"], again.json()["done"]) == (200, made["id"], True)
    assert services.notifier.sent == []


def test_what_fastai_has_no_body_for_is_refused_at_once(client, services, model):
    with services.database.transaction() as session:
        registry.find_model(session, model).backbone = "vit_small_patch14_dinov2"
    refused = client.post(f"/v1/models/{model}/exports", json={"format": "fastai"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/format")
    assert "onnx" in refused.text
    assert client.post(f"/v1/models/{model}/exports", json={"format": "onnx"}).status_code == 202


def test_one_that_is_under_way_is_not_started_twice(client, services, model):
    first = client.post("/v1/models/production/exports", json={"format": "onnx"}).json()
    again = client.post(f"/v1/models/{model}/exports", json={"format": "onnx"})
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    other = client.post(f"/v1/models/{model}/exports", json={"format": "fastai"}).json()
    assert other["id"] != first["id"]


def test_one_that_was_cancelled_or_failed_is_started_anew(client, services, model):
    first = client.post("/v1/models/sushi/exports", json={"format": "onnx"}).json()
    client.post(f"/v1/jobs/{first['id']}/cancel")
    again = client.post("/v1/models/sushi/exports", json={"format": "onnx"})
    assert (again.status_code, again.json()["id"] == first["id"]) == (202, False)


def test_what_was_not_made_is_not_found_with_the_way_to_it(client, model):
    answer = client.get("/v1/models/sushi/exports/onnx")
    assert answer.status_code == 404
    assert "POST" in answer.json()["hint"]


@pytest.mark.parametrize("body", [{}, {"format": "torchscript"}, {"format": "onnx", "opset": 9}])
def test_other_formats_and_fields_are_refused(client, model, body):
    assert client.post("/v1/models/sushi/exports", json=body).status_code == 422


def test_exports_are_queued_within_limits(client, services, model):
    services.settings = limited(services.settings, queued_imports=1)
    assert client.post("/v1/models/sushi/exports", json={"format": "onnx"}).status_code == 202
    assert client.post("/v1/models/sushi/exports", json={"format": "fastai"}).status_code == 429


def test_a_deleted_model_takes_its_exports_along(client, made, model):
    client.delete("/v1/aliases/production")
    assert client.delete(f"/v1/models/{model}").status_code == 204
    assert client.get(f"/v1/models/{model}/exports").status_code == 404
    assert client.get(f"/v1/jobs/{made['id']}").status_code == 200
