"""The screen of people in a browser without script, and the projects of one person."""

import re

import pytest

from api.http.middleware import COOKIE
from db import keys, people, projects
from db.models import DEFAULT_PROJECT
from db.people import Identity
from tests.api.conftest import configure_openid
from tests.api.test_auth import SAME_SITE

ANNA = Identity("https://id.example", "1", "anna@example.com", verified=True, name="Anna")


@pytest.fixture
def join(services, start):
    """Invite Anna to a project and let her in; returns her browser."""

    def join(role, project=DEFAULT_PROJECT):
        with services.database.transaction() as session:
            people.invite(session, project, ANNA.email, role, 7, "key_someone")
            token = keys.sign_in(session, people.admit(session, ANNA).id, 1)
        opened = start(follow_redirects=True, cookies={COOKIE: token})
        opened.headers.update(SAME_SITE | {"accept": "text/html"})
        return opened

    return join


@pytest.fixture
def provider(services):
    configure_openid(services, issuer="https://id.example", name="Example SSO")


def test_someone_is_invited_and_the_invitation_withdrawn(browser, client, provider):
    page = browser.post("/people", data={"email": "bob@example.com", "role": "labeller", "expires": "30"})
    assert "bob@example.com" in page.text
    (made,) = client.get("/v1/invitations").json()["data"]
    assert (made["email"], made["role"]) == ("bob@example.com", "labeller")
    assert "bob@example.com" not in browser.post(f"/people/invitations/{made['id']}/withdraw").text
    assert client.get("/v1/invitations").json()["data"] == []
    assert browser.post(f"/people/invitations/{made['id']}/withdraw").status_code == 404


def test_an_address_that_cannot_be_is_refused_on_the_page(browser, provider):
    page = browser.post("/people", data={"email": "bob", "role": "viewer"})
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_without_a_provider_the_page_says_how_to_get_one(browser):
    page = browser.get("/people").text
    assert "TSUKIJI_OIDC_ISSUER" in page
    assert 'type="email"' not in page


def test_a_role_is_changed_and_a_person_removed_once_that_is_confirmed(browser, client, provider, join):
    anna = join("viewer")
    (person,) = client.get("/v1/people").json()["data"]
    assert (
        '<option value="editor" selected>' in browser.post(f"/people/{person['id']}/role", data={"role": "editor"}).text
    )
    asked = browser.get(f"/people?remove={person['id']}").text
    assert "Remove anna@example.com?" in asked
    assert anna.get("/").url.path == "/"
    browser.post(f"/people/{person['id']}/remove")
    assert anna.get("/").url.path == "/sign-in"
    assert client.get("/v1/people").json()["data"] == []


def test_the_menu_leads_administrators_there(browser, join):
    assert 'href="/people"' in browser.get("/").text
    anna = join("editor")
    assert 'href="/people"' not in anna.get("/").text
    assert anna.get("/people").status_code == 403
    assert "tsk_" not in anna.get("/keys").text, "a person has no key to show"


def test_a_person_of_several_projects_goes_from_one_to_another(services, client, join):
    with services.database.transaction() as session:
        other = projects.create(session, "fish market").id
    client.post("/v1/datasets", json={"name": "sushi"})
    assert "fish market" not in join("viewer").get("/").text
    anna = join("editor", other)
    page = anna.post("/project", data={"project": DEFAULT_PROJECT})
    assert page.status_code == 200
    assert "sushi" in page.text
    page = anna.post("/project", data={"project": other})
    assert "sushi" not in page.text
    assert re.search(r'aria-current="true"><span class="hint">Project</span> fish market', page.text)
    assert anna.post("/v1/datasets", json={"name": "of the market"}).status_code == 201
    assert anna.post("/project", data={"project": "prj_none"}).status_code == 404
