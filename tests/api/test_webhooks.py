"""Webhooks over HTTP. Deliveries themselves are tested in tests/worker/test_webhooks.py."""

import pytest

from db import webhooks
from tests.api.conftest import limited, run_job
from tsukiji.kernel.settings import WebhookSettings

URL = "https://hooks.example.com/tsukiji"


@pytest.fixture
def hook(client):
    return client.post("/v1/webhooks", json={"url": URL}).json()


def act(client, hook, *path, **body):
    return client.post("/".join([f"/v1/webhooks/{hook['id']}", *path]), **({"json": body} if body else {}))


def deliveries(client, hook, **query):
    return client.get(f"/v1/webhooks/{hook['id']}/deliveries", params=query).json()["data"]


def test_a_webhook_is_made_and_its_secret_shown_once(client):
    made = client.post("/v1/webhooks", json={"url": URL, "events": ["training.*"], "description": "chat"})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    listed = client.get("/v1/webhooks")
    (row,) = listed.json()["data"]
    assert (row["url"], row["events"], row["enabled"]) == (URL, ["training.*"], True)
    assert made.json()["secret"] not in listed.text + client.get(f"/v1/webhooks/{made.json()['id']}").text


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://hooks.example.com/"},
        {"url": "https://user:secret@hooks.example.com/"},
        {"url": "http://hooks.example.com:6379/"},
        {"url": URL, "events": []},
        {"url": URL, "events": ["prediction.succeeded"]},
        {"url": URL, "events": ["*.succeeded"]},
        {"url": URL, "secret": "whsec_mine"},
        {},
    ],
)
def test_what_cannot_be_is_refused(client, body):
    assert client.post("/v1/webhooks", json=body).status_code == 422
    assert client.get("/v1/webhooks").json()["data"] == []


def test_hosts_are_those_of_the_settings(client, services, hook):
    services.settings = services.settings.model_copy(update={"webhooks": WebhookSettings(hosts=["n8n.internal"])})
    refused = client.post("/v1/webhooks", json={"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_url_not_allowed")
    assert client.post("/v1/webhooks", json={"url": "http://n8n.internal:5678/"}).status_code == 201
    assert client.patch(f"/v1/webhooks/{hook['id']}", json={"url": URL}).status_code == 422


def test_there_may_only_be_so_many(client, services, hook):
    services.settings = limited(services.settings, webhooks=1)
    refused = client.post("/v1/webhooks", json={"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")


def test_a_webhook_is_changed_and_deleted(client, hook):
    place = f"/v1/webhooks/{hook['id']}"
    changed = client.patch(place, json={"events": ["batch.failed"], "description": "on call"}).json()
    assert (changed["url"], changed["events"], changed["description"]) == (URL, ["batch.failed"], "on call")
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == 404


def test_the_end_of_a_job_is_listed_as_a_delivery(client, services, dataset, hook):
    job = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    assert deliveries(client, hook) == []
    run_job(services, job, {"model_id": "mdl_1"})
    (told,) = deliveries(client, hook)
    assert (told["event"], told["status"], told["attempts"]) == ("training.succeeded", "pending", 0)
    assert (told["data"]["id"], told["data"]["model_id"]) == (job, "mdl_1")
    assert client.get(told["links"]["self"]).json() == told
    assert client.get(told["data"]["links"]["self"]).json()["status"] == "succeeded"


def test_a_test_is_sent_whatever_was_asked_for(client):
    hook = client.post("/v1/webhooks", json={"url": URL, "events": ["batch.failed"]}).json()
    sent = act(client, hook, "test")
    assert (sent.status_code, sent.json()["event"]) == (202, "webhook.test")
    assert deliveries(client, hook) == [sent.json()]


def fail_next(services, hook):
    with services.database.transaction() as session:
        _, delivery = webhooks.claim(session, hook["id"], 60)
        webhooks.fail(session, delivery, 500, "It answered 500.", None)


def test_failed_deliveries_are_seen_and_replayed(client, services, hook):
    ids = [act(client, hook, "test").json()["id"] for _ in range(3)]
    fail_next(services, hook)
    fail_next(services, hook)
    failed = deliveries(client, hook, status="failed")
    assert [(row["response_status"], row["error"]) for row in failed] == [(500, "It answered 500.")] * 2
    assert client.get(f"/v1/webhooks/{hook['id']}").json()["failing_since"]
    again = act(client, hook, "deliveries", failed[0]["id"], "replay")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    assert act(client, hook, "replay").json()["deliveries"] == 1
    assert {row["id"] for row in deliveries(client, hook, status="pending")} == set(ids)


def test_a_disabled_webhook_is_told_nothing(client, services, dataset, hook):
    place = f"/v1/webhooks/{hook['id']}"
    act(client, hook, "test")
    assert client.patch(place, json={"enabled": False}).json()["disabled_because"] == "asked"
    assert [row["status"] for row in deliveries(client, hook)] == ["failed"]
    for path in ("test", "replay"):
        refused = act(client, hook, path)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    job = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    assert len(deliveries(client, hook)) == 1
    assert client.patch(place, json={"enabled": True}).json()["disabled_at"] is None
    assert act(client, hook, "replay").json()["deliveries"] == 1


def test_a_secret_is_rotated(client, hook):
    rotated = act(client, hook, "rotate", overlap_hours=2).json()
    assert rotated["secret"] != hook["secret"]
    assert rotated["old_secret_expires_at"]
    assert act(client, hook, "rotate", overlap_hours=0).json()["old_secret_expires_at"] is None
    assert act(client, hook, "rotate", overlap_hours=1e9).status_code == 422


def test_what_does_not_exist_is_not_found(client, hook):
    other = client.post("/v1/webhooks", json={"url": URL}).json()
    sent = act(client, hook, "test").json()["id"]
    assert client.get(f"/v1/webhooks/{other['id']}/deliveries/{sent}").status_code == 404
    assert act(client, other, "deliveries", sent, "replay").status_code == 404
    assert act(client, {"id": "whk_nope"}, "replay").status_code == 404
    assert client.get("/v1/webhooks/whk_nope/deliveries").status_code == 404
