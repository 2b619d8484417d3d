"""Keys over HTTP, and links that sign a browser in once."""

import pytest

from api.http.middleware import COOKIE
from db import keys
from tests.api.test_auth import SAME_SITE
from tsukiji.kernel.settings import ApiSettings


@pytest.fixture
def link(client):
    made = client.post("/v1/sign-in-links")
    assert made.status_code == 201
    return made.json()["path"]


def token_of(link):
    return {"token": link.partition("token=")[2]}


@pytest.fixture
def browser(start):
    opened = start(follow_redirects=False)
    opened.headers.update(SAME_SITE)
    return opened


def test_keys_are_listed_without_secrets(client, key):
    made = client.post("/v1/keys", json={"name": "ci"})
    assert made.status_code == 201
    secret = made.json()["key"]
    listed = client.get("/v1/keys").json()["data"]
    assert [(row["name"], row["own"]) for row in listed] == [("ci", False), ("tests", True)]
    assert listed[0]["created_by"] == listed[1]["id"]
    text = client.get("/v1/keys").text
    assert secret not in text
    assert key not in text
    assert "hash" not in text


def test_a_key_that_was_created_works_until_it_is_revoked(client, start):
    made = client.post("/v1/keys", json={"name": "ci"}).json()
    other = start(made["key"])
    assert other.get("/v1/info").status_code == 200
    assert client.delete(f"/v1/keys/{made['id']}").status_code == 204
    assert other.get("/v1/info").status_code == 401
    (revoked,) = [row for row in client.get("/v1/keys").json()["data"] if row["id"] == made["id"]]
    assert revoked["revoked_at"]
    assert client.delete("/v1/keys/key_nope").status_code == 404


def test_nobody_locks_all_out_by_mistake(client):
    own = client.get("/v1/keys").json()["data"][0]["id"]
    for query in ({}, {"own": True}):
        answer = client.delete(f"/v1/keys/{own}", params=query)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    client.post("/v1/keys", json={"name": "other"})
    assert "own=true" in client.delete(f"/v1/keys/{own}").json()["hint"]
    assert client.delete(f"/v1/keys/{own}", params={"own": True}).status_code == 204
    assert client.get("/v1/info").status_code == 401


def test_a_leaked_key_is_revoked_with_all_that_was_made_with_it(client, start):
    leaked = client.post("/v1/keys", json={"name": "leaked"}).json()
    child = start(leaked["key"]).post("/v1/keys", json={"name": "child"}).json()
    grandchild = start(child["key"]).post("/v1/keys", json={"name": "grandchild"}).json()
    assert client.delete(f"/v1/keys/{leaked['id']}", params={"created": True}).status_code == 204
    for made in (leaked, child, grandchild):
        assert start(made["key"]).get("/v1/info").status_code == 401


def test_a_link_signs_in_once(browser, start, link):
    page = browser.get(link)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert COOKIE not in browser.cookies
    signed_in = browser.post("/sign-in/link", data=token_of(link))
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    assert browser.get("/v1/info").status_code == 200
    other = start(follow_redirects=False)
    again = other.post("/sign-in/link", data=token_of(link), headers=SAME_SITE)
    assert again.status_code == 410
    assert "tsukiji open" in again.text
    assert COOKIE not in other.cookies
    assert browser.get(link).headers["location"] == "/", "who used it is led to the page"


def test_looking_at_a_link_does_not_use_it_up(browser, stranger, link):
    for _ in range(3):
        assert stranger.get(link).status_code == 200
    assert browser.post("/sign-in/link", data=token_of(link)).status_code == 303


def test_a_link_expires_and_ends_with_its_key(browser, client, services, link):
    settings = services.settings
    services.settings = settings.model_copy(update={"api": ApiSettings(sign_in_link_minutes=0.000001)})
    expired = client.post("/v1/sign-in-links").json()["path"]
    assert browser.get(expired).status_code == 410
    assert browser.post("/sign-in/link", data=token_of(expired)).status_code == 410
    with services.database.transaction() as session:
        keys.revoke(session, keys.all_keys(session)[0].id)
    assert browser.post("/sign-in/link", data=token_of(link)).status_code == 410


def test_a_link_from_another_site_signs_nobody_in(start, link):
    answer = start().post("/sign-in/link", data=token_of(link), headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_the_log_has_no_token(browser, link, logged):
    browser.get(link)
    browser.post("/sign-in/link", data=token_of(link))
    assert token_of(link)["token"] not in str(logged)


def test_rotation_overlaps_and_keeps_the_key(client, start):
    made = client.post("/v1/keys", json={"name": "ci", "scopes": ["read"]}).json()
    turned = client.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_hours": 1}).json()
    assert turned["id"] == made["id"]
    assert turned["scopes"] == ["read"]
    assert turned["old_expires_at"]
    for secret in (made["key"], turned["key"]):
        assert start(secret).get("/v1/keys/self").json()["id"] == made["id"]
    last = client.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_hours": 0}).json()
    answers = [start(one["key"]).get("/v1/info").status_code for one in (made, turned, last)]
    assert answers == [401, 401, 200], "only one secret before the last works, and that for its overlap alone"
    client.delete(f"/v1/keys/{made['id']}")
    assert client.post(f"/v1/keys/{made['id']}/rotate", json={}).status_code == 404


def test_rotation_without_overlap_ends_page_sessions(client, start):
    made = client.post("/v1/keys", json={"name": "ci", "scopes": ["read"]}).json()
    browser = start(follow_redirects=False)
    browser.post("/sign-in", data={"key": made["key"]}, headers=SAME_SITE)
    client.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_hours": 1})
    assert browser.get("/v1/info").status_code == 200
    client.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_hours": 0})
    assert browser.get("/v1/info").status_code == 401


def test_a_key_expires(client, start):
    made = client.post("/v1/keys", json={"name": "short", "expires_in_days": 1e-8}).json()
    assert start(made["key"]).get("/v1/info").status_code == 401
    lasting = client.post("/v1/keys", json={"name": "long", "expires_in_days": 30}).json()
    assert start(lasting["key"]).get("/v1/info").status_code == 200
    assert client.post("/v1/keys", json={"name": "never", "expires_in_days": 0}).status_code == 422


def test_what_a_key_is_bound_to_must_exist_and_administrators_are_not_bound(client, dataset, model):
    made = client.post("/v1/keys", json={"name": "a", "scopes": ["read"], "datasets": ["sushi"], "models": ["sushi"]})
    assert (made.json()["datasets"], made.json()["models"]) == ([dataset], [model])
    for wish, status in (
        ({"scopes": ["read"], "datasets": ["none"]}, 404),
        ({"scopes": ["read"], "models": ["none"]}, 404),
        ({"datasets": [dataset]}, 422),
        ({"scopes": []}, 422),
        ({"scopes": ["root"]}, 422),
    ):
        assert client.post("/v1/keys", json={"name": "b"} | wish).status_code == status, wish


def test_the_last_administrator_stays(client, start):
    client.post("/v1/keys", json={"name": "reader", "scopes": ["read"]})
    own = client.get("/v1/keys/self").json()["id"]
    answer = client.delete(f"/v1/keys/{own}", params={"own": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_only_an_administrator_makes_links_for_other_keys(client, start):
    reader = client.post("/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()
    admin = client.get("/v1/keys/self").json()["id"]
    assert client.post("/v1/sign-in-links", json={"key": reader["id"]}).status_code == 201
    refused = start(reader["key"]).post("/v1/sign-in-links", json={"key": admin})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert start(reader["key"]).post("/v1/sign-in-links").status_code == 201
