"""Target errors: the thresholds that keep them, what people check of them, and sets of labels."""

import numpy as np
import pytest
from sqlalchemy import update

from db.jobs import batches
from db.models import Evaluation, Model
from tests.api.conftest import LABELS, as_files, claim_chunk, pictures, predict, work
from tests.api.test_drift import HELD_OUT, classify, distribution
from training import guarantees
from training.cross_fitting import Judged
from training.metrics import measure

TARGET = 0.05


@pytest.fixture
def promising(services, model):
    return promise_of(services, model)


def promise_of(services, model, lowest=0.5):
    """Return the model, evaluated on 400 images: it is wrong on the 20 that it is least sure of."""
    truth, images = np.arange(400) % 3, np.arange(400)
    scores = np.linspace(0.99, lowest, 400)
    taken_for = np.where(images >= 380, (truth + 1) % 3, truth)
    shares = np.tile((1 - scores)[:, None] / 2, (1, 3))
    shares[images, taken_for] = scores
    metrics = measure(truth, shares, LABELS)
    guarantees.add(metrics, Judged(truth, taken_for, scores, np.ones(400, np.bool_)), shares)
    with services.database.transaction() as session:
        session.execute(update(Evaluation).where(Evaluation.model_id == model).values(metrics=metrics.model_dump()))
        session.get(Model, model).held_out = HELD_OUT.model_dump()
    return model


def start(client, model, images=8, **options):
    unknown = pictures(images, shade=100)  # the data set has none of them
    return client.post("/v1/batches", files=as_files(unknown), data={"model": model, **options})


def started(client, model, **options):
    answer = start(client, model, **options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def finish(services, known=0.6):
    """Classify what waits as tuna, in pictures with this known score."""
    while True:
        with services.database.transaction() as session:
            chunk = claim_chunk(session)
            if chunk is None:
                return
            items = batches.items_of(session, chunk)
            rows = [predict(item, (0.1, 0.2, 0.7), False, max(known, 0.05)) for item in items]
            assert batches.finish_chunk(session, chunk, rows, None, distribution(len(items), known))


def look(client, job):
    return client.get(f"/v1/batches/{job['id']}/guarantee").json()


def tell(client, job, labels, **more):
    corrections = [{"seq": seq, "label": label} for seq, label in labels.items()]
    return client.post(f"/v1/jobs/{job['id']}/feedback", json={"corrections": corrections, **more})


def test_an_evaluation_says_what_each_target_decides(client, promising):
    (listed,) = client.get("/v1/evaluations").json()["data"]
    rows = client.get(f"/v1/evaluations/{listed['id']}").json()["metrics"]["guarantees"]
    assert [row["target_error"] for row in rows] == [0.005, 0.01, 0.02, 0.05]
    least, most = rows[0], rows[-1]
    assert (least["threshold"], least["coverage"]) == (None, 0)
    assert least["more_images"] > 100
    assert most["coverage"] > 0.9
    assert most["images"] == 400
    assert most["bound"] <= TARGET
    assert {row["label"] for row in most["by_label"]} == set(LABELS)


def test_a_target_becomes_a_threshold_and_leaves_the_rest_to_people(client, services, promising):
    job = started(client, promising, target_error=TARGET)
    asked = job["request"]
    assert (asked["target_error"], asked["confidence"]) == (TARGET, 0.95)
    assert 0.5 < asked["threshold"] < 0.6
    work(services, (0.3, 0.3, 0.4), known_score=0.6)
    found = client.get(f"/v1/batches/{job['id']}/summary").json()
    assert (found["below_threshold"], found["counts"]["succeeded"]) == (8, 8)
    assert look(client, job)["left"] == 8


def test_what_cannot_be_promised_says_how_many_more_pictures_to_label(client, promising):
    refused = start(client, promising, target_error=0.005)
    assert refused.status_code == 422
    problem = refused.json()
    assert problem["code"] == "guarantee_unmet"
    assert "not with these 400 images; label about" in problem["detail"]
    assert problem["more_images"] > 100
    assert start(client, promising, target_error=0.0001, confidence=0.9).json()["code"] == "guarantee_unmet"


@pytest.mark.parametrize(
    "options",
    [
        {"target_error": 0.05, "threshold": 0.9},
        {"target_error": 0.05, "min_known": 0},
        {"target_error": 0},
        {"target_error": 0.7},
        {"confidence": 1},
        {"prediction_set": 0.85},
    ],
)
def test_contradictions_are_refused(client, promising, options):
    assert start(client, promising, **options).status_code == 422


def test_a_model_of_an_earlier_version_says_what_to_do(client, model):
    refused = start(client, model, target_error=TARGET)
    assert refused.status_code == 422
    assert "POST /v1/evaluations" in refused.json()["hint"]


def test_models_of_several_labels_promise_nothing(client, services, promising):
    with services.database.transaction() as session:
        session.get(Model, promising).kind = "multi_label"
    assert "several labels" in start(client, promising, target_error=TARGET).text


def test_predictions_take_a_target_recorded_or_not(client, services, promising):
    place = f"/v1/models/{promising}/predict"
    files = as_files(pictures(1))
    sent = client.post(place, files=files, data={"target_error": TARGET}, headers={"prefer": "wait=0"})
    assert sent.json()["request"]["threshold"] > 0.5
    refused = client.post(place, files=files, data={"target_error": 0.005}, params={"record": False})
    assert refused.json()["code"] == "guarantee_unmet"


def test_an_alias_has_a_target_for_who_names_it_and_no_threshold(client, promising):
    put = client.put("/v1/aliases/careful", json={"model": promising, "target_error": TARGET})
    assert (put.json()["target_error"], put.json()["confidence"]) == (TARGET, 0.95)
    assert started(client, "careful")["request"]["target_error"] == TARGET
    own = started(client, "careful", threshold=0.9)["request"]
    assert (own["threshold"], own.get("target_error")) == (0.9, None)
    assert started(client, promising)["request"].get("target_error") is None
    refused = client.put("/v1/aliases/careful", json={"model": promising, "target_error": 0.001})
    assert refused.json()["code"] == "guarantee_unmet"
    client.put("/v1/aliases/careful", json={"model": promising})
    assert started(client, "careful")["request"].get("target_error") is None


def test_people_check_a_random_sample_and_its_answers_bound_the_error(client, services, promising, dataset):
    job = started(client, promising, target_error=TARGET)
    assert (look(client, job)["status"], look(client, job)["decided"]) == ("pending", None)
    finish(services)
    found = look(client, job)
    assert (found["status"], found["decided"], found["left"]) == ("promised", 8, 0)
    assert found["interval"] == [0, 1]
    assert found["sample"] == len(found["checks"]) == 8
    assert {row["decision"] for row in found["checks"]} == {"tuna"}
    first = [row["seq"] for row in found["checks"]]
    assert tell(client, job, {first[3]: "tuna"}, dataset=dataset).status_code == 201
    assert look(client, job)["checked"] == 0, "answers count in the order of the sample: none can be picked"
    tell(client, job, dict.fromkeys(first[:3] + first[4:], "tuna"), dataset=dataset)
    found = look(client, job)
    assert (found["checked"], found["wrong"], found["checks"]) == (8, 0, [])
    assert (found["status"], found["interval"]) == ("confirmed", [0, 0])


def test_a_broken_bound_is_told_once(client, services, promising, dataset):
    client.post("/v1/webhooks", json={"url": "https://example.com/hook", "events": ["batch.*"]})
    job = started(client, promising, target_error=TARGET)
    finish(services)
    first = [row["seq"] for row in look(client, job)["checks"]]
    for seq in first:
        tell(client, job, {seq: "squid"}, dataset=dataset)
    found = look(client, job)
    assert (found["status"], found["wrong"], found["interval"]) == ("broken", 8, [1, 1])
    (hook,) = client.get("/v1/webhooks").json()["data"]
    sent = client.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]
    (told,) = [row["data"] for row in sent if row["event"] == "batch.guarantee_broken"]
    assert (told["batch_id"], told["target_error"]) == (job["id"], TARGET)
    assert told["wrong"] == told["checked"]
    assert told["interval"][0] > TARGET


