"""Batches in a browser without script."""

import re

import pytest

from tests.api.conftest import archive, as_files, picture, pictures, work
from tests.api.test_guarantees import finish, promise_of


@pytest.fixture
def batch(client, services, model):
    """Four results, the last of them no picture."""
    job = client.post("/v1/batches", files=as_files(pictures(4)), data={"model": model}).json()
    work(services, errors={3}, known_score=0.2)
    return job["id"]


@pytest.fixture
def promising(services, model):
    return promise_of(services, model)


def chips(page):
    found = re.findall(r'href="([^"]*)"[^>]*><span class="name">([^<]+)</span> <span class="n">([\d,]+)<', page.text)
    return {text: (int(n), href.replace("&amp;", "&")) for href, text, n in found}


def tiles(page):
    return re.findall(r'data-image="(\d+)"', page.text)


def test_pictures_become_a_batch(browser, client, services, model):
    page = browser.post("/batches", files=as_files(pictures(2)), data={"model": "production", "threshold": "0.5"})
    assert "Waiting for a worker" in page.text
    assert 'http-equiv="refresh"' in page.text
    (job,) = client.get("/v1/batches").json()["data"]
    assert (job["counts"]["total"], job["request"]["threshold"]) == (2, 0.5)
    assert f"/batches/{job['id']}" in browser.get("/batches").text


def test_a_zip_becomes_a_batch(browser, client, model):
    sent = {"files": ("holiday.zip", archive({"1.png": picture()}), "application/x-zip-compressed")}
    assert "holiday.zip" in browser.post("/batches", files=sent, data={"model": model}).text
    (job,) = client.get("/v1/batches").json()["data"]
    assert (job["request"]["input"]["type"], job["request"]["input"]["filename"]) == ("archive", "holiday.zip")


def test_a_data_set_becomes_a_batch(browser, client, dataset, model):
    page = browser.post("/batches/dataset", data={"model": model, "dataset": dataset, "split": "valid"})
    assert "sushi, valid" in page.text
    (job,) = client.get("/v1/batches").json()["data"]
    assert job["request"]["input"]["split"] == "valid"


@pytest.mark.parametrize(
    ("sent", "told"), [({"data": {"model": "gone"}, "files": as_files([picture()])}, "There is no model"),
                       ({"data": {"model": "production"}, "files": as_files([b""])}, "No file was chosen")],
)  # fmt: skip
def test_what_cannot_be_started_is_told_beside_the_form(browser, model, sent, told):
    page = browser.post("/batches", **sent)
    assert page.status_code in {404, 422}
    assert told in page.text
    assert 'type="file"' in page.text


def test_results_are_filtered_by_outcome_with_counts(browser, batch):
    page = browser.get(f"/batches/{batch}")
    found = chips(page)
    counts = {"all": 4, "tuna": 3, "none of these": 0, "not sure enough": 0, "unreadable": 1, "truncated": 1}
    assert {text: n for text, (n, _) in found.items()} == counts
    assert tiles(page) == ["0", "1", "2", "3"]
    assert tiles(browser.get(found["tuna"][1])) == ["0", "1", "2"]
    assert tiles(browser.get(found["unreadable"][1])) == ["3"]
    assert tiles(browser.get(found["truncated"][1])) == ["3"]


def test_other_thresholds_change_the_counts_and_the_links(browser, batch):
    page = browser.get(f"/batches/{batch}?threshold=0.9")
    found = chips(page)
    assert (found["tuna"][0], found["not sure enough"][0]) == (0, 3)
    assert len(tiles(browser.get(found["not sure enough"][1]))) == 3
    stricter = chips(browser.get(f"/batches/{batch}?min_known=0.5"))
    assert stricter["none of these"][0] == 3


def test_one_result_is_opened_with_the_likeliest_labels(browser, batch):
    page = browser.get(f"/batches/{batch}?item=1")
    assert re.findall(r'class="share">([^<]+)<', page.text) == ["70.0%", "20.0%", "10.0%"]
    assert f"/v1/batches/{batch}/results/1/content?variant=preview" in page.text
    assert "cut short" in browser.get(f"/batches/{batch}?item=3").text


