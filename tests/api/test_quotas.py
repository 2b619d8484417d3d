"""Quotas of pictures and of stored bytes, and rates of projects."""

import pytest

from db.jobs import batches, leases
from db.models import Job, Usage
from tests.api.conftest import as_files, picture, pictures, work


@pytest.fixture
def limited(client, start):
    """Create a key, by default one that may send three pictures a day, and return its client."""

    def limited(**columns):
        asked = {"name": "camera", "scopes": ["predict", "label"], "pictures_per_day": 3} | columns
        return start(client.post("/v1/keys", json=asked).json()["key"])

    return limited


def send(client, model, count):
    return client.post("/v1/batches", data={"model": model}, files=as_files(pictures(count)))


def test_a_key_over_its_quota_is_told_when_to_come_back(limited, model):
    camera = limited()
    sent = send(camera, model, 2)
    assert sent.status_code == 202
    assert sent.headers["ratelimit-policy"] == '"pictures";q=3;w=86400'
    refused = send(camera, model, 2)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "1 are left" in refused.json()["detail"]
    assert refused.json()["retriable"]
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert refused.headers["ratelimit"].startswith('"pictures";r=1;t=')
    assert send(camera, model, 1).status_code == 202, "what was refused did not count"
    assert send(camera, model, 1).status_code == 429
    assert camera.get("/v1/models").headers["ratelimit"].startswith('"pictures";r=0;')


def test_predictions_and_images_count_and_other_requests_do_not(limited, client, dataset, model):
    camera = limited(pictures_per_day=2)
    ask = {"files": as_files([picture()]), "headers": {"Prefer": "wait=0"}}
    assert camera.post(f"/v1/models/{model}/predict", **ask).status_code == 202
    images = f"/v1/datasets/{dataset}/images"
    assert camera.post(images, files=as_files([picture((9, 9, 9))]), data={"label": "eel"}).status_code == 201
    for answer in (
        camera.post(f"/v1/models/{model}/predict", **ask),
        camera.post(f"/v1/models/{model}/predict", params={"record": "false"}, **ask),
        camera.post(images, files=as_files([picture((8, 8, 8))]), data={"label": "eel"}),
        camera.post(f"/v1/datasets/{dataset}/imports", content=b"url\n", headers={"Content-Type": "text/csv"}),
        send(camera, model, 1),
    ):
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert camera.get("/v1/datasets").status_code == 200
    assert client.post(f"/v1/models/{model}/predict", **ask).status_code == 202, "other keys go on"


def test_a_batch_that_a_worker_counts_is_taken_while_anything_is_left(limited, services, dataset, model):
    camera = limited(scopes=["predict", "read"])
    started = camera.post("/v1/batches", json={"model": model, "input": {"dataset": dataset}})
    assert started.status_code == 202
    with services.database.transaction() as session:  # as a worker that has read it
        job = leases.claim(session, Job, started.json()["id"], "test", 30)
        batches.add_items(session, job.id, [{"custom_id": str(number)} for number in range(8)])
        batches.cut(session, job, 4, 4, 3)
        batches.finish_plan(session, job, 8, 4, 3)
    assert camera.get("/v1/models").headers["ratelimit"].startswith('"pictures";r=0;')
    assert send(camera, model, 1).status_code == 429


def test_a_project_has_quotas_of_its_own(limited, client, start, model):
    quotas = {"pictures_per_day": 3, "requests_per_minute": 6}
    client.patch("/v1/projects/default", json=quotas)
    first, second = limited(pictures_per_day=None), limited(pictures_per_day=2)
    assert send(first, model, 2).status_code == 202
    refused = send(second, model, 2)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "This project may send 3 pictures a day; 1 are left" in refused.json()["detail"]
    policies = '"project-requests";q=6;w=60, "pictures";q=2;w=86400, "project-pictures";q=3;w=86400'
    assert refused.headers["ratelimit-policy"] == policies
    answers = [first.get("/v1/models") for _ in range(4)]
    assert [answer.status_code for answer in answers].count(429) >= 1
    assert answers[-1].json()["code"] == "rate_limited"
    assert "This project" in answers[-1].json()["detail"]


