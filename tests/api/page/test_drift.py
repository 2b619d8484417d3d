"""Drift on the pages of a model and a batch."""

from tests.api.test_drift import classify, watch


def test_the_pages_of_model_and_batch_say_it(client, browser, services, model):
    watched = watch(services, model)
    assert 'id="drift"' not in browser.get(f"/models/{watched}").text
    usual, strange = (classify(client, services, watched, known) for known in (0.6, 0.0))
    page = browser.get(f"/models/{watched}").text
    assert f'href="/batches/{strange}"' in page
    assert page.count(">drift</span>") == 1
    assert "Strange pictures of each batch" in page
    assert "8 of 8 pictures are strange" in browser.get(f"/batches/{strange}").text
    assert 'id="drift"' not in browser.get(f"/batches/{usual}").text


def test_a_model_of_an_earlier_version_says_that_there_is_nothing_to_compare_with(client, browser, services, model):
    classify(client, services, model, 0.0)
    assert "nothing to compare with" in browser.get(f"/models/{model}").text
