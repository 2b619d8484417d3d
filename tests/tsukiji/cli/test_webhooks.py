import json

from devtools.scripted_service import NOW, Answer, page
from tests.tsukiji.client.test_webhooks import DELIVERY, HOOK, PLACE, URL


def test_create_prints_the_secret(service, run):
    service.answer("POST", "/v1/webhooks", HOOK | {"secret": "whsec_1"})
    result = run("webhooks", "create", URL, "--event", "training.*", "--event", "model.promoted")
    assert "whsec_1" in result.stdout
    assert service.asked[0].json["events"] == ["training.*", "model.promoted"]
    assert json.loads(run("webhooks", "create", URL, "--json").stdout)["secret"] == "whsec_1"
    assert service.asked[1].json["events"] == ["*"]


def test_ls_says_how_each_is(service, run):
    gone = {"enabled": False, "disabled_because": "gone"}
    hooks = [HOOK, HOOK | gone, HOOK | {"failing_since": NOW}]
    service.answer("GET", "/v1/webhooks", page(*hooks))
    lines = run("webhooks", "ls").stdout.splitlines()[1:]
    assert [line.split("\t")[3] for line in lines] == ["enabled", "disabled (gone)", "failing"]


def test_deliveries_are_listed_and_replayed(service, run):
    service.answer("GET", f"{PLACE}/deliveries", page(DELIVERY | {"error": "It answered 500."}))
    service.answer("POST", f"{PLACE}/deliveries/msg_1/replay", DELIVERY | {"status": "pending"})
    service.answer("POST", f"{PLACE}/replay", {"deliveries": 4})
    assert "It answered 500." in run("webhooks", "deliveries", "whk_1", "--status", "failed").stdout
    assert "pending" in run("webhooks", "replay", "whk_1", "msg_1").stdout
    assert "4 deliveries" in run("webhooks", "replay", "whk_1").stderr
    assert json.loads(run("webhooks", "replay", "whk_1", "--json").stdout) == {"deliveries": 4}


def test_the_other_acts(service, run):
    service.answer("PATCH", PLACE, HOOK)
    service.answer("POST", f"{PLACE}/rotate", HOOK | {"secret": "whsec_2"})
    service.answer("POST", f"{PLACE}/test", DELIVERY)
    service.answer("DELETE", PLACE, Answer(b"", 204))
    run("webhooks", "disable", "whk_1")
    run("webhooks", "enable", "whk_1")
    assert [asked.json for asked in service.asked_for("PATCH", PLACE)] == [{"enabled": False}, {"enabled": True}]
    assert "whsec_2" in run("webhooks", "rotate", "whk_1", "--overlap-hours", "1").stdout
    assert "msg_1" in run("webhooks", "test", "whk_1").stdout
    assert run("webhooks", "rm", "whk_1").exit_code == 0
