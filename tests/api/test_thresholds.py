"""Decisions by probability and known score: as requested, or recomputed when results are read."""

import csv
import io
import json

import pytest

from tests.api.conftest import as_files, pictures, work

STRANGE, FAMILIAR = 0.01, 0.3
"""Known scores on both sides of the threshold that models have."""


@pytest.fixture
def start_batch(client, model):
    def begin(**options):
        answer = client.post("/v1/batches", files=as_files(pictures(2, 70)), data={"model": model, **options})
        assert answer.status_code == 202, answer.text
        return answer.json()

    return begin


@pytest.fixture
def read(client):
    """Return a function to what the first image of a batch is said to be, and why not."""

    def ask(job, **thresholds):
        rows = client.get(job["links"]["results"], params=thresholds).text.splitlines()
        row = json.loads(rows[0])
        assert (row["label"], row["abstained"]) == ("tuna", row["decision"] is None)
        return row["decision"], row["abstain_reason"]

    return ask


def test_what_looks_like_nothing_that_was_learnt_is_none_of_these(services, start_batch, read):
    strange = start_batch()
    work(services, known_score=STRANGE)
    familiar = start_batch()
    work(services, known_score=FAMILIAR)
    assert read(strange) == (None, "none_of_these")
    assert read(familiar) == ("tuna", None)


def test_a_model_without_statistics_always_decides(services, start_batch, read):
    job = start_batch(min_known="0.9")
    work(services, known_score=None)
    assert read(job) == ("tuna", None)


def test_the_request_sets_the_threshold(services, start_batch, read):
    job = start_batch(min_known="0.5")
    work(services, known_score=FAMILIAR)
    assert job["request"]["min_known"] == 0.5
    assert read(job) == (None, "none_of_these")
    off = start_batch(min_known="0")
    work(services, known_score=0.0)
    assert read(off) == ("tuna", None)


def test_a_reader_decides_anew_without_another_run(client, services, start_batch, read):
    job = start_batch()
    work(services, known_score=FAMILIAR)
    sent = len(services.notifier.sent)
    assert read(job, min_known=0.4) == (None, "none_of_these")
    assert read(job, threshold=0.9) == (None, "below_threshold")
    assert read(job, threshold=0.9, min_known=0.4) == (None, "none_of_these"), "the weightier reason"
    assert read(job, threshold=0.7, min_known=0.3) == ("tuna", None)
    assert read(job) == ("tuna", None), "a reader's wish is not kept"
    assert len(services.notifier.sent) == sent
    items = client.get(job["links"]["items"], params={"min_known": 0.4}).json()["data"]
    assert [(item["decision"], item["known_score"]) for item in items] == [(None, FAMILIAR)] * 2


def test_a_table_decides_anew_as_well(client, services, start_batch):
    job = start_batch()
    work(services, known_score=FAMILIAR)
    table = {"Accept": "text/csv"}
    for wish, decision in (({}, "tuna"), ({"min_known": 0.4}, "")):
        answer = client.get(job["links"]["results"], headers=table, params=wish)
        row = next(csv.DictReader(io.StringIO(answer.text)))
        assert (row["decision"], row["best_label"], row["known_score"]) == (decision, "tuna", "0.3")


@pytest.mark.parametrize("wish", [{"min_known": 1.1}, {"min_known": -0.1}, {"threshold": "high"}])
def test_a_threshold_that_cannot_be_is_named(client, services, start_batch, wish):
    job = start_batch()
    for place in ("results", "items"):
        answer = client.get(job["links"][place], params=wish)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == next(iter(wish))
    refused = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": "sushi", **wish})
    assert refused.json()["errors"][0]["pointer"] == f"#/{next(iter(wish))}"


def test_a_prediction_has_the_threshold_too(client, services, model):
    files = as_files(pictures(1, 71))
    ask = {"Prefer": "wait=0"}
    job = client.post(f"/v1/models/{model}/predict", files=files, data={"min_known": "0.5"}, headers=ask).json()
    work(services, known_score=FAMILIAR)
    (found,) = client.get(f"/v1/predictions/{job['id']}").json()["result"]["predictions"]
    assert (found["decision"], found["abstain_reason"], found["label"]) == (None, "none_of_these", "tuna")
