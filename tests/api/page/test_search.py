"""Search in a browser without script."""

import pytest


def test_data_sets_models_and_jobs_are_found_and_lead_to_their_screens(browser, client, dataset, model):
    training = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    analysis = client.post(f"/v1/datasets/{dataset}/analyses", json={}).json()["id"]
    page = browser.get("/search?q=SUSHI").text
    assert f'<a href="/datasets/{dataset}">sushi</a>' in page
    assert f'href="/trainings/{training}"' in page
    assert f'href="/models/{model}"' in browser.get("/search?q=production").text
    assert f'href="/jobs/{analysis}"' in browser.get(f"/search?q={analysis}").text


@pytest.mark.parametrize("q", ["nothing", "%", "<b>"])
def test_nothing_found_is_told(browser, dataset, q):
    page = browser.get("/search", params={"q": q}).text
    assert "Nothing is called" in page
    assert "<b>”" not in page


def test_an_empty_search_asks_for_words(browser):
    page = browser.get("/search?q=")
    assert page.status_code == 200
    assert "Nothing is called" not in page.text
