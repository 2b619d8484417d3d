"""API keys in a browser without script."""

import re


def secret_in(page):
    return re.findall(r'id="secret"[^>]*>(tsk_\w+)<', page.text)


def test_a_new_key_is_shown_once_and_works(browser, stranger):
    page = browser.post("/keys", data={"name": "camera-7"})
    (secret,) = secret_in(page)
    assert page.headers["cache-control"] == "no-store"
    assert stranger.get("/v1/jobs", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    later = browser.get("/keys")
    assert "camera-7" in later.text
    assert secret not in later.text


def test_a_name_that_cannot_be_is_refused_on_the_page(browser):
    page = browser.post("/keys", data={"name": "a/b"})
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_a_key_is_revoked_once_that_is_confirmed(browser, client):
    browser.post("/keys", data={"name": "camera-7"})
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
    browser.post("/keys", data={"name": "another"})
    assert browser.post(f"/keys/{own['id']}/revoke", data={"own": "true"}).url.path == "/sign-in"
