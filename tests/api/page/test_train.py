"""Training through the page, without script."""

import pytest

from db.jobs import jobs, leases
from db.models import Job
from tests.api.conftest import as_files, picture, pictures, run_job
from tsukiji.errors import NanLoss


@pytest.fixture
def training(client, dataset):
    return client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]


def test_a_training_starts_with_three_fields(browser, client, dataset):
    answer = browser.post(f"/datasets/{dataset}/train", data={"preset": "quick", "name": "first", "epochs": ""})
    (job,) = client.get(f"/v1/trainings?dataset={dataset}").json()["data"]
    assert answer.url.path == f"/trainings/{job['id']}"
    assert job["request"]["name"] == "first"
    assert (job["request"]["recipe"]["preset"], job["request"]["recipe"]["epochs"]) == ("quick", 20)
    assert "efficientnet_lite0, because" in answer.text


def test_the_folded_fields_are_heard(browser, client, dataset):
    things = client.post("/v1/datasets", json={"name": "things"}).json()["id"]
    client.post(f"/v1/datasets/{things}/images", files=as_files([picture((1, 2, 250))]))
    fields = {"preset": "standard", "backbone": "resnet18", "flip": "false", "seed": "7", "unknown": things}
    browser.post(f"/datasets/{dataset}/train", data=fields)
    (job,) = client.get("/v1/trainings").json()["data"]
    recipe = job["request"]["recipe"]
    assert (recipe["backbone"], recipe["flip"], recipe["seed"]) == ("resnet18", False, 7)
    assert job["request"]["unknown"] == things


def test_what_is_wrong_is_told_beside_what_was_entered(browser, client, dataset):
    answer = browser.post(f"/datasets/{dataset}/train", data={"preset": "quick", "name": "kept", "epochs": "5000"})
    assert answer.status_code == 422
    assert 'value="kept"' in answer.text
    assert "epochs: Input should be less than or equal to 1000" in answer.text
    assert client.get("/v1/trainings").json()["data"] == []


def test_what_a_person_should_know_is_told_before_the_start(browser, client, dataset):
    client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(3, 77)))
    page = browser.get(f"/datasets/{dataset}/train").text
    assert "3 pictures without a label are left out" in page
    assert "Labels with fewer than 50 images: eel (4), tuna (4)." in page


def test_a_data_set_without_labels_leads_to_labelling(browser, client):
    empty = client.post("/v1/datasets", json={"name": "empty"}).json()["id"]
    assert "Add pictures" in browser.get(f"/datasets/{empty}/train").text
    client.post(f"/v1/datasets/{empty}/images", files=as_files(pictures(2)))
    page = browser.get(f"/datasets/{empty}/train").text
    assert f'href="/datasets/{empty}/label"' in page


def test_one_label_alone_cannot_be_trained(browser, client):
    lone = client.post("/v1/datasets", json={"name": "lone"}).json()["id"]
    client.post(f"/v1/datasets/{lone}/images", files=as_files(pictures(4)), data={"label": "eel"})
    page = browser.get(f"/datasets/{lone}/train").text
    assert "at least two labels; there is one" in page
    assert "disabled" in page


def test_a_running_training_has_its_curves_and_can_be_ended(browser, client, services, training):
    with services.database.transaction() as session:
        job = leases.claim(session, Job, training, "test", 30)
        for number in (1, 2):
            epoch = {"epoch": number, "train_loss": 1.0, "valid_loss": 0.5, "accuracy": 0.4 * number, "seconds": 2.0}
            jobs.record(session, training, "metric", epoch, attempt=job.attempt)
    page = browser.get(f"/trainings/{training}").text
    assert "accuracy: 80.0% at 2" in page
    browser.post(f"/trainings/{training}/finish")
    assert "Finishing…" in browser.get(f"/trainings/{training}").text
    page = browser.post(f"/trainings/{training}/cancel")
    assert "stopping" in page.text
    assert client.get(f"/v1/jobs/{training}").json()["status"] == "cancelling"


def test_a_failed_training_says_why_and_starts_again(browser, client, services, training):
    with services.database.transaction() as session:
        job = leases.claim(session, Job, training, "test", 30)
        jobs.fail(session, training, NanLoss("The loss became NaN in epoch 3."), attempt=job.attempt)
    page = browser.get(f"/trainings/{training}").text
    assert "The loss became NaN in epoch 3." in page
    again = browser.post(f"/trainings/{training}/again")
    assert again.url.path != f"/trainings/{training}"
    first, second = client.get("/v1/trainings").json()["data"]
    assert first["request"]["recipe"] == second["request"]["recipe"]


def test_a_training_leads_to_its_model(browser, client, services, training, model):
    run_job(services, training, {"model_id": model, "accuracy": 0.9, "epochs": 1, "seconds": 12.0})
    page = browser.get(f"/trainings/{training}").text
    assert f'href="/models/{model}"' in page
    assert "This model is in production." in page
    client.delete("/v1/aliases/production")
    client.delete(f"/v1/models/{model}")
    assert "was deleted" in browser.get(f"/trainings/{training}").text
