"""Label with the model, without script. `pets` are 24 pictures without labels, 12 of them cats."""

import re

import pytest

from tests.api.conftest import as_files, picture
from tests.api.suggesting import label
from tsukiji.curation import preflight


@pytest.fixture
def screen(browser, client, pets):
    dataset = client.get("/v1/datasets/pets").json()["id"]
    return f"/datasets/{dataset}/label"


def counted(client):
    return {each["label"]: each["images"] for each in client.get("/v1/datasets/pets").json()["classes"]}


def test_before_the_first_round_it_offers_to_sort(browser, screen):
    page = browser.get(screen).text
    assert "24 of 24 pictures have no label yet" in page
    assert "Sort the pictures" in page


def test_sorting_is_started_and_waited_for(browser, client, screen):
    page = browser.post(screen, data={})
    assert "Looking at the pictures" in page.text
    assert 'http-equiv="refresh"' in page.text
    assert [job["status"] for job in client.get("/v1/suggestions").json()["data"]] == ["queued"]


def test_a_group_is_named(browser, client, screen, suggest):
    pile = suggest()["piles"][0]
    assert f"Label {pile['images']}" in browser.get(screen).text
    browser.post(screen, data={"pile": pile["pile"], "label": "cat"})
    assert counted(client) == {"cat": pile["images"], None: 24 - pile["images"]}


def test_a_pile_is_accepted(browser, client, pets, screen, suggest):
    label(client, pets)
    found = suggest()
    pile = next(pile for pile in found["piles"] if pile["label"] == "cat")
    page = browser.get(screen).text
    assert f"Accept {pile['images']}" in page
    assert "100.0%" in page
    browser.post(screen, data={"pile": "label:cat", "label": "cat"})
    assert counted(client)["cat"] == 4 + pile["images"]


def test_all_labelled_leads_to_training_at_once(browser, client, pets, screen, monkeypatch):
    monkeypatch.setattr(preflight, "FEW_IMAGES", 10)
    label(client, pets, count=12)
    page = browser.get(screen).text
    assert "All labelled" in page
    assert "label as &#39;dog&#39;</span>" in page, "the last changes, in words"
    form = re.search(r'action="([^"]+/train)"><input type="hidden" name="preset" value="(\w+)"', page)
    answer = browser.post(form[1], data={"preset": form[2]})
    assert answer.url.path.startswith("/trainings/")
    (job,) = client.get("/v1/trainings").json()["data"]
    assert job["request"]["recipe"]["preset"] == "quick"


def test_what_should_be_known_before_a_training_is_shown_first(browser, client, screen):
    client.post("/v1/datasets/pets/revisions", json={"act": "relabel", "label": "cat", "filter": {}})
    page = browser.get(screen).text
    assert f'href="{screen.removesuffix("label")}train"' in page
    assert f'action="{screen.removesuffix("label")}train"' not in page


def test_pictures_of_several_labels_are_labelled_elsewhere(browser, client):
    made = client.post("/v1/datasets", json={"name": "sets", "kind": "multi_label"}).json()
    client.post("/v1/datasets/sets/images", files=as_files([picture()]))
    assert f"/datasets/{made['id']}?unlabelled=true" in browser.get(f"/datasets/{made['id']}/label").text
