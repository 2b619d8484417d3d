"""A model of several labels: what its predictions say, and how they are chosen, counted, downloaded and compared."""

import csv
import io
import json
import struct

import pyarrow.parquet as pq
import pytest

from db import registry
from db.jobs import batches, workers
from db.models import Dataset, Evaluation, Model
from tests.api.conftest import LABELS, as_files, claim_chunk, picture, pictures
from tsukiji.ids import new_id
from tsukiji.labels import decide_set, join_labels
from worker.inference.predict_rpc import PredictServer

THRESHOLDS = [0.5, 0.3, 0.6]
BOTH, ONE, NONE = (0.8, 0.4, 0.1), (0.2, 0.35, 0.5), (0.1, 0.2, 0.4)
"""Of eel, squid and tuna, which reach their thresholds: eel and squid; squid alone, though tuna is likelier; none."""


@pytest.fixture
def model(services):
    """A model of several labels, measured on two images."""
    with services.database.transaction() as session:
        row = Model(
            id=new_id("mdl"),
            name="platter",
            kind="multi_label",
            backbone="resnet34",
            label_names=LABELS,
            recipe={},
            bytes=1,
        )
        session.add(row)
        return row.id


def metrics(mean_average_precision):
    counts = {"average_precision": 1.0, "false_positives": 0, "false_negatives": 0, "true_negatives": 1}
    several = {
        "mean_average_precision": mean_average_precision,
        "micro_f1": 0.5,
        "macro_f1": 0.5,
        "hamming_loss": 0.1,
        "empty": 0,
        "empty_found": 0,
        "per_label": [counts | {"label": label, "threshold": 0.5, "true_positives": 1} for label in LABELS],
        "co_occurrence": [[1] * 3] * 3,
        "predicted_co_occurrence": [[1] * 3] * 3,
    }
    row = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    per_class = [row | {"label": label} for label in LABELS]
    return {
        "accuracy": 0.5, "loss": 0.5, "images": 2, "label_names": LABELS, "per_class": per_class, "confusion": [],
        "multi_label": several,
    }  # fmt: skip


def evaluated(services, model, sets, mean_average_precision=0.8):
    """Insert an evaluation of the model: of each image, the true set and the one that was decided for."""
    item = {"image_id": None, "score": 0.6, "loss": 0.5, "probabilities": b""}
    rows = [
        item
        | {"seq": seq, "name": f"{seq}.png", "sha256": f"{seq:064}"}
        | {"true_label": join_labels(true), "predicted_label": join_labels(found)}
        for seq, (true, found) in enumerate(sets)
    ]
    with services.database.transaction() as session:
        evaluation = Evaluation(
            id=new_id("evl"), model_id=model, split="valid", metrics=metrics(mean_average_precision)
        )
        registry.add_evaluation(session, evaluation, rows)
        return evaluation.id


def row_of(shares, threshold=0.0, known_score=None):
    best = max(range(3), key=shares.__getitem__)
    return {
        "label": LABELS[best],
        "score": shares[best],
        "known_score": known_score,
        "labels": decide_set(LABELS, shares, [threshold] * 3 if threshold else THRESHOLDS),
        "probabilities": struct.pack("<3f", *shares),
        "width": 24,
        "height": 20,
    }


@pytest.fixture
def run_batch(client, services, model):
    """Return a function to a batch of three images, classified as a worker does."""

    def run(known_score=None, **options):
        job = client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model, **options}).json()
        threshold = float(options.get("threshold", 0))
        with services.database.transaction() as session:
            work = claim_chunk(session)
            rows = [
                batches.blank_prediction(item.seq) | row_of(shares, threshold, known_score)
                for item, shares in zip(batches.items_of(session, work), (BOTH, ONE, NONE), strict=True)
            ]
            assert batches.finish_chunk(session, work, rows)
        return job

    return run


@pytest.fixture
def read(client):
    def ask(job, **query):
        answer = client.get(job["links"]["results"], params=query)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    return ask


def test_a_set_is_decided_by_a_threshold_for_each_label(run_batch, read):
    both, one, none = read(run_batch())
    assert (both["labels"], both["decision"], both["abstained"]) == (["eel", "squid"], None, False)
    assert (one["labels"], one["label"], one["score"]) == (["squid"], "tuna", pytest.approx(0.5))
    assert (none["labels"], none["abstained"], none["abstain_reason"]) == ([], True, "below_threshold")


def test_the_known_score_refuses_all_of_them(run_batch, read):
    job = run_batch(known_score=0.01)
    assert [(row["labels"], row["abstain_reason"]) for row in read(job)] == [([], "none_of_these")] * 3
    assert [row["labels"] for row in read(job, min_known=0)] == [["eel", "squid"], ["squid"], []]


def test_the_request_sets_one_threshold_for_all(run_batch, read):
    assert [row["labels"] for row in read(run_batch(threshold="0.45"))] == [["eel"], ["tuna"], []]


def test_sets_are_decided_anew_as_they_are_read(run_batch, read):
    job = run_batch()
    assert [row["labels"] for row in read(job, threshold=0.1)] == [LABELS, LABELS, LABELS]
    assert [row["labels"] for row in read(job, threshold=0.9)] == [[], [], []]
    assert [row["labels"] for row in read(job, threshold=0)] == [["eel", "squid"], ["squid"], []]


def test_images_are_chosen_by_what_is_in_their_set(run_batch, read):
    job = run_batch()
    assert [row["seq"] for row in read(job, decision="squid")] == [0, 1]
    assert [row["seq"] for row in read(job, decision="eel")] == [0]
    assert [row["seq"] for row in read(job, decision="ee")] == [] == read(job, decision="%")
    assert [row["seq"] for row in read(job, abstained="true")] == [2]
    assert [row["seq"] for row in read(job, label="tuna")] == [1, 2], "the likeliest, whatever the set"


