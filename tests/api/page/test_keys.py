"""API keys in a browser without script."""

import re


def secret_in(page):
    return re.findall(r'id="secret"[^>]*>(tsk_\w+)<', page.text)


def test_a_new_key_is_shown_once_and_works(browser, stranger):
    page = browser.post("/keys", data={"name": "camera-7", "scope:read": "on"})
    (secret,) = secret_in(page)
    assert page.headers["cache-control"] == "no-store"
    assert stranger.get("/v1/jobs", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    later = browser.get("/keys")
    assert "camera-7" in later.text
    assert secret not in later.text


def test_a_name_that_cannot_be_is_refused_on_the_page(browser):
    page = browser.post("/keys", data={"name": "a/b", "scope:read": "on"})
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_a_key_is_revoked_once_that_is_confirmed(browser, client):
    browser.post("/keys", data={"name": "camera-7", "scope:read": "on"})
    key = client.get("/v1/keys").json()["data"][0]
    asked = browser.get(f"/keys?revoke={key['id']}").text
    assert "Revoke the key camera-7?" in asked
    assert client.get("/v1/keys").json()["data"][0]["revoked_at"] is None
    assert "revoked just now" in browser.post(f"/keys/{key['id']}/revoke").text


def test_keys_that_a_key_created_can_go_with_it(browser, client, stranger):
    first = client.post("/v1/keys", json={"name": "first"}).json()
    stranger.post("/v1/keys", json={"name": "second"}, headers={"Authorization": f"Bearer {first['key']}"})
    assert "Also the 1 key created with it: second" in browser.get(f"/keys?revoke={first['id']}").text
    browser.post(f"/keys/{first['id']}/revoke", data={"created": "on"})
    revoked = {key["name"] for key in client.get("/v1/keys").json()["data"] if key["revoked_at"]}
    assert revoked == {"first", "second"}


def test_revoking_the_own_key_is_told_and_signs_out(browser, client):
    own = next(key for key in client.get("/v1/keys").json()["data"] if key["own"])
    assert "will be signed out" in browser.get(f"/keys?revoke={own['id']}").text
    refused = browser.post(f"/keys/{own['id']}/revoke", data={"own": "true"})
    assert refused.status_code == 409
    assert "No valid key would be left" in refused.text
    browser.post("/keys", data={"name": "another", "scope:admin": "on"})
    assert browser.post(f"/keys/{own['id']}/revoke", data={"own": "true"}).url.path == "/sign-in"


def test_a_key_is_bound_and_expires_as_chosen(browser, client, dataset, model):
    fields = {"name": "camera", "scope:predict": "on", "expires": "30", f"dataset:{dataset}": "on"}
    page = browser.post("/keys", data=fields | {"model:production": "on"})
    assert page.status_code == 201
    assert "only sushi, production" in " ".join(page.text.split())
    key = client.get("/v1/keys").json()["data"][0]
    assert (key["scopes"], key["datasets"], key["models"]) == (["predict"], [dataset], ["production"])
    assert key["expires_at"] > key["created_at"]
    refused = browser.post("/keys", data=fields | {"scope:admin": "on"})
    assert refused.status_code == 422
    assert "cannot be bound" in refused.text
    assert browser.post("/keys", data={"name": "none"}).status_code == 422


def test_a_key_is_rotated_once_that_is_confirmed(browser, client, stranger):
    made = client.post("/v1/keys", json={"name": "camera", "scopes": ["read"]}).json()
    assert "Give the key camera a new secret?" in browser.get(f"/keys?rotate={made['id']}").text
    (secret,) = secret_in(browser.post(f"/keys/{made['id']}/rotate", data={"overlap": "0"}))
    for one, status in ((secret, 200), (made["key"], 401)):
        assert stranger.get("/v1/jobs", headers={"Authorization": f"Bearer {one}"}).status_code == status


def test_who_may_not_administer_sees_only_the_own_key(browser, client, start):
    made = client.post("/v1/keys", json={"name": "labeller", "scopes": ["label"]}).json()
    other = start(follow_redirects=True)
    other.headers.update(browser.headers)
    link = client.post("/v1/sign-in-links", json={"key": made["id"]}).json()["path"]
    other.post("/sign-in/link", data={"token": link.partition("token=")[2]})
    page = other.get("/keys").text
    assert "labeller" in page
    assert "tests" not in page
    assert "New key" not in page
    refused = other.post("/keys", data={"name": "more", "scope:admin": "on"})
    assert refused.status_code == 403
    assert "needs the scope" in refused.text
