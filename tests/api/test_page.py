"""The page as a browser without JavaScript sees it."""

import re
from types import SimpleNamespace

import pytest

from api.page.rendering import templates
from tests.api.conftest import picture
from tests.api.test_auth import SAME_SITE
from tests.api.test_batches import Worker


@pytest.fixture
def browser(start, key):
    opened = start(follow_redirects=True)
    opened.headers.update(SAME_SITE)
    opened.post("/sign-in", data={"key": key})
    return opened


def ask(browser, data=None, **fields):
    files = {"files": ("fish.png", picture() if data is None else data, "image/png")}
    return browser.post("/", files=files, data={"model": "production", "threshold": "0", **fields})


def test_stranger_is_asked_for_a_key(stranger):
    page = stranger.get("/")
    assert page.status_code == 200
    assert 'name="key"' in page.text
    assert "tsukiji keys create" in page.text
    assert stranger.post("/", data={}, headers=SAME_SITE).url.path == "/"


def test_without_a_model_it_says_how_to_make_one(browser):
    page = browser.get("/").text
    assert "tsukiji datasets import" in page
    assert "tsukiji train" in page


def test_aliases_are_offered_before_models(browser, model):
    page = browser.get("/").text
    assert page.index('value="production"') < page.index(f'value="{model}"')
    assert 'type="file"' in page


def test_picture_is_answered(browser, services, model):
    with Worker(services):
        page = ask(browser)
    assert page.url.path == "/"
    assert "prediction=prd_" in str(page.url)
    assert re.search(r'class="decision">\s*tuna', page.text)
    assert re.findall(r'class="share">([^<]+)<', page.text)[:3] == ["70.0 %", "20.0 %", "10.0 %"]
    assert 'src="data:image/webp;base64,' in page.text


def test_none_of_these(browser, services, model):
    with Worker(services, known_score=0.001):
        page = ask(browser)
    assert re.search(r'class="decision">\s*None of these', page.text)


def test_a_model_that_is_not_sure_does_not_say_none_of_these(browser, services, model):
    with Worker(services):
        page = ask(browser, threshold="0.9")
    assert re.search(r'class="decision">\s*Not sure enough', page.text)
    assert "None of these" not in page.text


def test_what_is_no_picture_is_told(browser, services, model):
    with Worker(services, errors={0}):
        page = ask(browser, b"text")
    assert "cut short" in page.text


def test_no_picture_was_chosen(browser, model):
    page = ask(browser, b"")
    assert page.status_code == 422
    assert "No picture was chosen." in page.text


def test_page_waits_with_the_visitor(browser, services, model):
    services.stopping.set()  # nobody waits: as if the worker took long
    page = ask(browser)
    assert "Waiting for a worker" in page.text
    assert 'http-equiv="refresh"' in page.text


def test_an_alias_is_listed_with_how_good_its_model_is(browser, client, services, model):
    client.put("/v1/aliases/production", json={"model": model})
    accuracy = client.get(f"/v1/models/{model}").json()["accuracy"]
    (option,) = re.findall(r'<option value="production"[^>]*>([^<]+)<', browser.get("/").text)
    assert f"{100 * accuracy:.1f} % right" in option


@pytest.mark.parametrize("path", ["/datasets", "/models/pets", "/nonsense"])
def test_a_typed_address_leads_to_the_page(stranger, path):
    answer = stranger.get(path, headers={"Accept": "text/html,*/*"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert stranger.get(path, headers={"Accept": "application/json"}).status_code == 404
    assert stranger.get(f"/v1{path}/x/y/z", headers={"Accept": "text/html"}).status_code == 404


def test_boxes_say_what_is_in_them():
    tag = {"label": "tuna", "score": 0.9, "box": [10, 20, 110, 220]}
    result = {"tags": [tag], "image": {"width": 480, "height": 240}, "scores": [], "decision": "tuna"}
    page = templates.get_template("try.html").render(
        request=SimpleNamespace(base_url="http://x/"),
        result=result,
        models=[],
        aliases=[("a", SimpleNamespace(name="fish", accuracy=None))],
    )
    assert '<text x="10" y="20" font-size="20.0">tuna</text>' in page


def test_prediction_that_is_gone(browser, model):
    page = browser.get("/", params={"prediction": "prd_nope"})
    assert page.status_code == 404
    assert "There is no prediction" in page.text


def test_names_cannot_break_out(browser, client, model):
    client.put("/v1/aliases/%3Cb%3Ex", json={"model": model})
    page = browser.get("/").text
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


@pytest.mark.parametrize("path", ["/", "/problems/not_found"])
def test_pages_load_nothing_from_elsewhere(browser, model, path):
    page = browser.get(path, headers={"Accept": "text/html"}).text
    assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", page)
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)
    for place in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        answer = browser.get(place)
        assert answer.status_code == 200
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_cookie_serves_the_public_api(browser, services, model):
    with Worker(services):
        answer = browser.post("/v1/models/production/predict", files={"files": picture()})
    assert answer.json()["result"]["predictions"][0]["label"] == "tuna"