def test_without_a_quota_nothing_is_counted(client, services, model):
    send(client, model, 3)
    work(services)
    with services.database.reading() as session:
        assert session.query(Usage).count() == 0


def test_what_a_worker_counts_counts_once(limited, services, dataset, model):
    """However often a batch is planned."""
    camera = limited(scopes=["predict", "read"], pictures_per_day=20)
    started = camera.post("/v1/batches", json={"model": model, "input": {"dataset": dataset}}).json()["id"]
    for items in (4, 4, 8):
        with services.database.transaction() as session:
            job = session.get_one(Job, started)
            batches.cut(session, job, items, 4, 3)
    assert camera.get("/v1/models").headers["ratelimit"].startswith('"pictures";r=12;')


def store(client, most):
    """Set the default project's quota of bytes."""
    assert client.patch("/v1/projects/default", json={"max_stored_bytes": most}).json()["max_stored_bytes"] == most


def is_over(answer):
    return (answer.status_code, answer.json()["code"]) == (413, "storage_quota_exceeded")


def test_a_project_that_is_full_takes_nothing_in_but_reads_and_deletes(client, dataset, model):
    store(client, 1)
    images = f"/v1/datasets/{dataset}/images"
    predict = f"/v1/models/{model}/predict"
    for answer in (
        client.post(images, files=as_files([picture((9, 9, 9))]), data={"label": "eel"}),
        client.post("/v1/uploads", json={"bytes": 1}),
        client.post("/v1/trainings", json={"dataset": dataset}),
        client.post(f"/v1/datasets/{dataset}/imports", content=b"url\n", headers={"Content-Type": "text/csv"}),
        client.post(predict, files=as_files([picture()]), headers={"Prefer": "wait=0"}),
        send(client, model, 1),
    ):
        assert is_over(answer)
        assert "This project may store 1 bytes; 0 are left" in answer.json()["detail"]
        assert not answer.json()["retriable"]
        assert "retry-after" not in answer.headers
    assert client.get(images).status_code == 200
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    store(client, None)
    assert client.post("/v1/uploads", json={"bytes": 1}).status_code == 201


def test_what_is_sent_must_fit_and_what_is_deleted_makes_room(client, dataset):
    upload = client.post("/v1/uploads", json={"bytes": 100_000}).json()["id"]
    before = client.get(f"/v1/datasets/{dataset}/images").json()["data"]
    store(client, sum(image["bytes"] for image in before) + 100_010)
    images, sent = f"/v1/datasets/{dataset}/images", {"files": as_files([picture((9, 9, 9))])}
    assert is_over(client.post(images, **sent, data={"label": "eel"}))
    assert len(client.get(images).json()["data"]) == len(before)
    assert client.delete(f"/v1/uploads/{upload}").status_code == 204
    assert client.post(images, **sent, data={"label": "eel"}).status_code == 201
    assert is_over(client.post("/v1/uploads", json={"bytes": 100_000}))


def test_other_projects_and_older_data_do_not_count(client, start, dataset):
    lab = client.post("/v1/projects", json={"name": "lab", "max_stored_bytes": 10}).json()
    assert set(lab) == {"object", "id", "name", "default", "created_at", "max_stored_bytes"} | {
        "requests_per_minute",
        "pictures_per_day",
    }
    theirs = start(client.post("/v1/keys", json={"name": "lab", "project": "lab"}).json()["key"])
    assert theirs.post("/v1/uploads", json={"bytes": 10}).status_code == 201
    assert is_over(theirs.post("/v1/uploads", json={"bytes": 1}))
    assert client.post("/v1/uploads", json={"bytes": 10}).status_code == 201
