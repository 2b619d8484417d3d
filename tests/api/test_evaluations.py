"""Evaluations: starting them, sorting their images, and comparing two."""

import csv
import io
import re

import pytest

from db import registry
from db.jobs import batches, jobs, leases
from db.models import Evaluation, Job
from tests.api.conftest import LABELS, as_files, pictures, work
from tsukiji.ids import new_id
from tsukiji.jobs import JobStatus


def metrics(**members):
    row = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    return {
        "accuracy": 0.5,
        "loss": 0.5,
        "images": 2,
        "label_names": LABELS,
        "per_class": [row | {"label": label} for label in LABELS],
        "confusion": [[1, 3, 0], [0, 1, 0], [0, 0, 0]],
        "curves": [{"label": "eel", "roc_auc": 0.9, "average_precision": 0.8, "roc": [(0, 0), (1, 1)]}],
        "sweep": [{"threshold": 0.5, "coverage": 1, "accuracy": 0.5}],
        **members,
    }


@pytest.fixture
def evaluation(services, model):
    """Insert an evaluation of these images: sha256 letter, true and predicted label, loss."""

    def add(*images, **columns):
        items = [
            {
                "seq": seq,
                "image_id": None,
                "name": f"{letter}.png",
                "sha256": letter * 64,
                "true_label": true,
                "predicted_label": predicted,
                "score": 0.6,
                "loss": loss,
                "known_score": 0.25,
                "probabilities": b"",
            }
            for seq, (letter, true, predicted, loss) in enumerate(images)
        ]
        facts = {"split": "valid", "metrics": metrics()} | columns
        row = Evaluation(id=new_id("evl"), model_id=model, **facts)
        with services.database.transaction() as session:
            registry.add_evaluation(session, row, items)
            return row.id

    return add


def compare(client, a, b):
    return client.get("/v1/evaluations/compare", params={"a": a, "b": b})


def test_starting_an_evaluation(client, services, model, dataset):
    started = client.post("/v1/evaluations", json={"model": "production", "dataset": "sushi", "split": "test"})
    assert started.status_code == 202
    job = started.json()
    assert started.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (job["object"], job["request"]["model"]) == ("evaluation", model)
    assert job["request"]["input"] == {"type": "dataset", "dataset": dataset, "split": "test"}
    assert job["deadline_at"]
    assert services.notifier.sent == ["intake"]
    assert client.get(job["links"]["self"]).json()["id"] == job["id"]
    assert [row["id"] for row in client.get("/v1/jobs", params={"kind": "evaluation"}).json()["data"]] == [job["id"]]


def test_the_same_key_starts_it_once(client, services, model, dataset):
    sent = [
        client.post(
            "/v1/evaluations", json={"model": "sushi", "dataset": "sushi"}, headers={"Idempotency-Key": "once"}
        ).json()["id"]
        for _ in range(2)
    ]
    assert sent[0] == sent[1]
    assert len(services.notifier.sent) == 1


