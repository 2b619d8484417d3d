"""Webhooks in a browser without script."""

import re

from tests.api.test_webhooks import URL, fail_next


def create(browser, **fields):
    return browser.post("/webhooks", data={"url": URL, **fields})


def secret_in(page):
    return re.findall(r'id="secret"[^>]*>(whsec_[\w+/=]+)<', page.text)


def the_one(client):
    (hook,) = client.get("/v1/webhooks").json()["data"]
    return hook


def test_a_webhook_is_made_and_its_secret_shown_once(browser, client):
    page = create(browser, **{"description": "chat", "training.*": "on", "model.*": "on"})
    assert len(secret_in(page)) == 1
    assert page.headers["cache-control"] == "no-store"
    hook = the_one(client)
    assert (hook["events"], hook["description"]) == (["training.*", "model.*"], "chat")
    later = browser.get("/webhooks").text + browser.get(f"/webhooks/{hook['id']}").text
    assert URL in later
    assert secret_in(page)[0] not in later


def test_none_chosen_means_everything_and_a_wrong_address_is_told(browser, client):
    page = create(browser, url="http://hooks.example.com:6379/")
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    create(browser)
    assert the_one(client)["events"] == ["*"]


def test_deliveries_are_seen_and_sent_again(browser, client, services):
    create(browser)
    hook = the_one(client)
    place = f"/webhooks/{hook['id']}"
    assert "webhook.test" in browser.post(place, data={"act": "test"}).text
    fail_next(services, hook)
    page = browser.get(place).text
    assert "It answered 500." in page
    assert "failing, since just now" in page
    (delivery,) = client.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    browser.post(place, data={"act": "replay", "delivery": delivery["id"]})
    assert client.get(delivery["links"]["self"]).json()["status"] == "pending"
    fail_next(services, hook)
    browser.post(place, data={"act": "replay"})
    assert client.get(delivery["links"]["self"]).json()["status"] == "pending"


def test_a_webhook_is_disabled_enabled_and_has_its_secret_replaced(browser, client):
    first = secret_in(create(browser))
    place = f"/webhooks/{the_one(client)['id']}"
    assert "disabled: by hand" in browser.post(place, data={"act": "disable"}).text
    assert browser.post(place, data={"act": "test"}).status_code == 409
    assert "disabled: by hand" not in browser.post(place, data={"act": "enable"}).text
    assert secret_in(browser.post(place, data={"act": "rotate"})) != first


def test_a_webhook_is_deleted_once_that_is_confirmed(browser, client):
    create(browser)
    place = f"/webhooks/{the_one(client)['id']}"
    assert "Delete this webhook?" in browser.get(f"{place}?delete=true").text
    assert browser.post(place, data={"act": "delete"}).url.path == "/webhooks"
    assert client.get("/v1/webhooks").json()["data"] == []
    assert browser.get(place).status_code == 404
    assert browser.post(place, data={"act": "nonsense"}).status_code == 422
