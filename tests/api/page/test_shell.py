"""What all screens share: sign-in, errors, the rail, the content policy."""

import re
from pathlib import Path

import pytest

import api.page


@pytest.mark.parametrize("path", ["/", "/datasets/pets", "/search?q=x"])
def test_a_stranger_is_led_to_the_sign_in_and_back(stranger, key, path):
    page = stranger.get(path, headers={"accept": "text/html"})
    assert page.url.path == "/sign-in"
    assert "tsukiji keys create" in page.text
    (wanted,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    assert wanted == path


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"])
def test_signing_in_never_leads_to_another_site(browser, key, wanted):
    answer = browser.post("/sign-in", data={"key": key, "next": wanted}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_an_unknown_key_is_told(stranger):
    page = stranger.post("/sign-in", data={"key": "tsk_nope"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert page.status_code == 401
    assert "Unknown key" in page.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/datasets"])
def test_forms_of_other_sites_are_refused(browser, key, path):
    headers = {"Sec-Fetch-Site": "cross-site", "accept": "application/json"}
    assert browser.post(path, data={"key": key, "name": "x"}, headers=headers).status_code == 403


def test_an_address_that_does_not_exist_says_so_to_people_and_programs(browser):
    page = browser.get("/nonsense")
    assert page.status_code == 404
    assert "does not exist" in page.text
    assert 'href="/"' in page.text
    assert browser.get("/nonsense", headers={"accept": "application/json"}).json()["code"] == "not_found"


def test_home_lists_data_sets_and_models(browser, client, model):
    client.post("/v1/datasets", json={"name": "<b>fish"})
    page = browser.get("/").text
    assert "&lt;b&gt;fish" in page
    assert "<b>fish" not in page
    assert "90.0%" in page


def test_home_without_anything_says_how_to_begin(browser):
    page = browser.get("/").text
    assert "Begin with a folder of pictures" in page
    assert "Load the sample" in page


def test_a_data_set_is_created_without_script(browser, client):
    browser.post("/datasets", data={"name": "pets"})
    assert client.get("/v1/datasets/pets").status_code == 200


@pytest.mark.parametrize("path", ["/", "/style", "/sign-in", "/nonsense", "/problems/not_found"])
def test_pages_load_nothing_from_elsewhere_and_hold_no_script(browser, model, path):
    page = browser.get(path).text
    assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", page)
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)
    for place in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        answer = browser.get(place)
        assert answer.status_code == 200
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_own_script_stays_small():
    files = Path(api.page.__path__[0]).rglob("*.js")
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    assert len(lines) < 3000


def test_no_screen_gives_a_name_that_its_frame_has():
    """A macro of the frame would take the place of a variable that a screen sets under the same name."""
    templates = Path(api.page.__path__[0]) / "templates"
    frame = set(re.findall(r"macro (\w+)\(", (templates / "screen.html").read_text("utf-8")))
    assert frame
    for screen in templates.glob("*.html"):
        if '{% extends "screen.html" %}' in screen.read_text("utf-8"):
            assert not frame & set(re.findall(r"\{% set (\w+)", screen.read_text("utf-8"))), screen.name


def test_what_scrolls_can_be_reached_by_keys_and_has_a_name():
    places = [
        (template.name, place)
        for template in Path(api.page.__file__).parent.glob("templates/*.html")
        for place in re.findall(r'<div class="scroll.*', template.read_text("utf-8"))
    ]
    assert len(places) > 10
    assert not [each for each in places if not re.search(r'tabindex="0" role="region" aria-label="[^"]+"', each[1])]
