"""Pretrained weights that no worker can have are told when a training is asked for, not when its turn has come."""

import pytest

from db.jobs import workers
from tsukiji.vision.backbones import WeightsPackage


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
    assert "tsukiji weights add FILE" in problem["hint"]
    assert "--backbone efficientnet_lite0" in problem["hint"]
    assert client.get("/v1/trainings").json()["data"] == []
    assert train(backbone="efficientnet_lite0").status_code == 202  # the way out is one


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


# --- auto ------------------------------------------------------------------------------------------------------------


def test_auto_is_resnet34_where_a_worker_can_have_its_weights(train, report):
    report(["efficientnet_lite0"])
    report(["resnet34", "efficientnet_lite0"], "w2")
    request = train(backbone="auto").json()["request"]
    assert request["recipe"]["backbone"] == "resnet34"
    assert request["backbone_choice"] == "resnet34, because a worker has its weights"


def test_else_it_is_what_comes_with_every_worker_and_says_so(train, report):
    report(["efficientnet_lite0", "efficientnet_lite2"])
    report(["resnet34"], "w2", "infer")  # which trains nothing
    request = train(backbone="auto", preset="quick").json()["request"]
    assert request["recipe"]["backbone"] == "efficientnet_lite0"
    assert request["backbone_choice"] == "efficientnet_lite0, because no worker has the weights of resnet34"


def test_as_long_as_no_worker_knows_auto_is_the_sure_thing(train, report):
    report(None)
    request = train(backbone="auto").json()["request"]
    assert request["recipe"]["backbone"] == "efficientnet_lite0"
    assert "no worker has reported" in request["backbone_choice"]


def test_auto_without_weights_is_the_default_network(train, report):
    report([])
    assert train(backbone="auto", pretrained=False).json()["request"]["recipe"]["backbone"] == "resnet34"


def test_auto_is_refused_where_even_the_sure_thing_is_gone(train, report, monkeypatch):
    monkeypatch.setattr(WeightsPackage, "path", None)
    report(["resnet18"])
    assert train(backbone="auto").json()["code"] == "weights_unavailable"


def test_a_backbone_by_name_is_not_explained(train):
    request = train().json()["request"]
    assert request["recipe"]["backbone"] == "resnet34"
    assert "backbone_choice" not in request


def test_an_analysis_is_settled_by_the_workers_that_do_it(client, dataset, report):
    report(["resnet34"], "w1", "train")
    report(["efficientnet_lite0"], "w2", "intake")
    started = client.post(f"/v1/datasets/{dataset}/analyses", json={})
    assert started.json()["request"]["backbone"] == "efficientnet_lite0"