def test_what_only_probabilities_could_tell_is_refused(client, run_batch):
    job = run_batch()
    for link, query in [("results", {"decision": "eel"}), ("items", {"abstained": "true"}), ("summary", {})]:
        answer = client.get(job["links"][link], params=query | {"threshold": 0.2})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), link
        assert "threshold" in answer.json()["hint"]


def test_the_summary_counts_images_with_each_label(client, run_batch):
    found = client.get(run_batch()["links"]["summary"]).json()
    assert [(row["label"], row["images"], row["decisions"]) for row in found["labels"]] == [
        ("squid", 2, 2),
        ("eel", 1, 1),
    ]
    assert (found["none_of_these"], found["below_threshold"]) == (0, 1)
    strange = client.get(run_batch(known_score=0.0)["links"]["summary"]).json()
    assert [row["decisions"] for row in strange["labels"]] == [0, 0]
    assert strange["none_of_these"] == 3


def test_tables_part_labels_by_a_bar(client, run_batch):
    link = run_batch()["links"]["results"]
    lines = list(csv.DictReader(io.StringIO(client.get(link, params={"format": "csv"}).text)))
    assert [line["labels"] for line in lines] == ["eel|squid", "squid", "[]"]
    table = pq.read_table(io.BytesIO(client.get(link, params={"format": "parquet"}).content))
    assert table["labels"].to_pylist() == ["eel|squid", "squid", "[]"]


def test_the_lane_answers_with_sets_by_the_threshold_that_was_asked_for(client, services, model):
    predict_server = PredictServer("127.0.0.1")

    def answer(_model, files):
        row = row_of(BOTH)
        shares = row.pop("probabilities")
        return {"rows": [dict(row) for _ in files]}, [shares for _ in files]

    predict_server.serve(answer)
    with services.database.transaction() as session:
        workers.report(session, "worker-1", "infer", None, predict_server.address("worker-1"))
    try:
        for threshold, labels in [("0", ["eel", "squid"]), ("0.6", ["eel"]), ("0.9", [])]:
            sent = client.post(
                f"/v1/models/{model}/predict", files=as_files([picture()]), data={"threshold": threshold}
            )
            (found,) = sent.json()["result"]["predictions"]
            assert found["labels"] == labels, threshold
    finally:
        predict_server.close()


def test_a_model_says_of_which_kind_it_is(client, model):
    assert client.get(f"/v1/models/{model}").json()["kind"] == "multi_label"


def test_a_model_is_measured_on_a_data_set_of_its_own_kind(client, services, model, dataset):
    body = {"model": model, "dataset": dataset}
    refused = client.post("/v1/evaluations", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "kind_mismatch")
    assert "single_label" in refused.json()["detail"]
    with services.database.transaction() as session:
        session.get(Dataset, dataset).kind = "multi_label"
    assert client.post("/v1/evaluations", json=body).status_code == 202


def test_an_evaluation_shows_sets_and_chooses_by_a_label(client, services, model):
    evaluation = evaluated(services, model, [(["eel", "tuna"], ["eel"]), ([], []), (["tuna"], ["squid"])])
    items = client.get(f"/v1/evaluations/{evaluation}/items").json()["data"]
    assert [(item["true_labels"], item["predicted_labels"]) for item in items] == [
        (["eel", "tuna"], ["eel"]),
        ([], []),
        (["tuna"], ["squid"]),
    ]
    assert {item["true_label"] for item in items} == {None}
    chosen = client.get(f"/v1/evaluations/{evaluation}/items", params={"true": "tuna", "predicted": "eel"}).json()
    assert [item["seq"] for item in chosen["data"]] == [0]
    table = client.get(f"/v1/evaluations/{evaluation}/confusion.csv").text.splitlines()
    assert table[:2] == ["label,true_positives,false_positives,false_negatives,true_negatives", "eel,1,0,0,1"]
    assert client.get(f"/v1/evaluations/{evaluation}/confusion.png").status_code == 422


def test_two_models_are_compared_by_exact_sets_and_by_label(client, services, model):
    truth = [["eel", "tuna"], ["eel"], []]
    a = evaluated(services, model, list(zip(truth, [["eel"], ["eel"], []], strict=True)), 0.7)
    b = evaluated(services, model, list(zip(truth, [["eel", "tuna"], ["tuna"], []], strict=True)), 0.9)
    found = client.get("/v1/evaluations/compare", params={"a": a, "b": b}).json()
    assert (found["images"], found["right_only_a"], found["right_only_b"]) == (3, 1, 1)
    assert (found["mean_average_precision_a"], found["mean_average_precision_b"]) == (0.7, 0.9)
    by_label = {row["label"]: (row["images"], row["right_a"], row["right_b"]) for row in found["per_class"]}
    assert by_label == {"eel": (2, 2, 1), "tuna": (1, 0, 1)}
    assert [change["labels_b"] for change in found["changes"]] == [["tuna"], ["eel", "tuna"]]


def test_models_of_different_kinds_cannot_be_compared(client, services, model):
    a = evaluated(services, model, [(["eel"], ["eel"])])
    with services.database.transaction() as session:
        single = {name: value for name, value in metrics(1).items() if name != "multi_label"}
        registry.add_evaluation(session, Evaluation(id="evl_single", model_id=model, split="valid", metrics=single), [])
    answer = client.get("/v1/evaluations/compare", params={"a": a, "b": "evl_single"})
    assert (answer.status_code, answer.json()["code"]) == (422, "kind_mismatch")
