"""Jobs in a browser without script."""

import re

import pytest

from db.jobs import jobs
from tests.api.conftest import archive, as_files, picture, run_job
from tsukiji.errors import TrainingCrashed

ZIP = {"Content-Type": "application/zip"}


@pytest.fixture
def training(client, dataset):
    return client.post("/v1/trainings", json={"dataset": dataset, "recipe": {"epochs": 3}}).json()["id"]


@pytest.fixture
def imported(client, dataset):
    sent = archive({"cat/1.png": picture()})
    place = f"/v1/datasets/{dataset}/imports?filename=cats.zip"
    return client.post(place, content=sent, headers=ZIP).json()["id"]


def listed(page):
    return re.findall(r'data-job="(\w+)"', page.text)


def test_the_newest_job_comes_first_and_filters_narrow_the_list(browser, training, imported):
    page = browser.get("/jobs")
    assert listed(page) == [imported, training]
    assert "of cats.zip into sushi" in page.text
    assert f'href="/trainings/{training}"' in page.text
    assert listed(browser.get("/jobs?kind=training&status=queued")) == [training]
    nothing = browser.get("/jobs?kind=training&status=failed")
    assert "No job fits both filters" in nothing.text


def test_pages_are_links(browser, training, imported, monkeypatch):
    monkeypatch.setattr("api.page.jobs.LISTED", 1)
    (older,) = re.findall(r'href="([^"]+)">Older', browser.get("/jobs?status=queued").text)
    assert listed(browser.get(older.replace("&amp;", "&"))) == [training]


def test_an_empty_service_says_what_would_be_here(browser):
    assert "Nothing was started yet" in browser.get("/jobs").text


def test_the_history_gives_reasons_and_names(browser, services, training):
    browser.post(f"/jobs/{training}/cancel")
    page = browser.get(f"/jobs/{training}").text
    lines = [re.sub(r"<[^>]+>|\s+", " ", line) for line in re.findall(r"<li><span><b>(.*?)</span></span>", page)]
    assert [" ".join(line.split()) for line in lines] == [
        "Queued key tests",
        "Cancelled : a person or a program asked for it key tests",
    ]
    assert "Cancel</button>" not in page


def test_a_failed_job_says_why_and_what_to_do(browser, services, training):
    error = TrainingCrashed("It ran out of memory.", hint="Use a smaller batch_size.")
    with services.database.transaction() as session:
        jobs.fail(session, training, error)
    page = browser.get(f"/jobs/{training}").text
    assert "It ran out of memory. Use a smaller batch_size." in page
    assert f'action="/trainings/{training}/again"' in page


def test_what_can_be_started_again_is(browser, client, dataset):
    first = client.post(f"/v1/datasets/{dataset}/analyses", json={"image_size": 64}).json()["id"]
    page = browser.post(f"/jobs/{first}/cancel").text
    assert f'action="/jobs/{first}/again"' in page
    second = browser.post(f"/jobs/{first}/again").url.path.rpartition("/")[2]
    assert second != first
    assert client.get(f"/v1/jobs/{second}").json()["request"]["image_size"] == 64


def test_an_import_of_sent_files_cannot_be_started_again(browser, imported):
    page = browser.post(f"/jobs/{imported}/cancel").text
    assert "Start it again" not in page
    assert browser.post(f"/jobs/{imported}/again").status_code == 409


@pytest.mark.parametrize("kind", ["batch", "prediction", "evaluation", "export", "suggestion"])
def test_each_kind_says_what_it_is(browser, client, dataset, model, kind):
    sent = {
        "batch": ("/v1/batches", {"json": {"model": model, "input": {"dataset": dataset}}}),
        "prediction": (
            f"/v1/models/{model}/predict",
            {"files": as_files([picture()]), "headers": {"Prefer": "wait=0"}},
        ),
        "evaluation": ("/v1/evaluations", {"json": {"model": model, "dataset": dataset}}),
        "export": (f"/v1/models/{model}/exports", {"json": {"format": "onnx"}}),
        "suggestion": (f"/v1/datasets/{dataset}/suggestions", {"json": {}}),
    }
    place, body = sent[kind]
    made = client.post(place, **body)
    (job,) = client.get("/v1/jobs", params={"kind": kind}).json()["data"]
    page = browser.get(f"/jobs/{job['id']}")
    assert page.status_code == 200, made.text
    assert re.search(r"<h1>\w+ (of|with|for) \w+", page.text)


def test_a_job_that_does_not_exist_is_told(browser):
    assert browser.get("/jobs/trn_1").status_code == 404


def test_the_sample_is_imported_and_the_data_set_says_so(browser, client, services):
    page = browser.post("/datasets/sample")
    assert page.url.path == f"/datasets/{client.get('/v1/datasets').json()['data'][0]['id']}"
    assert "An import waits for a worker" in page.text
    (job,) = client.get("/v1/imports").json()["data"]
    run_job(services, job["id"], {})
    assert "No pictures yet" in browser.get(page.url.path).text
