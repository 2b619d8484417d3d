"""The documents in the browser: every page is there, leads on to the others, and can be searched, without script."""

import re
from html import unescape

import pytest

from api.page import manual
from devtools.settings_pages import ROOT

NAMES = sorted(manual.names())


def links(html):
    return [unescape(href) for href in re.findall(r'href="(/help[^"]*)"', html)]


def test_every_document_has_a_page():
    assert {ROOT / "docs" / f"{name}.md" for name in NAMES} == set(ROOT.glob("docs/**/*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_its_text_and_leads_to_what_there_is(stranger, name):
    answer = stranger.get(manual.address(name), headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert f">{manual.page(name).title}<" in unescape(re.sub(r"</?code>", "", answer.text))
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)
    for href in links(answer.text):
        place, _, anchor = href.removeprefix("/help").strip("/").partition("#")
        if place in {"search", ""} and not anchor:
            continue
        sections = manual.page(place.removesuffix("/") or manual.INDEX).sections
        assert not anchor or anchor in {section.anchor for section in sections}, href
    for source in re.findall(r'<img src="(/help/[^"]+)"', answer.text):
        assert stranger.get(source).headers["content-type"] == "image/png"


def test_the_contents_name_every_page_but_single_decisions():
    named = {name for _, pages in manual.contents() for name, _ in pages}
    assert named == {name for name in NAMES if not name.startswith("decisions/0")} - {manual.INDEX}


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("back up", "/help/how-to/back-up-and-upgrade"),
        ("weights_unavailable", "/help/reference/errors#weights_unavailable"),
        ("TSUKIJI_JOBS_LEASE_SECONDS", "/help/reference/settings"),
        ("THRESHOLD sweep", "/help/how-to/choose-a-threshold"),
    ],
)
def test_a_search_leads_to_the_section_that_has_all_words(stranger, words, first):
    page = stranger.get("/help/search", params={"q": words}).text
    assert re.findall(r'<ol class="hits">\s*<li><a href="([^"]+)"', page)[0].startswith(first)
    assert words.split()[0].lower() in "".join(re.findall(r"<mark>(.*?)</mark>", page)).lower()


def test_words_are_shown_as_they_were_typed(stranger):
    page = stranger.get("/help/search", params={"q": "<b>nothing"}).text
    assert "&lt;b&gt;nothing" in page
    assert "No page has all of these words" in page
    assert stranger.get("/help/search").status_code == 200


@pytest.mark.parametrize(
    "path", ["/help/nonsense", "/help/../pyproject", "/help/images/../README.md", "/help/images/x.png"]
)
def test_what_is_no_document_is_not_found(stranger, path):
    assert stranger.get(path).status_code == 404


def test_screens_and_errors_lead_to_the_documents(browser):
    home = browser.get("/").text
    assert 'href="/help"' in home
    assert 'href="/help/reference/page"' in home
    assert 'href="/help/reference/errors#not_found"' in browser.get("/problems/not_found").text
