"""Errors: one shape, places, numbers, and nothing of the insides."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from api.errors import catalogue, status_of


def test_problem_has_its_members(client):
    answer = client.get("/v1/models/nope", headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "/problems/not_found"
    assert (body["code"], body["status"], body["request_id"]) == ("not_found", 404, "abc-1")
    assert "nope" in body["detail"]
    assert body["hint"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"dataset": "x", "recipe": {"epochs": 0}}, "#/recipe/epochs"),
        ({"dataset": "x", "recipe": {"epoch": 1}}, "#/recipe/epoch"),
        ({"dataset": "x", "recipe": {"learning_rate": 0}}, "#/recipe/learning_rate"),
        ({"dataset": "x", "recipe": {"learning_rate": "NaN"}}, "#/recipe/learning_rate"),
        ({"dataset": "x", "recipe": {"image_size": 16}}, "#/recipe/image_size"),
        ({"dataset": "x", "recipe": {"batch_size": 1}}, "#/recipe/batch_size"),
        ({"dataset": "x", "recipe": {"valid_fraction": 1}}, "#/recipe/valid_fraction"),
        ({"dataset": "x", "recipe": {"seed": -1}}, "#/recipe/seed"),
        ({"dataset": "x", "recipe": {"preset": "quik"}}, "#/recipe/preset"),
        ({"dataset": "x", "recipe": {"preset": 3}}, "#/recipe/preset"),
        ({"dataset": "x", "recipe": {"backbone": "vgg16"}}, "#/recipe/backbone"),
        ({"dataset": "x", "recipe": {"class_weights": "some"}}, "#/recipe/class_weights"),
        ({"dataset": "x", "recipe": {"preset": "quick", "pretrained": False}}, "#/recipe"),
        ({"dataset": "x", "recipe": "quick"}, "#/recipe"),
        ({}, "#/dataset"),
        ({"dataset": "x", "metadata": {"a/b~c": 1}}, "#/metadata/a~1b~0c"),
    ],
)
def test_validation_points_at_the_place(client, body, pointer):
    answer = client.post("/v1/trainings", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert [line["pointer"] for line in answer.json()["errors"]] == [pointer]


def test_broken_json_is_told(client):
    answer = client.post("/v1/datasets", content=b'{"name": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {"pointer": "#", "code": "json_invalid", "detail": "JSON decode error"}


def test_query_is_named_as_parameter(client):
    answer = client.get("/v1/jobs", params={"kind": "dream"})
    assert answer.json()["errors"][0]["parameter"] == "kind"


def test_unknown_address_and_method(client):
    assert client.get("/v1/fish").json()["code"] == "not_found"
    answer = client.put("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/datasets", "GET, POST"),
        ("/v1/aliases/production", "GET, PUT, DELETE"),
        ("/v1/datasets/a/revisions/b/undo", "POST"),
        ("/", "GET, POST"),
        ("/static/page.css", "GET, HEAD"),
    ],
)
def test_allow_names_every_method_of_the_address(client, path, methods):
    for method in ("PATCH", "OPTIONS"):
        answer = client.request(method, path, headers={"Sec-Fetch-Site": "same-origin"})
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_the_unforeseen_says_nothing_of_its_insides(client, services, monkeypatch):
    def explode(*_):
        raise RuntimeError("secret place")

    monkeypatch.setattr(type(services.database), "reading", explode)
    answer = client.get("/v1/datasets")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


def test_a_database_that_is_away_is_503(client, services, monkeypatch):
    def fail(*_):
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("unable to open"))

    monkeypatch.setattr(type(services.database), "reading", fail)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"]


def test_request_ids_are_given_or_made(client):
    assert client.get("/livez", headers={"X-Request-ID": "mine"}).headers["x-request-id"] == "mine"
    made = client.get("/livez", headers={"X-Request-ID": "no good\tone"}).headers["x-request-id"]
    assert made.startswith("req_")


def test_security_headers_stand_on_everything(client):
    for path in ("/livez", "/", "/docs", "/v1/nope", "/static/page.css"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "same-origin"


def test_every_problem_has_its_page(stranger):
    for code, kind in catalogue().items():
        facts = stranger.get(f"/problems/{code}").json()
        assert (facts["code"], facts["title"]) == (code, kind.title)
        assert facts["status"] == status_of(kind)
    page = stranger.get("/problems/weights_unavailable", headers={"Accept": "text/html"})
    assert "TSUKIJI_WEIGHTS_DIR" in page.text
    assert stranger.get("/problems/nonsense").status_code == 404


def test_each_request_has_one_line_in_the_log(client, logged):
    client.get("/v1/models/nope?token=secret", headers={"X-Request-ID": "abc-1"})
    (line,) = [line for line in logged if line["event"] == "request_served"]
    assert (line["method"], line["path"], line["status"], line["problem"]) == (
        "GET",
        "/v1/models/nope",
        404,
        "not_found",
    )
    assert line["key"].startswith("key_")
    assert "secret" not in str(line)
