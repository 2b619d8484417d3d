"""The service itself: health, information, documentation."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.routes import images
from api.services import DECODERS
from db.jobs import workers
from devtools.servers import wait_until
from tsukiji import __version__
from tsukiji.errors import StorageUnavailable


def test_info_names_the_workers(client, services):
    with services.database.transaction() as session:
        speed = {"engine": "openvino", "precision": "int8", "images_per_second": 231.5}
        workers.report(session, "infer@host:1", "infer", "cpu", engines=[speed])
    info = client.get("/v1/info").json()
    assert info["workers"][0]["engines"] == [speed]
    assert info["version"] == info["workers"][0]["version"] == __version__
    assert "predict" in info["features"]
    assert [(worker["queue"], worker["device"]) for worker in info["workers"]] == [("infer", "cpu")]


def test_health(stranger):
    assert stranger.get("/livez").status_code == stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").json()["checks"] == {"database": "ok", "store": "ok", "broker": "ok"}


def test_the_service_answers_while_everything_that_decodes_is_busy(client, stranger, dataset, services, monkeypatch):
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]["links"]["thumb"]
    gate = threading.Event()

    def wait(*_):
        assert gate.wait(30)
        return b"small"

    monkeypatch.setattr(images, "thumbnail", wait)
    with ThreadPoolExecutor(45) as senders:
        sent = [senders.submit(client.get, image) for _ in range(45)]
        try:
            assert wait_until(lambda: services.decoders.statistics().tasks_waiting == 45 - DECODERS)
            assert stranger.get("/livez").status_code == 200
            assert client.get(f"/v1/datasets/{dataset}/images").status_code == 200
        finally:
            gate.set()
        assert {answer.result().content for answer in sent} == {b"small"}


def test_a_broker_that_is_away_is_told_and_no_reason_to_refuse(stranger, services):
    services.notifier.away = True
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, "broker_unavailable")


@pytest.mark.parametrize("part", ["database", "store"])
def test_without_rows_or_bytes_it_is_not_ready(stranger, services, monkeypatch, part):
    def fail():
        raise StorageUnavailable("s3://secret")

    monkeypatch.setattr(getattr(services, part), "check", fail)
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.json()["checks"][part]) == (503, "storage_unavailable")
    assert "secret" not in answer.text
    assert answer.headers["retry-after"]
    assert stranger.get("/livez").status_code == 200


def test_openapi_is_complete(stranger):
    schema = stranger.get("/openapi.json").json()
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        problem = operation["responses"]["4XX"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}
    for reference in re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', stranger.get("/openapi.json").text):
        assert reference in schema["components"]["schemas"]
    assert "multipart/form-data" in schema["paths"]["/v1/batches"]["post"]["requestBody"]["content"]


def test_documentation_needs_no_internet(stranger):
    page = stranger.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)
    assert "<script>" not in page.text
    for place in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert stranger.get(place).status_code == 200, place


def test_documentation_is_in_words_that_its_reader_knows(stranger):
    schema = stranger.get("/docs/openapi.json").json()
    assert schema["openapi"].startswith("3.0")
    assert '"type":"null"' not in stranger.get("/docs/openapi.json").text
    assert schema["components"]["schemas"]["Image"]["properties"]["label"]["nullable"] is True


def test_openapi_says_what_headers_and_cursors_look_like(client):
    """What it says is what is taken: each pattern fits what the service itself sends or asks for, and nothing else."""
    paths = client.get("/openapi.json").json()["paths"]
    digest = "sha-256=:" + "A" * 43 + "=:"
    for path, method, name, right, wrong in (
        ("/v1/datasets", "post", "idempotency-key", ["a", '"b-1"', "x" * 255], ["", "x" * 256, "a b", "\xe9"]),
        ("/v1/datasets", "get", "cursor", ["WyJhIiwgMV0="], ["", "a b", "%"]),
        ("/v1/uploads/{upload}/parts/{number}", "put", "Content-Digest", [digest, f"md5=:AA==:, {digest}"], ["", "x"]),
    ):
        (found,) = [one for one in paths[path][method]["parameters"] if one["name"] == name]
        assert found["description"]
        pattern = found["schema"]["pattern"]
        assert all(re.search(pattern, text) for text in right)
        assert not any(re.search(pattern, text) for text in wrong)
