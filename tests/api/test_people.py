"""People over HTTP: listed, given roles, removed, invited."""

import pytest

from db import keys, people, projects
from db.models import DEFAULT_PROJECT
from db.people import Identity
from tests.api.conftest import configure_openid
from tests.api.test_auth import SAME_SITE


@pytest.fixture
def provider(services):
    """Settings of a provider that no test asks for anything."""
    configure_openid(services, issuer="https://id.example")


@pytest.fixture
def join(services, start):
    """Let someone in with a role; returns their browser and their key."""

    def join(name, role="viewer", project=DEFAULT_PROJECT):
        who = Identity("https://id.example", name, f"{name}@example.com", verified=True, name=name.title())
        with services.database.transaction() as session:
            people.invite(session, project, who.email, role, 7, "key_someone")
            key = people.admit(session, who)
            token = keys.sign_in(session, key.id, 1)
        browser = start(follow_redirects=False, cookies={"tsukiji_session": token})
        browser.headers.update(SAME_SITE)
        return browser, key

    return join


def test_people_are_listed_with_their_roles(client, join):
    join("anna", "editor")
    join("bob")
    listed = client.get("/v1/people").json()["data"]
    assert [(one["email"], one["name"], one["role"], one["own"]) for one in listed] == [
        ("bob@example.com", "Bob", "viewer", False),
        ("anna@example.com", "Anna", "editor", False),
    ]
    page = client.get("/v1/people", params={"limit": 1}).json()
    rest = client.get("/v1/people", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [one["name"] for one in page["data"] + rest["data"]] == ["Bob", "Anna"]
    assert "@" not in client.get("/v1/keys").text, "a person is no key of a program"


def test_a_role_changes_at_once(client, join):
    browser, _ = join("anna", "viewer")
    assert browser.post("/v1/datasets", json={"name": "sushi"}).status_code == 403
    (person,) = client.get("/v1/people").json()["data"]
    changed = client.patch(f"/v1/people/{person['id']}", json={"role": "labeller"})
    assert (changed.status_code, changed.json()["role"]) == (200, "labeller")
    assert browser.post("/v1/datasets", json={"name": "sushi"}).status_code == 201
    assert client.patch(f"/v1/people/{person['id']}", json={"role": "root"}).status_code == 422
    assert client.patch("/v1/people/psn_none", json={"role": "viewer"}).status_code == 404


def test_removal_ends_sessions_at_once(client, join):
    browser, _ = join("anna", "admin")
    assert browser.get("/v1/info").status_code == 200
    (person,) = client.get("/v1/people").json()["data"]
    assert client.delete(f"/v1/people/{person['id']}").status_code == 204
    assert browser.get("/v1/info").status_code == 401
    assert client.get("/v1/people").json()["data"] == []
    assert client.delete(f"/v1/people/{person['id']}").status_code == 404
    assert client.get("/v1/audit", params={"act": "remove_person"}).json()["data"][0]["address"].endswith(person["id"])


def test_what_a_person_made_goes_with_them_if_asked(client, provider, join, start):
    browser, _ = join("anna", "admin")
    secret = browser.post("/v1/keys", json={"name": "of-anna"}).json()["key"]
    browser.post("/v1/invitations", json={"email": "friend@example.com", "role": "admin"})
    assert start(secret).get("/v1/info").status_code == 200
    (person,) = client.get("/v1/people").json()["data"]
    client.delete(f"/v1/people/{person['id']}", params={"created": True})
    assert start(secret).get("/v1/info").status_code == 401
    assert client.get("/v1/invitations").json()["data"] == []


def test_nobody_locks_themselves_out_by_mistake(client, services, join):
    browser, _ = join("anna", "admin")
    (person,) = browser.get("/v1/people").json()["data"]
    assert person["own"]
    assert browser.delete(f"/v1/people/{person['id']}").status_code == 409
    assert browser.patch(f"/v1/people/{person['id']}", json={"role": "viewer"}).status_code == 409
    program = client.get("/v1/keys/self").json()["id"]
    assert browser.delete(f"/v1/keys/{program}").status_code == 204, "anna is left"
    answer = browser.delete(f"/v1/people/{person['id']}", params={"own": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_invitations_are_listed_replaced_and_withdrawn(client, provider):
    made = client.post("/v1/invitations", json={"email": "Anna@Example.com", "role": "admin", "expires_in_days": 1})
    assert made.status_code == 201
    assert (made.json()["email"], made.json()["role"]) == ("anna@example.com", "admin")
    again = client.post("/v1/invitations", json={"email": "anna@example.com"}).json()
    assert [(one["id"], one["role"]) for one in client.get("/v1/invitations").json()["data"]] == [
        (again["id"], "viewer")
    ]
    assert client.delete(f"/v1/invitations/{again['id']}").status_code == 204
    assert client.delete(f"/v1/invitations/{again['id']}").status_code == 404
    for wrong in ({"email": "anna"}, {"email": "a@b", "role": "root"}, {"email": "a@b", "expires_in_days": 0}, {}):
        assert client.post("/v1/invitations", json=wrong).status_code == 422, wrong


def test_who_is_here_is_not_invited_again(client, provider, join):
    join("anna")
    answer = client.post("/v1/invitations", json={"email": "anna@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_without_a_provider_nobody_is_invited(client):
    answer = client.post("/v1/invitations", json={"email": "anna@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (409, "provider_not_set")
    assert "TSUKIJI_OIDC_ISSUER" in answer.json()["hint"]


def test_people_make_no_links_that_outlast_their_session(client, join):
    browser, key = join("anna", "admin")
    assert browser.post("/v1/sign-in-links").status_code == 409
    assert client.post("/v1/sign-in-links", json={"key": key.id}).status_code == 404, "and no one else signs in as them"


def test_projects_have_their_own_people(client, services, provider, join, start):
    with services.database.transaction() as session:
        other = projects.create(session, "other").id
        secret = keys.create(session, "theirs", project_id=other)[1]
    theirs = start(secret)
    join("anna", "editor")
    browser, _ = join("bob", "admin", other)
    assert [one["name"] for one in client.get("/v1/people").json()["data"]] == ["Anna"]
    assert [one["name"] for one in theirs.get("/v1/people").json()["data"]] == ["Bob"]
    (anna,) = client.get("/v1/people").json()["data"]
    assert theirs.patch(f"/v1/people/{anna['id']}", json={"role": "admin"}).status_code == 404
    assert theirs.delete(f"/v1/people/{anna['id']}").status_code == 404
    invited = client.post("/v1/invitations", json={"email": "eve@example.com", "project": "other"}).json()
    assert invited["project"] == other
    assert [one["email"] for one in theirs.get("/v1/invitations").json()["data"]] == ["eve@example.com"]
    assert client.get("/v1/invitations").json()["data"] == []
    assert [one["name"] for one in client.get("/v1/people", params={"project": "other"}).json()["data"]] == ["Bob"]
    for attempt in (
        theirs.post("/v1/invitations", json={"email": "x@example.com", "project": "default"}),
        browser.get("/v1/people", params={"project": "default"}),
        theirs.delete(f"/v1/people/{anna['id']}", params={"project": "default"}),
    ):
        assert attempt.status_code == 404, attempt.url


def test_a_project_goes_with_its_people_and_invitations(client, services, provider, join):
    with services.database.transaction() as session:
        other = projects.create(session, "other").id
    browser, _ = join("bob", "admin", other)
    client.post("/v1/invitations", json={"email": "eve@example.com", "project": "other"})
    assert browser.get("/v1/info").status_code == 200
    assert client.delete(f"/v1/projects/{other}").status_code == 204
    assert browser.get("/v1/info").status_code == 401
    assert client.get("/v1/people", params={"project": "other"}).status_code == 404
    assert join("bob", "viewer")[0].get("/v1/info").status_code == 200, "and may be invited elsewhere"
