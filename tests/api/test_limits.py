"""Sizes: refused early, by what really comes in."""

import asyncio
import base64
import hashlib
import json

import pytest
from starlette.exceptions import HTTPException

from api.http.middleware import BodyLimit
from api.main import create_app
from tests.api.conftest import archive, as_files, pictures
from tsukiji.kernel.settings import LimitSettings


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


def test_a_body_that_does_not_come_ends_in_408_and_the_upload_goes_on(client, services, settings, key):
    """The client stops in the middle of a part; what was kept before stays, and the part may be sent again."""
    quick = settings.model_copy(update={"api": settings.api.model_copy(update={"body_seconds": 0.1})})
    app = create_app(quick, lambda _: services)
    app.state.services = services
    data = b"0123456789"
    upload = client.post("/v1/uploads", json={"name": "a.zip", "bytes": len(data)}).json()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Length": str(len(data))}
    place = f"/v1/uploads/{upload['id']}/parts/1"
    status, head, problem = asyncio.run(stall(app, "PUT", place, headers | {"Authorization": f"Bearer {key}"}, b"012"))
    assert (status, head[b"connection"], problem["code"]) == (408, b"close", "request_timeout")
    assert problem["retriable"]
    assert client.get(f"/v1/uploads/{upload['id']}").json()["bytes_confirmed"] == 0
    assert client.put(place, content=data, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/datasets", "application/json"),
        ("/v1/batches", "application/json"),
        ("/v1/batches", "multipart/form-data; boundary=x"),
        ("/v1/batches?model=sushi", "application/jsonl"),
        ("/v1/models/sushi/predict", "image/png"),
        ("/sign-in", "application/x-www-form-urlencoded"),
    ],
)
def test_every_body_has_its_time(services, settings, key, model, path, kind, client):
    app = create_app(settings.model_copy(update={"api": settings.api.model_copy(update={"body_seconds": 0.1})}))
    app.state.services = services
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    status, _, problem = asyncio.run(stall(app, "POST", path, headers, b"--x"))
    assert (status, problem["code"]) == (408, "request_timeout")


def test_a_body_that_drips_has_no_more_time_than_its_bytes_are_worth():
    limit = BodyLimit(swallow, LimitSettings(), seconds=0.2)

    async def receive():
        await asyncio.sleep(0.02)  # each piece comes in time
        return {"type": "http.request", "body": b"a", "more_body": True}

    with pytest.raises(HTTPException) as caught:
        asyncio.run(limit({"type": "http", "path": "/", "headers": []}, receive, None))
    assert caught.value.status_code == 408


async def swallow(scope, receive, send):
    while (await receive())["more_body"]:
        pass


async def stall(app, method, place, headers, body):
    """Call the application as a server does whose client sends the beginning of a body and then nothing more."""
    path, _, query = place.partition("?")
    fields = {"host": "127.0.0.1"} | headers
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    pieces, sent = [{"type": "http.request", "body": body, "more_body": True}], []

    async def receive():
        return pieces.pop() if pieces else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), json.loads(b"".join(part.get("body", b"") for part in rest))
