"""What a batch or import may be made of, as the API takes it: manifests, folders, tars."""

import gzip
import json

import pytest

from db.models import Job
from tests.api.conftest import limited
from tests.api.test_uploads import sent
from tsukiji.kernel.settings import SourceSettings

JSONL = {"Content-Type": "application/jsonl"}
LINES = b'{"custom_id": "a", "image": "img_1"}\n{"custom_id": "b", "image": "sha256:00"}\n'


@pytest.fixture
def allowed(services):
    sources = SourceSettings(allowed=["file:///photos", "s3://bucket/2026"])
    services.settings = services.settings.model_copy(update={"sources": sources})


def test_a_manifest_as_the_body_is_planned_by_a_worker(client, services, model):
    answer = client.post("/v1/batches", params={"model": "sushi", "filename": "m.jsonl"}, content=LINES, headers=JSONL)
    assert answer.status_code == 202
    assert answer.json()["request"]["input"] == {"type": "manifest", "filename": "m.jsonl"}
    assert services.notifier.sent == ["intake"]
    with services.database.reading() as session:
        assert services.store.read(session.get(Job, answer.json()["id"]).upload_sha256) == LINES


def test_a_manifest_as_an_upload(client, services, model):
    upload = sent(client, LINES)
    body = {"model": model, "input": {"manifest": upload["id"]}}
    answer = client.post("/v1/batches", json=body)
    assert answer.json()["request"]["input"] == {"type": "manifest", "filename": "pets.zip", "upload": upload["id"]}
    services.settings = limited(services.settings, manifest_bytes=10)
    answer = client.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_manifest_with_too_many_lines_is_refused_while_it_comes(client, services, model):
    services.settings = limited(services.settings, batch_items=100)
    kept = dict(services.store.blobs)
    lines = (LINES for _ in range(51))
    answer = client.post("/v1/batches", params={"model": model}, content=lines, headers=JSONL)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_too_large")
    assert services.store.blobs == kept
    lines = (LINES for _ in range(50))
    assert client.post("/v1/batches", params={"model": model}, content=lines, headers=JSONL).status_code == 202


def test_a_manifest_that_says_to_be_too_large_is_refused_unread(client, settings, model):
    headers = JSONL | {"Content-Length": str(settings.limits.manifest_bytes + 1)}
    answer = client.post("/v1/batches", params={"model": model}, content=b"{}", headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["application/x-zip-compressed", "application/octet-stream", "text/csv", None])
def test_an_archive_is_known_by_its_bytes(client, services, model, kind):
    headers, params = {"Content-Type": kind} if kind else {}, {"model": "sushi", "encoding": "latin-1"}
    for data in (b"PK\5\6" + bytes(18), gzip.compress(bytes(1024)), bytes(1024)):
        answer = client.post("/v1/batches", params=params, content=data, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["request"]["input"] == {"type": "archive", "filename": None, "encoding": "iso8859-1"}
        with services.database.reading() as session:
            assert services.store.read(session.get(Job, answer.json()["id"]).upload_sha256) == data
    answer = client.post("/v1/batches", params=params, content=b"no archive", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/zip" in answer.json()["detail"]


def test_an_archive_of_whatever_type_may_be_large_and_no_larger(client, settings, model):
    for size, status in ((settings.limits.archive_bytes, 415), (settings.limits.archive_bytes + 1, 413)):
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        assert client.post("/v1/batches", params={"model": model}, content=b"x", headers=headers).status_code == status


def test_the_code_page_of_an_uploaded_archive(client, model):
    upload = sent(client, b"PK\5\6" + bytes(18))
    body = {"model": model, "input": {"upload": upload["id"], "encoding": "cp932"}}
    assert client.post("/v1/batches", json=body).json()["request"]["input"]["encoding"] == "cp932"
    body["input"] = {"dataset": "sushi", "encoding": "cp932"}
    assert client.post("/v1/batches", json=body).status_code == 422


@pytest.mark.parametrize("url", ["file:///photos", "file:///photos/a b/2026", "s3://bucket/2026/x"])
def test_a_folder_or_prefix_on_the_list(client, services, model, dataset, allowed, url):
    batch = client.post("/v1/batches", json={"model": model, "input": {"source": url}})
    assert batch.status_code == 202
    assert batch.json()["request"]["input"] == {"type": "source", "source": url}
    found = client.post(f"/v1/datasets/{dataset}/imports", json={"source": url})
    assert found.status_code == 202
    assert found.json()["request"] == {"dataset": dataset, "source": url}
    assert services.notifier.sent == ["intake", "intake"]


@pytest.mark.parametrize("url", ["file:///etc", "file:///photos/../etc", "s3://bucket/2025", "s3://other"])
def test_what_is_not_on_the_list_is_refused_at_once(client, model, dataset, allowed, url):
    for answer in (
        client.post("/v1/batches", json={"model": model, "input": {"source": url}}),
        client.post(f"/v1/datasets/{dataset}/imports", json={"source": url}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "source_not_allowed")


def test_nothing_is_on_the_list_by_default(client, model):
    answer = client.post("/v1/batches", json={"model": model, "input": {"source": "file:///photos"}})
    assert answer.json()["code"] == "source_not_allowed"


@pytest.mark.parametrize(
    "source", [{}, {"upload": "upl_1", "source": "file:///photos"}, {"source": "http://127.0.0.1"}]
)
def test_an_import_has_one_source(client, dataset, source):
    assert client.post(f"/v1/datasets/{dataset}/imports", json=source).status_code == 422


def test_a_tar_is_taken_for_what_it_is(client, model, dataset):
    tar = bytes(10240)
    for kind, data in (("application/x-tar", tar), ("application/gzip", gzip.compress(tar)), ("application/zip", tar)):
        batch = client.post("/v1/batches", params={"model": model}, content=data, headers={"Content-Type": kind})
        found = client.post(f"/v1/datasets/{dataset}/imports", content=data, headers={"Content-Type": kind})
        assert (batch.status_code, found.status_code) == (202, 202)


def test_json_is_bounded_where_archives_are_not(client, dataset, settings):
    body = json.dumps({"upload": "x" * settings.limits.json_bytes})
    answer = client.post(
        f"/v1/datasets/{dataset}/imports", content=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == 413
