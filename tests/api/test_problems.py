"""Errors: one shape, places, numbers, and nothing of the insides."""

import sqlite3

import pytest

from api.http.errors import catalogue, status_of
from db.session import DatabaseUnavailable
from tests.api.conftest import as_files, picture


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
        ("/sign-in", "GET, POST"),
        ("/static/style.css", "GET, HEAD"),
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
        raise DatabaseUnavailable("SELECT", {}, sqlite3.OperationalError("unable to open"))

    monkeypatch.setattr(type(services.database), "reading", fail)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"]


def test_an_error_in_our_sql_is_ours_and_no_outage(client, services, monkeypatch):
    def fail(*_):
        with services.database.engine.connect() as connection:
            connection.exec_driver_sql("SELECT no_such_column")

    monkeypatch.setattr(type(services.database), "reading", fail)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


def test_a_full_disk_of_the_database_is_named(client, services, monkeypatch):
    def fail(*_):
        with services.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # no fewer than there are: none can be added
            connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(1000000)")

    monkeypatch.setattr(type(services.database), "reading", fail)
    answer = client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")


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
    assert line["key_id"].startswith("key_")
    assert line["request_id"] == "abc-1"
    assert "secret" not in str(line)


def test_text_with_a_nul_is_refused_wherever_it_comes(client, dataset):
    """PostgreSQL keeps none, so SQLite does not either."""
    answers = {
        "encoding": client.post(f"/v1/datasets/{dataset}/imports", params={"encoding": "\0"}, content=b""),
        "label": client.get(f"/v1/datasets/{dataset}/images", params={"label": "a\0"}),
        "#/label": client.post(
            f"/v1/datasets/{dataset}/images", files=as_files([picture()]), data={"label": "a\0", "split": "train"}
        ),
    }
    for place, answer in answers.items():
        (line,) = answer.json()["errors"]
        assert answer.status_code == 422
        assert place in line.values()
    for answer in (
        client.get("/v1/datasets/a%00"),
        client.post("/v1/datasets", json={"name": "a", "description": "\0"}),
        client.post(f"/v1/datasets/{dataset}/revisions", json={"act": "rename_label", "label": "\0", "to": "a"}),
    ):
        assert answer.status_code == 422
        assert "NUL" in answer.json()["detail"]
    assert client.post("/v1/datasets", json={"name": "b", "description": r"\u0000 is six letters"}).status_code == 201


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xe9"', b"[" * 5000])
@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/batches"])
def test_json_that_nothing_can_keep_is_no_json(client, path, text):
    body = b'{"name": ' + text + b', "model": ' + text + b"}"
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "json_invalid")


def test_forms_are_in_utf_8(client, model):
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n+2AA-\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b; charset=utf-7"}
    assert client.post("/v1/batches", content=form, headers=kind).json()["code"] == "unsupported_media_type"
    answer = client.post("/sign-in", content=form, headers=kind | {"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 415
