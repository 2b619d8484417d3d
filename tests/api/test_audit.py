"""The audit log: every act has one entry, written with it, and administrators read it."""

import csv
import io
import json

import pytest

from db import audit
from tests.api.conftest import as_files, picture
from tests.api.test_auth import SAME_SITE


@pytest.fixture
def entries(client):
    def entries(**choice):
        return client.get("/v1/audit", params=choice).json()["data"]

    return entries


def test_an_act_says_who_what_when_and_from_where(client, entries):
    made = client.post("/v1/datasets", json={"name": "sushi"}, headers={"X-Request-Id": "req-1"}).json()
    (entry,) = entries()
    key = client.get("/v1/keys/self").json()
    assert (entry["key_id"], entry["name"]) == (key["id"], "tests")
    assert (entry["act"], entry["subject"], entry["address"]) == ("create_dataset", made["id"], "POST /v1/datasets")
    assert (entry["client"], entry["request_id"]) == ("testclient", "req-1")
    assert entry["at"] >= made["created_at"]


def test_acts_of_every_kind_are_entries(client, entries, dataset, model):
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]["id"]
    client.post(f"/v1/datasets/{dataset}/revisions", json={"act": "exclude", "images": [image]})
    client.put("/v1/aliases/live", json={"model": model})
    job = client.post("/v1/batches", data={"model": model}, files=as_files([picture()])).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    key = client.post("/v1/keys", json={"name": "ci"}).json()["id"]
    client.delete(f"/v1/keys/{key}")
    client.delete(f"/v1/datasets/{dataset}")
    acts = [entry["act"] for entry in entries()][::-1]
    assert acts == [
        "create_dataset",
        *["add_images"] * 2,
        "create_revision",
        "put_alias",
        "create_batch",
        "cancel_job",
        "create_key",
        "revoke_key",
        "delete_dataset",
    ]


def test_what_changes_nothing_is_no_entry(client, entries, dataset, model):
    before = len(entries())
    client.get("/v1/datasets")
    client.post(f"/v1/datasets/{dataset}/images/check", json={"sha256": []})
    client.post("/v1/datasets", json={"name": "sushi"})  # refused: the name is taken
    client.delete("/v1/models/none")
    client.post(f"/v1/models/{model}/predict", files=as_files([picture()]), headers={"Prefer": "wait=0"})
    assert len(entries()) == before, "predictions are jobs, which say who started them"


def test_a_request_that_is_sent_again_is_one_entry(client, entries):
    for _ in range(2):
        client.post("/v1/datasets", json={"name": "once"}, headers={"Idempotency-Key": "one"})
    assert len(entries()) == 1


def test_entries_are_found(client, entries, dataset, model):
    other = client.post("/v1/keys", json={"name": "deleter"}).json()
    client.delete(f"/v1/datasets/{dataset}", headers={"Authorization": f"Bearer {other['key']}"})
    assert [entry["act"] for entry in entries(key="deleter")] == ["delete_dataset"]
    assert {entry["act"] for entry in entries(subject=dataset)} == {"create_dataset", "add_images", "delete_dataset"}
    assert [entry["subject"] for entry in entries(act="create_key")] == [other["id"]]
    moment = entries(key="deleter")[0]["at"]
    assert [entry["act"] for entry in entries(since=moment)] == ["delete_dataset"]
    assert "delete_dataset" not in {entry["act"] for entry in entries(until=moment)}


def test_the_log_is_exported_whole(client, dataset):
    lines = client.get("/v1/audit/export").text.splitlines()
    assert [json.loads(line)["act"] for line in lines] == ["add_images", "add_images", "create_dataset"]
    table = list(csv.DictReader(io.StringIO(client.get("/v1/audit/export", params={"format": "csv"}).text)))
    assert [row["subject"] for row in table][-1] == dataset
    assert len(client.get("/v1/audit/export", params={"act": "add_images"}).text.splitlines()) == 2


def test_signing_in_and_acts_on_the_page_are_entries(client, entries, key, start):
    browser = start(follow_redirects=False)
    browser.headers.update(SAME_SITE)
    browser.post("/sign-in", data={"key": key})
    browser.post("/datasets", data={"name": "by-hand"})
    assert [entry["act"] for entry in entries()] == ["create_dataset", "sign_in"]
    page = browser.get("/audit", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "create_dataset" in page.text
    assert "sign_in" not in browser.get("/audit", params={"act": "create_dataset"}).text


def test_old_entries_are_deleted(services, client, entries, dataset):
    with services.database.transaction() as session:
        assert audit.forget(session, 1) == 0
        assert audit.forget(session, -1) == 3
    assert entries() == []
