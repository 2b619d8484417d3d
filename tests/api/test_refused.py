"""What is refused leaves nothing behind: room and options are looked at before any byte is kept."""

import pytest

from tests.api.conftest import archive, as_files, limited, picture, pictures

ZIP = {"Content-Type": "application/zip"}
KEY = {"Idempotency-Key": "once"}


def ways(model, dataset):
    """Every request that brings bytes of its own, with a picture that no other sends."""
    files = {"files": as_files([picture((7, 7, 7))]), "data": {"model": model}}
    of_dataset = f"/v1/datasets/{dataset}"
    return {
        "batch of files": ("/v1/batches", files),
        "batch of an archive": (
            "/v1/batches",
            {"params": {"model": model}, "content": archive({"1.png": picture((7, 7, 8))}), "headers": ZIP},
        ),
        "prediction": (f"/v1/models/{model}/predict", {"files": as_files([picture((7, 7, 9))])}),
        "import": (f"{of_dataset}/imports", {"content": archive({"a/1.png": picture((7, 8, 7))}), "headers": ZIP}),
        "import of a table": (
            f"{of_dataset}/imports",
            {"content": b"file,label\n1.png,a\n", "headers": {"Content-Type": "text/csv"}},
        ),
        "training": ("/v1/trainings", {"json": {"dataset": dataset, "recipe": {"seed": 77}}}),
    }


@pytest.fixture
def full(client, services, model, dataset):
    """The queues are full: of one job each."""
    services.settings = limited(services.settings, queued_batches=1, queued_imports=1, queued_trainings=1)
    first = {"files": as_files(pictures(1)), "data": {"model": model}}
    assert client.post("/v1/batches", **first).status_code == 202
    predict = client.post(f"/v1/models/{model}/predict", files=as_files(pictures(1)), headers={"Prefer": "wait=0"})
    assert predict.status_code == 202
    sent = client.post(f"/v1/datasets/{dataset}/imports", content=archive({"a/1.png": picture()}), headers=ZIP)
    assert sent.status_code == 202
    assert client.post("/v1/trainings", json={"dataset": dataset}).status_code == 202


@pytest.mark.parametrize("way", ways("m", "d"))
def test_a_full_queue_keeps_no_bytes_of_what_it_refuses(client, services, model, dataset, full, way):
    before = set(services.store.blobs)
    place, request = ways(model, dataset)[way]
    answer = client.post(place, **request)
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert set(services.store.blobs) == before


@pytest.mark.parametrize("way", ["batch of files", "batch of an archive", "prediction"])
def test_a_heatmap_of_an_unknown_label_keeps_no_bytes(client, services, model, dataset, way):
    before = set(services.store.blobs)
    place, request = ways(model, dataset)[way]
    request.setdefault("params" if way == "batch of an archive" else "data", {})["heatmap"] = "whale"
    answer = client.post(place, **request)
    assert (answer.status_code, "whale" in answer.json()["detail"]) == (422, True)
    assert set(services.store.blobs) == before


def test_what_was_made_before_is_the_answer_though_the_queue_is_full_now(client, services, model, dataset):
    services.settings = limited(services.settings, queued_batches=1, queued_imports=1)
    for way in ("batch of files", "import"):
        place, request = ways(model, dataset)[way]
        request["headers"] = request.get("headers", {}) | KEY
        first, again = (client.post(place, **request) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 202)
        assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