def test_results_are_downloaded_as_they_are_filtered(browser, batch):
    page = browser.get(f"/batches/{batch}?abstain_reason=below_threshold&threshold=0.9")
    (place,) = re.findall(r'href="(/v1/batches/[^"]*format=csv)" download', page.text)
    table = browser.get(place.replace("&amp;", "&")).text.splitlines()
    assert len(table) == 1 + 3


def test_many_results_come_by_pages(browser, client, services, model):
    job = client.post("/v1/batches", files=as_files(pictures(70)), data={"model": model}).json()
    work(services)
    page = browser.get(f"/batches/{job['id']}?decision=tuna")
    (following,) = re.findall(r'href="([^"]+)">Next page', page.text)
    assert tiles(page) + tiles(browser.get(following.replace("&amp;", "&"))) == [str(seq) for seq in range(70)]


def test_a_batch_is_cancelled(browser, client, services, model):
    job = client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model}).json()
    page = browser.post(f"/batches/{job['id']}/cancel")
    assert "Cancelled after 0 of 3 pictures" in page.text
    assert chips(page)["cancelled"][0] == 3


def test_deleted_results_are_told(browser, batch):
    page = browser.post(f"/batches/{batch}/delete")
    assert page.status_code == 410
    assert "The results were deleted" in page.text
    assert "3 had been classified and 1 could not be read" in page.text


def test_a_failed_batch_says_why(browser, client, services, model):
    job = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model}).json()
    work(services, errors={0})
    page = browser.get(f"/batches/{job['id']}").text
    assert 'role="alert"' in page
    assert "truncated" in page


def test_a_model_that_is_gone_is_told(browser, client, batch, model):
    client.delete("/v1/aliases/production")
    client.delete(f"/v1/models/{model}")
    page = browser.get(f"/batches/{batch}").text
    assert "The model sushi was deleted since" in page
    assert len(re.findall(r"data-image", page)) == 4


def test_names_cannot_break_out(browser, client, services, model):
    files = [("files", ("<b>x.png", picture(), "image/png"))]
    job = client.post("/v1/batches", files=files, data={"model": model}).json()
    work(services)
    page = browser.get(f"/batches/{job['id']}?item=0").text
    assert "<b>x" not in page
    assert "&lt;b&gt;x.png" in page


def test_without_a_model_it_says_how_to_make_one(browser):
    assert "There is no model yet" in browser.get("/batches").text


def test_a_target_is_promised_and_a_sample_is_to_be_checked(browser, client, services, promising, dataset):
    sent = {"model": promising, "threshold": "0", "target_error": "0.05"}
    assert "Promised once it has succeeded" in browser.post("/batches", files=as_files(pictures(4)), data=sent).text
    (job,) = client.get("/v1/batches").json()["data"]
    finish(services)
    text = browser.get(f"/batches/{job['id']}").text
    assert "at most 5% of what is decided is wrong, with a confidence of 95%" in text
    assert "Check 4 random decisions" in text
    corrections = [{"seq": seq, "label": "tuna"} for seq in range(4)]
    client.post(f"/v1/jobs/{job['id']}/feedback", json={"corrections": corrections, "dataset": dataset})
    text = browser.get(f"/batches/{job['id']}").text
    assert "<strong>Confirmed:</strong>" in text
    assert "0 of 4 checked are wrong: 0.0% to 0.0% of all" in text


def test_no_target_or_one_that_cannot_be_kept(browser, client, promising, dataset):
    browser.post("/batches", files=as_files(pictures(2)), data={"model": promising, "target_error": ""})
    (job,) = client.get("/v1/batches").json()["data"]
    assert job["request"].get("target_error") is None
    asked = {"model": promising, "dataset": dataset, "target_error": "0.005"}
    assert "label about" in browser.post("/batches/dataset", data=asked).text
    assert "leave out" in browser.post("/batches/dataset", data=asked | {"threshold": "0.9"}).text