def test_it_is_withdrawn_where_pictures_are_not_like_the_held_out_ones(client, services, promising):
    job = classify(client, services, promising, 0.0)
    assert client.get(f"/v1/batches/{job}/guarantee").status_code == 404
    job = started(client, promising, target_error=TARGET)
    finish(services, known=0.0)
    found = look(client, job)
    assert found["status"] == "withdrawn"
    assert "8 images are unlike the held-out ones" in found["reason"]


def test_without_held_out_statistics_it_cannot_be_told_whether_it_holds(client, services, promising):
    with services.database.transaction() as session:
        session.get(Model, promising).held_out = None
    job = started(client, promising, target_error=TARGET)
    work(services, (0.02, 0.03, 0.95), known_score=0.6)
    found = look(client, job)
    assert (found["status"], "no record of its held-out images" in found["reason"]) == ("withdrawn", True)


def test_prediction_sets_have_labels_likeliest_first(client, services, promising):
    job = started(client, promising, prediction_set=0.99)
    work(services, (0.2, 0.38, 0.42), known_score=0.6)
    sets = [row["prediction_set"] for row in client.get(f"/v1/batches/{job['id']}/items").json()["data"]]
    assert all(labels == ["tuna", "squid", "eel"][: len(labels)] for labels in sets)
    assert max(map(len, sets)) > 1
    table = client.get(f"/v1/batches/{job['id']}/results", params={"format": "csv"}).text
    assert "prediction_set" in table.splitlines()[0]
    usual = started(client, promising)
    work(services)
    assert client.get(f"/v1/batches/{usual['id']}/items").json()["data"][0]["prediction_set"] is None
