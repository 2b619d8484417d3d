"""Projects in a browser without script."""

import pytest

from db import keys, projects

SCREENS = ("/", "/keys", "/webhooks", "/audit", "/jobs", "/batches")


@pytest.fixture
def lab(services):
    with services.database.transaction() as session:
        return projects.create(session, "lab <1>").id


def test_a_page_without_projects_does_not_name_them(browser, dataset):
    for path in (*SCREENS, f"/datasets/{dataset}", f"/datasets/{dataset}/train"):
        text = browser.get(path).text.lower()
        assert "project" not in text.replace("/projects", ""), path
        assert "/projects" not in text, path


def test_projects_are_created_changed_and_deleted(browser, client):
    page = browser.post("/projects", data={"name": "lab", "pictures_per_day": "1000", "max_stored_gb": "1.5"})
    assert page.status_code == 200
    assert "1,000" in page.text
    assert client.get("/v1/projects/lab").json()["max_stored_bytes"] == 1_500_000_000
    for text in (browser.get("/").text, browser.get("/keys").text):
        assert '<p class="hint project">default</p>' in text, "the rail says where one is, now that there are two"
        assert 'href="/projects"' in text
    lab = client.get("/v1/projects/lab").json()["id"]
    form = browser.get(f"/projects?change={lab}").text
    assert "Change lab" in form
    assert 'value="1.5"' in form
    for wrong in ("much", "inf", "-1", "1e300"):
        refused = browser.post(f"/projects/{lab}", data={"name": "lab", "max_stored_gb": wrong})
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    browser.post(f"/projects/{lab}", data={"name": "lab 2", "pictures_per_day": ""})
    assert client.get(f"/v1/projects/{lab}").json()["pictures_per_day"] is None
    taken = browser.post(f"/projects/{lab}", data={"name": "default"})
    assert (taken.status_code, 'role="alert"' in taken.text) == (409, True)
    assert browser.post(f"/projects/{lab}/delete", data={"confirm": ""}).status_code == 200
    assert client.get(f"/v1/projects/{lab}").status_code == 404


def test_a_project_with_something_in_it_is_deleted_by_its_name(browser, client, services, lab, start):
    secret = client.post("/v1/keys", json={"name": "theirs", "project": lab}).json()["key"]
    start(secret).post("/v1/datasets", json={"name": "pets"})
    refused = browser.post(f"/projects/{lab}/delete", data={"confirm": "lab"})
    assert refused.status_code == 409
    assert "there are datasets (1)" in refused.text
    assert browser.post(f"/projects/{lab}/delete", data={"confirm": "lab <1>"}).status_code == 200
    assert client.get(f"/v1/projects/{lab}").status_code == 404


def test_a_key_is_made_in_a_project(browser, client, lab):
    assert "lab &lt;1&gt;" in browser.get("/keys").text
    browser.post("/keys", data={"name": "camera", "scope:predict": "on", "project": lab})
    assert client.get("/v1/keys").json()["data"][0]["project"] == lab


def test_administrators_of_a_project_see_their_own(client, services, start, browser, lab, dataset):
    with services.database.transaction() as session:
        secret = keys.create(session, "theirs", ("admin",), project_id=lab)[1]
    theirs = start(follow_redirects=True)
    theirs.headers.update(browser.headers)
    theirs.post("/sign-in", data={"key": secret})
    text = theirs.get("/projects").text
    assert "lab &lt;1&gt;" in text
    assert '<form class="card"' not in text
    assert "default" not in text.replace("default-src", "")
    assert theirs.post("/projects", data={"name": "third"}).status_code == 403
    for path in (*SCREENS, "/use", "/search?q=sushi"):
        shown = theirs.get(path).text
        assert dataset not in shown, path
        assert ">tests<" not in shown, path
    assert theirs.get(f"/datasets/{dataset}").status_code == 404
