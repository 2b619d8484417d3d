"""Sizes: refused early, by what really comes in."""

import json

import pytest

from tests.api.conftest import archive, as_files, pictures


def chunks(total):
    """A body without Content-Length."""
    for _ in range(total // 1000):
        yield b" " * 1000


def test_json_over_the_limit(client, settings):
    answer = client.post("/v1/datasets", json={"name": "a", "description": "x" * settings.limits.json_bytes})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "20,000" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "10"}])
def test_length_that_is_absent_or_a_lie(client, headers):
    body = chunks(30_000)
    answer = client.post("/v1/datasets", content=body, headers={"Content-Type": "application/json", **headers})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/zip", "image/png"])
def test_other_types_give_json_routes_no_more_room(client, kind):
    answer = client.post("/v1/datasets", content=chunks(30_000), headers={"Content-Type": kind})
    assert answer.status_code == 413


def test_predict_over_the_limit(client, model):
    answer = client.post(f"/v1/models/{model}/predict", content=chunks(700_000), headers={"Content-Type": "image/png"})
    assert answer.status_code == 413


def test_the_size_is_refused_before_the_key_is_asked_for_a_body(stranger):
    answer = stranger.post("/v1/datasets", content=b"x" * 30_000)
    assert answer.status_code == 413


def test_too_many_files(client, dataset, model):
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(101)))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = client.post(f"/v1/models/{model}/predict", files=as_files(pictures(17)))
    assert answer.status_code == 413


def test_no_file_at_all(client, dataset):
    answer = client.post(f"/v1/datasets/{dataset}/images", files={"label": (None, "eel")})
    assert answer.json()["errors"][0]["pointer"] == "#/files"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/datasets/{dataset}/images", "application/json"),
        ("/v1/datasets/{dataset}/imports", "application/x-7z-compressed"),
        ("/v1/batches", "text/csv"),
        ("/v1/models/{model}/predict", "application/json"),
    ],
)
def test_types_that_are_not_taken(client, dataset, model, path, kind):
    answer = client.post(path.format(dataset=dataset, model=model), content=b"{}", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_json_needs_its_content_type(client):
    answer = client.post("/v1/datasets", content=json.dumps({"name": "a"}), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


def test_broken_form_is_told(client, dataset):
    headers = {"Content-Type": "multipart/form-data"}
    answer = client.post(f"/v1/datasets/{dataset}/images", content=b"xx", headers=headers)
    assert answer.status_code == 422


def test_limits_are_published(client, settings):
    limits = client.get("/v1/limits").json()
    assert limits["image_bytes"] == settings.limits.image_bytes
    assert limits["wait_seconds"] == 60
    assert all(isinstance(value, (int, float)) for value in limits.values())


def test_archive_that_is_none(client, dataset):
    answer = client.post(
        f"/v1/datasets/{dataset}/imports", content=b"PK no", headers={"Content-Type": "application/zip"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_unreadable")
    empty = client.post(
        f"/v1/datasets/{dataset}/imports", content=archive({}), headers={"Content-Type": "application/zip"}
    )
    assert empty.status_code == 202
