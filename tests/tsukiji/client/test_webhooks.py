import pytest

from devtools.scripted_service import NOW, page
from tsukiji import types

URL = "https://hooks.example.com/"
HOOK = {"object": "webhook", "id": "whk_1", "url": URL, "events": ["*"], "enabled": True, "created_at": NOW}
DELIVERY = {
    "object": "webhook_delivery",
    "id": "msg_1",
    "webhook_id": "whk_1",
    "event": "training.succeeded",
    "data": {"id": "trn_1"},
    "status": "failed",
    "attempts": 3,
    "created_at": NOW,
    "response_status": 500,
}
PLACE = "/v1/webhooks/whk_1"


def test_create_and_rotate_give_a_secret(client, service):
    service.answer("POST", "/v1/webhooks", HOOK | {"secret": "whsec_1"})
    service.answer("POST", f"{PLACE}/rotate", HOOK | {"secret": "whsec_2"})
    assert client.webhooks.create(URL, ["training.*"], description="chat").secret == "whsec_1"
    assert client.webhooks.rotate("whk_1", overlap_hours=2).secret == "whsec_2"
    created, rotated = service.asked
    assert created.json == {"url": URL, "events": ["training.*"], "description": "chat"}
    assert rotated.json == {"overlap_hours": 2}


def test_an_update_sends_what_was_given(client, service):
    service.answer("PATCH", PLACE, HOOK | {"enabled": False})
    found = client.webhooks.update(types.Webhook.model_validate(HOOK), enabled=False)
    assert not found.enabled
    assert service.asked[0].json == {"enabled": False}


def test_lists_and_deliveries(client, service):
    service.answer("GET", "/v1/webhooks", page(HOOK))
    service.answer("GET", f"{PLACE}/deliveries", page(DELIVERY))
    service.answer("GET", f"{PLACE}/deliveries/msg_1", DELIVERY)
    service.answer("GET", PLACE, HOOK)
    assert [hook.id for hook in client.webhooks.list()] == ["whk_1"]
    (found,) = list(client.webhooks.deliveries("whk_1", status="failed"))
    assert (found.response_status, client.webhooks.delivery("whk_1", found).attempts) == (500, 3)
    assert service.asked_for("GET", f"{PLACE}/deliveries")[0].query["status"] == ["failed"]
    assert client.webhooks.get("whk_1").url == URL


@pytest.mark.parametrize("delivery", ["msg_1", types.WebhookDelivery.model_validate(DELIVERY)])
def test_replay(client, service, delivery):
    service.answer("POST", f"{PLACE}/deliveries/msg_1/replay", DELIVERY | {"status": "pending"})
    service.answer("POST", f"{PLACE}/replay", {"deliveries": 4})
    assert client.webhooks.replay("whk_1", delivery).status == "pending"
    assert client.webhooks.replay_failed("whk_1") == 4


def test_test_and_delete(client, service):
    service.answer("POST", f"{PLACE}/test", DELIVERY | {"event": "webhook.test", "status": "pending"})
    service.answer("DELETE", PLACE, b"")
    assert client.webhooks.test("whk_1").event == "webhook.test"
    client.webhooks.delete("whk_1")
    assert len(service.asked_for("DELETE", PLACE)) == 1
