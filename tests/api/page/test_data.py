"""The screen Data without script."""

import re

import pytest

from tests.api.conftest import picture


@pytest.fixture
def pets(client):
    client.post("/v1/datasets", json={"name": "pets"})
    for label, number in (("cat", 3), ("<b>dog", 2), ("", 1)):
        files = [("files", (f"{label or 'x'}{at}.png", picture((at, len(label), 9)))) for at in range(number)]
        client.post("/v1/datasets/pets/images", files=files, data={"label": label})
    return client.get("/v1/datasets/pets").json()["id"]


def names(page):
    return re.findall(r'data-image="[^"]+" href="[^"]+" title="([^"]+)"', page)


def test_pictures_and_counts_are_shown(browser, pets):
    page = browser.get("/datasets/pets").text
    assert len(names(page)) == 6
    assert "6 pictures, 2 labels" in page
    assert "&lt;b&gt;dog" in page
    assert "<b>dog" not in page


@pytest.mark.parametrize(("query", "found"), [("label=cat", 3), ("unlabelled=true", 1), ("excluded=true", 0)])
def test_a_filter_has_its_address(browser, pets, query, found):
    page = browser.get(f"/datasets/pets?{query}").text
    assert len(names(page)) == found
    assert f"/v1/datasets/{pets}/images?{query}" in page
    assert ('<p class="empty">' in page) == (not found)


def test_every_chip_leads_to_as_many_pictures_as_it_says(browser, client, pets):
    page = browser.get("/datasets/pets").text
    chips = re.findall(r'class="chip" href="([^"]+)".*?class="n">([\d,]+)<', page)
    assert len(chips) == 4
    for href, number in chips:
        assert len(names(browser.get(href.replace("&amp;", "&")).text)) == int(number)


def test_pages_are_links(browser, pets, monkeypatch):
    monkeypatch.setattr("api.page.data.PICTURES", 4)
    first = browser.get("/datasets/pets?excluded=false").text
    (following,) = re.findall(r'href="([^"]+)">Next page', first)
    second = browser.get(following.replace("&amp;", "&")).text
    assert len(names(first)) == 4
    assert len(names(second)) == 2
    assert not set(names(first)) & set(names(second))
    assert "First page" in second


def test_columns_by_label(browser, pets):
    page = browser.get("/datasets/pets?view=labels").text
    assert re.findall(r'<section aria-label="([^"]+)">\s*<h3>', page) == ["no label", "cat", "&lt;b&gt;dog"]
    assert len(names(page)) == 6


def test_an_empty_data_set_says_how_to_begin(browser, client):
    client.post("/v1/datasets", json={"name": "empty"})
    assert "No pictures yet" in browser.get("/datasets/empty").text


@pytest.mark.parametrize(("path", "status"), [("/datasets/nope", 404), ("/datasets/pets?split=best", 422)])
def test_what_is_not_there_is_told(browser, pets, path, status):
    page = browser.get(path)
    assert page.status_code == status
    assert 'href="/"' in page.text


def test_pictures_are_added_without_script_and_refusals_listed(browser, client, pets):
    files = [("files", ("new.png", picture((200, 1, 1)))), ("files", ("bad.png", b"no picture"))]
    page = browser.post("/datasets/pets/images", files=files, data={"label": "eel"})
    assert "1 file could not be taken" in page.text
    assert "bad.png" in page.text
    assert {"label": "eel", "images": 1} in client.get("/v1/datasets/pets").json()["classes"]


def test_a_data_set_is_deleted_only_by_its_name(browser, client, pets):
    assert browser.post("/datasets/pets/delete", data={"name": "cats"}).status_code == 422
    assert client.get("/v1/datasets/pets").status_code == 200
    browser.post("/datasets/pets/delete", data={"name": "pets"})
    assert client.get("/v1/datasets/pets").status_code == 404


def test_a_snapshot_is_frozen_without_script(browser, client, pets):
    browser.post("/datasets/pets/snapshots")
    assert client.get("/v1/datasets/pets/snapshots").json()["data"][0]["images"] == 5
