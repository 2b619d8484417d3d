import json

import pytest

from devtools.scripted_service import Answer, batch_drift, job, lines, prediction, problem

BATCH = "/v1/batches/bat_1"
SUMMARY = {
    "counts": {"total": 5, "queued": 1, "succeeded": 3, "errored": 1},
    "labels": [{"label": "cat", "images": 2, "decisions": 1}, {"label": "dog", "images": 1, "decisions": 1}],
    "none_of_these": 1,
    "below_threshold": 0,
    "errors": [{"code": "truncated", "images": 1}],
}


@pytest.fixture(autouse=True)
def batch(service):
    service.answer("GET", BATCH, job("succeeded", "bat_1", "batch", counts=SUMMARY["counts"]))
    service.answer("GET", f"{BATCH}/results", lines(prediction("a.png"), prediction("b.png")))
    service.answer("GET", f"{BATCH}/summary", SUMMARY)


def test_options_choose_what_is_printed(service, run):
    options = ("--decision", "cat", "--max-score", "0.9", "--order", "score", "--decided", "--threshold", "0.4")
    result = run("results", "get", "bat_1", *options)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["image", "a.png", "b.png"]
    sent = {"decision": ["cat"], "max_score": ["0.9"], "order": ["score"], "abstained": ["false"], "threshold": ["0.4"]}
    assert service.asked[-1].query == sent
    run("results", "get", "bat_1", "--none-of-these")
    assert service.asked[-1].query == {"abstained": ["true"], "order": ["seq"]}


def test_they_are_saved_as_the_ending_says(service, run, tmp_path):
    assert run("results", "get", "bat_1", "-o", tmp_path / "a.parquet", "--probabilities").exit_code == 0
    assert (tmp_path / "a.parquet").read_bytes() == lines(prediction("a.png"), prediction("b.png"))
    assert service.asked[-1].headers["accept"] == "application/vnd.apache.parquet"
    assert service.asked[-1].query["probabilities"] == ["true"]
    assert run("results", "get", "bat_1", "-o", tmp_path / "a.xlsx").exit_code == 2


@pytest.mark.parametrize("option", ["--label", "--decision"])
def test_a_label_that_the_model_does_not_know_is_no_empty_list(service, run, option):
    service.answer("GET", BATCH, job("succeeded", "bat_1", "batch", request={"label_names": ["cat", "dog"]}))
    result = run("results", "get", "bat_1", option, "kat")
    assert (result.exit_code, "Did you mean 'cat'?" in result.stderr) == (2, True)


def test_how_many_of_each(run):
    printed = run("results", "summary", "bat_1").stdout.splitlines()
    assert "cat\t2\t1" in printed
    assert "none of these\t1\t-" in printed
    assert "error: truncated\t1\t-" in printed
    assert json.loads(run("results", "summary", "bat_1", "--json").stdout)["labels"] == SUMMARY["labels"]


def test_more_strange_images_than_expected_are_told(service, run):
    service.answer("GET", f"{BATCH}/summary", SUMMARY | {"drift": batch_drift(strange=9, exceeded=True)})
    assert "9 images are strange to the model, where about 2" in run("results", "summary", "bat_1").stderr
    service.answer("GET", f"{BATCH}/summary", SUMMARY | {"drift": batch_drift()})
    assert "strange" not in run("results", "summary", "bat_1").stderr


def test_deleting_asks_and_what_is_deleted_is_told(service, run):
    service.answer("DELETE", BATCH, Answer(None, 204))
    assert run("results", "rm", "bat_1").exit_code == 2, "nobody is there to ask"
    assert not service.asked_for("DELETE", BATCH)
    assert run("results", "rm", "bat_1", "--yes").exit_code == 0
    assert len(service.asked_for("DELETE", BATCH)) == 1
    service.answer("GET", f"{BATCH}/results", problem(410, "results_deleted", "They were deleted."))
    gone = run("results", "get", "bat_1")
    assert (gone.exit_code, "They were deleted." in gone.stderr) == (4, True)