def test_labels_that_the_model_does_not_know_are_refused(client, services, model, dataset):
    client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(1, 77)), data={"label": "crab"})
    refused = client.post("/v1/evaluations", json={"model": "production", "dataset": "sushi"})
    assert (refused.status_code, refused.json()["code"], refused.json()["labels"]) == (422, "labels_unknown", ["crab"])
    assert "'crab'" in refused.json()["detail"]
    other_split = client.post("/v1/evaluations", json={"model": "production", "dataset": "sushi", "split": "test"})
    assert other_split.status_code == 202, "the crab is not in that split"
    assert len(services.notifier.sent) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "nope", "dataset": "sushi"}, 404, "not_found"),
        ({"model": "production", "dataset": "nope"}, 404, "not_found"),
        ({"model": "production", "dataset": "sushi", "split": "half"}, 422, "invalid_request"),
        ({"model": "production"}, 422, "invalid_request"),
    ],
)
def test_what_is_not_there_is_refused(client, model, dataset, body, status, code):
    refused = client.post("/v1/evaluations", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_a_data_set_without_labels_is_refused(client, model):
    client.post("/v1/datasets", json={"name": "empty"})
    refused = client.post("/v1/evaluations", json={"model": "production", "dataset": "empty"})
    assert (refused.status_code, refused.json()["code"]) == (422, "batch_empty")


def test_the_job_names_its_evaluation(client, services, model, dataset, evaluation):
    job_id = client.post("/v1/evaluations", json={"model": "production", "dataset": "sushi"}).json()["id"]
    found = evaluation(("a", "eel", "eel", 0.1))
    with services.database.transaction() as session:
        claimed = leases.claim(session, Job, job_id, "test", 30)
        assert jobs.finish(session, claimed, {"evaluation_id": found})
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == JobStatus.SUCCEEDED
    assert job["links"]["evaluation"] == f"/v1/evaluations/{found}"


def test_a_model_goes_on_naming_its_own_evaluation(client, model, evaluation):
    own = client.get(f"/v1/models/{model}").json()["evaluation_id"]
    evaluation(("a", "eel", "eel", 0.1))
    assert client.get(f"/v1/models/{model}").json()["evaluation_id"] == own


def test_what_the_model_learnt_from_is_a_warning(client, evaluation):
    clean, seen = evaluation(), evaluation(seen_in_training=3, errored=2)
    assert client.get(f"/v1/evaluations/{clean}").json()["warnings"] == []
    found = client.get(f"/v1/evaluations/{seen}").json()
    assert (found["seen_in_training"], found["errored"]) == (3, 2)
    assert [warning["code"] for warning in found["warnings"]] == ["seen_in_training"]


def test_a_label_without_images_is_a_warning_and_its_figures_are_null(client, evaluation):
    measured = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    unknown = {"precision": None, "recall": None, "f1": None, "support": 0, "label": "tuna"}
    per_class = [measured | {"label": "eel"}, measured | {"label": "squid"}, unknown]
    found = client.get(f"/v1/evaluations/{evaluation(metrics=metrics(per_class=per_class))}").json()
    assert found["metrics"]["per_class"][2] == unknown
    (warning,) = found["warnings"]
    assert (warning["code"], warning["labels"]) == ("labels_unmeasured", ["tuna"])


@pytest.mark.parametrize(("left_out", "given", "told"), [(0.3, None, []), (0.7, None, ["70%"]), (0.9, 0.1, [])])
def test_a_none_of_these_that_hardly_works_is_a_warning(client, services, evaluation, left_out, given, told):
    rates = {"method": "x", "min_known": 0.05, "false_rejections": 0.05, "false_acceptances": left_out}
    rates["given"] = given and {"images": 9, "false_acceptances": given, "auroc": 0.9}
    found = evaluation()
    with services.database.transaction() as session:
        row = session.get(Evaluation, found)
        row.metrics = row.metrics | {"unknown": rates}
    warnings = client.get(f"/v1/evaluations/{found}").json()["warnings"]
    assert [re.search(r"\d+%", warning["detail"])[0] for warning in warnings] == told


def test_what_is_long_is_left_out_of_the_list(client, evaluation):
    found = client.get(f"/v1/evaluations/{evaluation()}").json()
    assert found["metrics"]["curves"][0]["roc"] == [[0, 0], [1, 1]]
    assert found["metrics"]["sweep"]
    listed = client.get("/v1/evaluations").json()["data"][0]
    assert (listed["id"], listed["metrics"]["curves"], listed["metrics"]["sweep"]) == (found["id"], [], [])
    assert listed["metrics"]["confusion"] == found["metrics"]["confusion"]


def test_the_matrix_in_fractions(client, evaluation):
    place = f"/v1/evaluations/{evaluation()}"
    table = list(csv.reader(io.StringIO(client.get(f"{place}/confusion.csv", params={"normalise": "true"}).text)))
    assert table[1:] == [["eel", "0.25", "0.75", "0.0"], ["squid", "0.0", "1.0", "0.0"], ["tuna", "", "", ""]], (
        "unknown of tuna"
    )
    counts, fractions = (
        client.get(f"{place}/confusion.png", params={"normalise": normalise}) for normalise in ("false", "true")
    )
    assert fractions.headers["content-type"] == "image/png"
    assert fractions.content != counts.content


def test_the_worst_mistakes_first(client, evaluation):
    losses = {"a": 0.5, "b": 3.0, "c": 0.5, "d": 0.5, "e": 9.0}
    place = f"/v1/evaluations/{evaluation(*((name, 'eel', 'tuna', loss) for name, loss in losses.items()))}/items"
    names, cursor = [], None
    while True:
        query = {"order": "loss", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get(place, params=query).json()
        names += [item["name"][0] for item in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["e", "b", "a", "c", "d"], "images of equal loss stand in their order, each once"
    assert page["data"][0]["known_score"] == 0.25
    first = client.get(place, params={"order": "loss", "limit": "2"}).json()["next_cursor"]
    assert client.get(place, params={"cursor": first}).status_code == 422
    assert client.get(place, params={"order": "score"}).status_code == 422


def test_two_evaluations_on_the_same_images(client, evaluation):
    a = evaluation(
        ("a", "eel", "eel", 0.1), ("b", "eel", "tuna", 2), ("c", "eel", "eel", 0.2), ("d", "tuna", "tuna", 0.1),
        ("e", "tuna", "eel", 3), ("f", "tuna", "tuna", 0.1), ("g", "eel", "eel", 0.1), ("1", "eel", "eel", 0.1),
    )  # fmt: skip
    b = evaluation(
        ("a", "eel", "eel", 0.1), ("b", "eel", "eel", 0.1), ("c", "eel", "eel", 0.2), ("d", "tuna", "squid", 4),
        ("e", "tuna", "squid", 3), ("f", "tuna", "tuna", 0.1), ("g", "tuna", "tuna", 0.1), ("2", "eel", "eel", 0.1),
    )  # fmt: skip
    found = compare(client, a, b).json()
    assert (found["images"], found["only_a"], found["only_b"], found["relabelled"]) == (6, 1, 1, 1)
    assert (found["accuracy_a"], found["accuracy_b"]) == pytest.approx((4 / 6, 4 / 6))
    assert (found["right_only_a"], found["right_only_b"], found["p_value"]) == (1, 1, 1)
    assert found["difference_interval"][0] < 0 < found["difference_interval"][1]
    assert (found["classes_better"], found["classes_worse"]) == (1, 1)
    assert [(row["label"], row["right_a"], row["right_b"]) for row in found["per_class"]] == [
        ("tuna", 2, 1),
        ("eel", 2, 3),
    ]
    assert found["changed"] == 3
    assert [(row["name"], row["label_a"], row["label_b"]) for row in found["changes"]] == [
        ("d.png", "tuna", "squid"),
        ("b.png", "tuna", "eel"),
        ("e.png", "eel", "squid"),
    ], "lost, won, and wrong either way"
    assert found["summary"] == "+0.0 points, p = 1, 1 class worse"
    assert found["links"]["evaluation_b"] == f"/v1/evaluations/{b}"


def test_evaluations_that_share_nothing_are_not_compared(client, evaluation):
    a, b = evaluation(("a", "eel", "eel", 0.1)), evaluation(("b", "eel", "eel", 0.1))
    refused = compare(client, a, b)
    assert (refused.status_code, refused.json()["code"]) == (422, "no_shared_images")
    relabelled = compare(client, a, evaluation(("a", "tuna", "eel", 0.1)))
    assert "relabelled" in relabelled.json()["detail"]
    assert compare(client, a, "evl_nope").status_code == 404


def test_chunks_of_an_evaluation_lead_to_measuring(client, services, model, dataset):
    """What a batch would end with, an evaluation goes on from."""
    job_id = client.post("/v1/evaluations", json={"model": "production", "dataset": "sushi"}).json()["id"]
    with services.database.transaction() as session:
        job = leases.claim(session, Job, job_id, "test", 30)
        batches.add_items(session, job_id, [{"custom_id": "a", "sha256": None, "true_label": "eel"}])
        batches.finish_plan(session, job, 1, 10, 3)
    work(services)
    waits = client.get(f"/v1/jobs/{job_id}").json()
    assert (waits["status"], waits["phase"], waits["done"]) == ("queued", "measuring", False)
    assert waits["counts"]["succeeded"] == 1
