"""Values are of the kinds that the OpenAPI document says: nothing is converted silently. Forms are text, and exempt."""

from typing import Annotated, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.api.conftest import as_files, pictures
from tsukiji.types import Request

BATCH = {"model": "production", "input": {"dataset": "sushi"}}


@pytest.mark.parametrize(
    ("member", "value"),
    [("priority", False), ("priority", "1"), ("threshold", True), ("tags", 1), ("tags", "true"), ("top_k", "3")],
)
def test_members_of_another_kind_are_refused(client, dataset, model, member, value):
    answer = client.post("/v1/batches", json=BATCH | {member: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"#/{member}"
    assert "send " in answer.json()["detail"]


@pytest.mark.parametrize(("member", "value"), [("priority", 1), ("threshold", 0), ("tags", True), ("min_known", None)])
def test_members_of_their_kind_are_taken(client, dataset, model, member, value):
    assert client.post("/v1/batches", json=BATCH | {member: value}).status_code == 202


def test_fields_of_forms_are_text(client, model):
    fields = {"model": model, "top_k": "2", "tags": "true", "threshold": "0.5"}
    assert client.post("/v1/batches", files=as_files(pictures(1)), data=fields).status_code == 202


@pytest.mark.parametrize(("edge", "status"), [(9, 201), (9.0, 201), (True, 422), (1.5, 422), ("9", 422)])
def test_edges_of_a_crop_are_numbers(client, dataset, edge, status):
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]["id"]
    body = {"act": "crop", "images": [image], "crop": [0, 0, edge, 9]}
    assert client.post(f"/v1/datasets/{dataset}/revisions", json=body).status_code == status


def test_no_number_inside_a_list_or_object_is_taken_from_text():
    """Of any request: `Request` itself sees only the whole member."""
    numbers = [
        (model.__name__, name, inner)
        for model in subclasses(Request)
        for name, field in model.model_fields.items()
        for inner in inner_annotations(field.annotation)
        if is_number(inner)
    ]
    assert len({model for model, _, _ in numbers}) >= 3
    taken = [(model, name, other) for model, name, inner in numbers for other in ("1", True) if takes(inner, other)]
    assert not taken


def takes(annotation, value):
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def subclasses(model):
    for child in model.__subclasses__():
        yield child
        yield from subclasses(child)


def inner_annotations(annotation):
    """Yield what lists and objects consist of."""
    for one in get_args(annotation):
        if get_origin(annotation) in {list, tuple, dict}:
            yield one
        yield from inner_annotations(one)


def is_number(annotation):
    return is_number(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation in {int, float}


@pytest.mark.parametrize("moment", ["0.5", "1764500000", "nan", "yesterday"])
def test_a_time_is_no_number(client, moment):
    assert client.get("/v1/audit", params={"since": moment}).status_code == 422


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/events", "/v1/audit", "/v1/jobs/trn_1/events"])
@pytest.mark.parametrize("cursor", ["", "1.95e+16", "a b", "é"])
def test_what_cannot_be_a_cursor_is_refused_by_streams_as_well(client, path, cursor):
    assert client.get(path, params={"cursor": cursor}).status_code == 422


def test_the_document_names_the_header_and_the_events(app):
    paths = app.openapi()["paths"]
    for path in ("/v1/jobs/{job}", "/v1/batches/{batch}", "/v1/trainings/{training}"):
        assert "Prefer" in {found["name"] for found in paths[path]["get"]["parameters"]}
    for path in ("/v1/events", "/v1/jobs/{job}/events"):
        schema = paths[path]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
        assert set(schema["required"]) == {"event", "data"}
