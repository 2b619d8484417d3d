"""Pretrained weights that no worker can have are told when a training is asked for, not when its turn has come."""

import pytest

from db import workers


@pytest.fixture
def train(client, dataset):
    return lambda **recipe: client.post("/v1/trainings", json={"dataset": dataset, "recipe": recipe})


@pytest.fixture
def report(services):
    def report(weights, name="w1", queue="train"):
        with services.database.transaction() as session:
            workers.report(session, name, queue, None, weights=weights)

    return report


def test_what_no_worker_can_have_is_refused_with_what_they_can(client, train, report):
    report(["efficientnet_lite0"])
    report(None, "w2", "infer")
    refused = train(backbone="resnet34")
    assert refused.status_code == 422
    problem = refused.json()
    assert (problem["code"], problem["available"]) == ("weights_unavailable", ["efficientnet_lite0"])
    assert "resnet34" in problem["detail"]
    assert "efficientnet_lite0" in problem["detail"]
    assert "tsukiji weights add FILE" in problem["hint"]
    assert client.get("/v1/trainings").json()["data"] == []


def test_one_worker_that_can_is_enough(train, report):
    report([])
    report(["resnet34", "resnet34.ra4"], "w2")
    assert train(backbone="resnet34").status_code == 202
    assert train(backbone="resnet34", weights="ra4").status_code == 202
    assert train(backbone="resnet18").status_code == 422


def test_random_weights_need_no_file(train, report):
    report([])
    assert train(pretrained=False).status_code == 202


@pytest.mark.parametrize("told", [[], [None]], ids=["no worker yet", "a worker that does not say"])
def test_what_is_not_known_is_not_refused(train, report, told):
    for weights in told:
        report(weights)
    assert train().status_code == 202


def test_a_file_that_was_put_into_the_weights_folder_just_now_counts(services, train, report):
    report([])
    folder = services.settings.weights_dir
    folder.mkdir(parents=True)
    (folder / "resnet34.safetensors").write_bytes(b"0")
    assert train().status_code == 202


def test_the_list_of_workers_tells_it(client, report):
    report(["resnet34"])
    assert client.get("/v1/info").json()["workers"][0]["weights"] == ["resnet34"]
