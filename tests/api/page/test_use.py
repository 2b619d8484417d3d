"""Trying a model in a browser without script."""

import re

import pytest

from db.jobs import batches
from tests.api.conftest import as_files, claim_chunk, picture, pictures, predict
from tests.api.test_batches import Worker


def ask(browser, data=None, **fields):
    files = {"files": ("fish.png", picture() if data is None else data, "image/png")}
    return browser.post("/use", files=files, data={"model": "production", "threshold": "0", **fields})


def decision(page):
    return re.search(r'class="decision">\s*([^<]*?)\s*<', page.text)[1]


def test_without_a_model_it_says_how_to_make_one(browser, dataset):
    page = browser.get("/use").text
    assert "There is no model yet" in page
    assert f"/datasets/{dataset}/train" in page


def test_aliases_are_offered_before_models_with_how_good_they_are(browser, model):
    page = browser.get("/use").text
    assert page.index('value="production"') < page.index(f'value="{model}"')
    (option,) = re.findall(r'<option value="production"[^>]*>([^<]+)<', page)
    assert "90.0% right" in option


def test_a_picture_is_answered(browser, services, model):
    with Worker(services):
        page = ask(browser)
    assert page.url.path == "/use"
    assert decision(page) == "tuna"
    assert re.findall(r'class="share">([^<]+)<', page.text)[:3] == ["70.0%", "20.0%", "10.0%"]
    (shown,) = re.findall(r'class="picture" src="([^"]+)"', page.text)
    assert browser.get(shown).headers["content-type"] == "image/webp"


def test_none_of_these_says_why(browser, services, model):
    with Worker(services, known_score=0.001):
        page = ask(browser)
    assert decision(page) == "None of these"
    assert "its known score is 0.1%, and 5.0% is needed" in page.text


def test_a_model_that_is_not_sure_does_not_say_none_of_these(browser, services, model):
    with Worker(services):
        page = ask(browser, threshold="0.9")
    assert decision(page) == "Not sure enough"
    assert "None of these" not in page.text
    assert re.search(r'<option value="0.9" selected>', page.text)


def test_several_pictures_are_a_grid_and_each_has_its_address(browser, services, model):
    with Worker(services, errors={1}):
        page = browser.post("/use", files=as_files(pictures(3)), data={"model": "production"})
    assert "3 pictures" in page.text
    assert "cut short" in page.text
    (second,) = re.findall(r'href="(/use\?prediction=[^"]*item=2)"', page.text)
    assert decision(browser.get(second.replace("&amp;", "&"))) == "tuna"


def test_too_many_pictures_are_for_a_batch(browser, model):
    page = browser.post("/use", files=as_files(pictures(17)), data={"model": "production"})
    assert page.status_code == 422
    assert "start a batch" in page.text


def test_what_is_no_picture_is_told(browser, services, model):
    with Worker(services, errors={0}):
        page = ask(browser, b"text")
    assert "cut short" in page.text


def test_no_picture_was_chosen(browser, model):
    page = ask(browser, b"")
    assert page.status_code == 422
    assert "No picture was chosen." in page.text


def test_the_page_waits_with_the_visitor(browser, services, model):
    services.stopping.set()  # as if the worker took long
    page = ask(browser)
    assert "Waiting for a worker" in page.text
    assert 'http-equiv="refresh"' in page.text


@pytest.mark.parametrize(
    ("query", "told"), [("prediction=prd_nope", "There is no prediction"), ("model=gone", "There is no model")]
)
def test_what_is_gone_is_told_and_another_can_be_asked(browser, model, query, told):
    page = browser.get(f"/use?{query}")
    assert page.status_code == 404
    assert told in page.text
    assert 'type="file"' in page.text


def test_deleted_results_and_a_deleted_model_are_told(browser, client, services, model):
    with Worker(services):
        page = ask(browser)
    job = page.url.params["prediction"]
    client.delete("/v1/aliases/production")
    client.delete(f"/v1/models/{model}")
    answer = browser.get(f"/use?prediction={job}")
    assert "There is no model yet" in answer.text
    client.delete(f"/v1/predictions/{job}")
    assert browser.get(f"/use?prediction={job}").status_code == 410


def test_tags_and_a_heatmap_lie_over_the_picture(browser, client, services, model):
    tag = {"label": "eel", "score": 0.8, "known_score": 0.4, "box": [1, 2, 11, 12]}
    heatmap = {"label": "eel", "width": 2, "height": 1, "values": [[0.0, 1.0]], "box": [2, 0, 22, 20]}
    form = {"tags": "true", "heatmap": "top"}
    headers = {"Prefer": "respond-async"}
    sent = client.post("/v1/models/production/predict", files=as_files([picture()]), data=form, headers=headers)
    with services.database.transaction() as session:
        claimed = claim_chunk(session)
        rows = [predict(item, (0.1, 0.2, 0.7), failed=False) for item in batches.items_of(session, claimed)]
        assert batches.finish_chunk(session, claimed, [row | {"tags": [tag], "heatmap": heatmap} for row in rows])
    page = browser.get(f"/use?prediction={sent.json()['id']}").text
    assert '<text x="1" y="2" font-size="1.0"' in page
    assert "eel 80.0%" in page
    assert "results/0/heatmap.png" in page


def test_the_same_call_has_the_names_and_options_of_the_last_one(browser, services, model):
    with Worker(services):
        job = ask(browser, threshold="0.9").url.params["prediction"]
    codes = {name: browser.get(f"/use?prediction={job}&code={name}").text for name in ("curl", "Python", "CLI")}
    assert "-F threshold=0.9" in codes["curl"]
    assert "/v1/models/production/predict" in codes["curl"]
    assert "client.predict(&#34;picture.jpg&#34;, &#34;production&#34;, threshold=0.9)" in codes["Python"]
    assert "tsukiji predict picture.jpg --model production --threshold 0.9" in codes["CLI"]


def test_a_model_that_is_named_is_chosen(browser, model):
    assert re.search(rf'<option value="{model}" selected>', browser.get("/use?model=sushi").text)


def test_names_cannot_break_out(browser, client, model):
    client.put("/v1/aliases/%3Cb%3Ex", json={"model": model})
    page = browser.get("/use?model=%3Cb%3Ex").text
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
