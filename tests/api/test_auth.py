"""Who may come in: keys, cookies, and requests that come from elsewhere."""

import pytest
from fastapi.routing import APIRoute

from api.http.middleware import COOKIE
from db import keys

OPEN = {
    "/livez",
    "/healthz",
    "/readyz",
    "/problems/{code}",
    "/",
    "/sign-in",
    "/sign-out",
    "/docs",
    "/docs/openapi.json",
}
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def test_every_route_needs_a_key(stranger):
    paths = stranger.get("/openapi.json").json()["paths"]
    asked = [(path, method) for path, methods in paths.items() for method in methods if path not in OPEN]
    assert len(asked) > 35
    for path, method in asked:
        answer = stranger.request(method, path.replace("{", "").replace("}", ""), json={})
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    "header", ["Bearer tsk_wrong", "Bearer", "Basic abc", "tsk_naked", "Bearer " + "x" * 5000, "Bearer tsk_é"]
)
def test_malformed_keys_are_refused(stranger, header):
    assert stranger.get("/v1/info", headers={"Authorization": header.encode()}).status_code == 401


def test_wrong_header_is_not_saved_by_a_cookie(signed_in):
    assert signed_in.get("/v1/info").status_code == 200
    assert signed_in.get("/v1/info", headers={"Authorization": "Bearer tsk_wrong"}).status_code == 401


def test_revoked_key_ends_at_once(client, services, signed_in):
    assert client.get("/v1/info").status_code == 200
    with services.database.transaction() as session:
        for key in keys.all_keys(session):
            keys.revoke(session, key.id)
    assert client.get("/v1/info").status_code == 401
    assert signed_in.get("/v1/info").status_code == 401


def test_use_of_a_key_is_noted(client, services):
    client.get("/v1/info")
    with services.database.reading() as session:
        assert keys.all_keys(session)[0].last_used_at is not None


@pytest.fixture
def signed_in(start, key):
    browser = start(follow_redirects=False)
    assert browser.post("/sign-in", data={"key": key}, headers=SAME_SITE).status_code == 303
    return browser


def test_cookie_is_out_of_reach_for_scripts_and_other_sites(start, key):
    answer = start(follow_redirects=False).post("/sign-in", data={"key": key}, headers=SAME_SITE)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert key not in cookie


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME_SITE, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "http://127.0.0.1:8000"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_cookie_does_not_work_from_elsewhere(signed_in, headers, status):
    answer = signed_in.post("/v1/datasets", json={"name": "sushi"}, headers=headers)
    assert answer.status_code == status
    assert status == 201 or answer.json()["code"] == "forbidden"


def test_a_key_in_the_header_needs_no_origin(signed_in, key):
    headers = {"Authorization": f"Bearer {key}", "Sec-Fetch-Site": "cross-site"}
    assert signed_in.post("/v1/datasets", json={"name": "sushi"}, headers=headers).status_code == 201


def test_signing_in_from_elsewhere_is_refused(start, key):
    answer = start().post("/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_wrong_key_signs_nobody_in(start):
    answer = start().post("/sign-in", data={"key": "tsk_nonsense"}, headers=SAME_SITE)
    assert answer.status_code == 401
    assert "Unknown key" in answer.text
    assert COOKIE not in answer.cookies


def test_signing_out_ends_the_session(signed_in, services):
    token = signed_in.cookies[COOKIE]
    signed_in.post("/sign-out", headers=SAME_SITE)
    with services.database.reading() as session:
        assert keys.signed_in(session, token) is None


def test_other_host_names_are_not_answered(stranger):
    answer = stranger.get("/v1/info", headers={"Host": "rebound.example"})
    assert answer.status_code == 421
    assert answer.json()["code"] == "host_not_allowed"
    assert stranger.get("/v1/info", headers={"Host": "[::1]:8000"}).status_code == 401


def test_a_probe_may_ask_by_any_address(stranger):
    for path in ("/livez", "/readyz"):
        assert stranger.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_only_what_is_public_stands_outside_v1(app):
    public = {route.path for route in app.routes if isinstance(route, APIRoute) and not route.path.startswith("/v1")}
    assert public <= OPEN
