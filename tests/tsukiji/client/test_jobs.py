import io
import sys

import pytest

import tsukiji
from devtools.scripted_service import Answer, evaluation, failed, job, model, page, problem
from tsukiji import Batch, Client, Import, Training
from tsukiji.types import Recipe

JOB = "/v1/jobs/trn_1"


@pytest.fixture
def training(client, service):
    service.answer("GET", "/v1/trainings/trn_1", job("queued"))
    return client.trainings.get("trn_1")


def test_starting_sends_only_what_was_said(client, service):
    service.answer("POST", "/v1/trainings", Answer(job("queued"), 202))
    assert isinstance(client.trainings.create("pets", Recipe(epochs=3), name="m"), Training)
    assert service.asked[0].json == {"dataset": "pets", "recipe": {"epochs": 3}, "name": "m", "metadata": {}}


def test_wait_is_led_by_the_server(training, service, slept):
    service.answer(
        "GET",
        JOB,
        Answer(job("queued"), headers={"Retry-After": "3", "ETag": 'W/"1"'}),
        Answer(b"", 304, {"Retry-After": "5"}),
        Answer(job("running", phase="training"), headers={"Preference-Applied": "wait=30", "ETag": 'W/"2"'}),
        job("succeeded", result={"model_id": "mdl_1"}),
    )
    seen = []
    assert training.wait(progress=lambda changed: seen.append(changed.status)) is training
    assert seen == ["queued", "queued", "running", "succeeded"]
    assert slept == [3.0, 5.0, 0.25]
    polls = service.asked_for("GET", JOB)
    assert [asked.headers.get("if-none-match") for asked in polls] == [None, 'W/"1"', 'W/"1"', 'W/"2"']
    assert {asked.headers["prefer"] for asked in polls} == {"wait=30"}
    assert training.result == {"model_id": "mdl_1"}


def test_wait_for_a_finished_job_asks_nobody(client, service):
    service.answer("GET", "/v1/trainings/trn_1", job("succeeded"))
    client.trainings.get("trn_1").wait()
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("failed", tsukiji.JobFailedError, "failed: nan_loss"),
        ("cancelled", tsukiji.JobCancelledError, "was cancelled"),
        ("expired", tsukiji.JobExpiredError, "exceeded its deadline"),
    ],
)
def test_a_job_that_ended_badly_raises_if_wanted(training, service, status, error, said):
    record = failed("nan_loss") if status == "failed" else job(status)
    service.answer("GET", JOB, record)
    assert training.wait(raise_on_error=False).status == status
    with pytest.raises(error, match=f"training trn_1 {said}") as caught:
        training.wait()
    assert (caught.value.job.id, caught.value.job.status) == ("trn_1", status)


def test_waiting_ends_while_the_job_goes_on(training, service):
    service.answer("GET", JOB, job("running"))
    with pytest.raises(tsukiji.WaitTimeout, match="trn_1 is running"):
        training.wait(timeout=0.02)
    assert not service.asked_for("POST", f"{JOB}/cancel")


def test_a_wait_outlives_a_restart_of_the_service(training, service, slept):
    service.answer("GET", JOB, *[Answer(cut=True)] * 5, problem(503, "starting"), job("succeeded"))
    assert training.wait().done
    assert len(slept) == 6


def test_cancel_and_refresh_change_the_handle(training, service):
    service.answer("POST", f"{JOB}/cancel", job("cancelling"))
    service.answer("GET", JOB, job("cancelled"))
    assert training.cancel().status == "cancelling"
    assert training.refresh() is training
    assert training.done


def test_each_kind_has_its_handle(client, service):
    kinds = [job(kind="training"), job(kind="batch"), job(kind="import"), job(kind="a_later_kind")]
    service.answer("GET", "/v1/jobs", page(*kinds))
    found = list(client.jobs.list(status="running"))
    assert [one.__class__ for one in found] == [Training, Batch, Import, tsukiji.Job]
    assert service.asked[0].query == {"status": ["running"]}


def test_a_training_leads_to_its_model_and_evaluation(client, service):
    result = {"model_id": "mdl_1", "evaluation_id": "evl_1"}
    service.answer("GET", "/v1/trainings/trn_1", job("succeeded", result=result))
    service.answer("GET", "/v1/models/mdl_1", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/items", page())
    training = client.trainings.get("trn_1")
    assert training.model.label_names == ["cat", "dog"]
    assert training.model.evaluation.metrics.confusion == [[2, 0], [1, 1]]
    assert list(training.evaluation.items(true_label="dog", predicted_label="cat")) == []
    assert service.asked[-1].query == {"true": ["dog"], "predicted": ["cat"]}


def test_an_unfinished_training_has_no_model_yet(training):
    assert training.model is None
    assert training.evaluation is None


def test_finish_keeps_the_best_so_far(training, service):
    service.answer("POST", "/v1/trainings/trn_1/finish", job("running", phase="finalizing"))
    assert training.finish().phase == "finalizing"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_wait_shows_how_far_the_job_is_where_a_person_reads_along(training, service, monkeypatch):
    progress = {"fraction": 0.5, "unit": "epochs", "completed": 1, "total": 2, "eta_seconds": 61}
    running = Answer(job("running", phase="training", progress=progress), headers={"Retry-After": "0"})
    shown = {}
    for name, stream, wish in (("log", io.StringIO(), None), ("off", Terminal(), False), ("on", Terminal(), None)):
        service.answer("GET", JOB, running, job("succeeded"))
        monkeypatch.setattr(sys, "stderr", stream)
        training.done = False
        training.wait(progress=wish)
        shown[name] = stream.getvalue()
    assert shown["log"] == shown["off"] == ""
    assert "training trn_1: training 50% ██████████░░░░░░░░░░, 0:01:01 left" in shown["on"]
    assert shown["on"].endswith("\r"), "nothing is left of it"


@pytest.mark.parametrize("connect", [Client])  # of the other: test_async
def test_an_interrupted_wait_leaves_the_job_running_and_says_so(client, service, training, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    service.answer("GET", JOB, job("running"))
    client._transport.sleep = interrupt
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt):
        training.wait()
    assert "training trn_1 goes on in the service" in sys.stderr.getvalue()
    assert {asked.method for asked in service.asked} == {"GET"}


@pytest.mark.parametrize(("option", "variable", "shown"), [(None, "", True), (False, "", False), (None, "off", False)])
def test_one_switch_for_all_lines_of_progress(connect, service, monkeypatch, option, variable, shown):
    monkeypatch.setenv("TSUKIJI_PROGRESS", variable)
    monkeypatch.setattr(sys, "stderr", Terminal())
    service.answer("GET", "/v1/trainings/trn_1", job("running"))
    service.answer("GET", JOB, job("succeeded"))
    with connect(service.url, progress=option) as client:
        client.trainings.get("trn_1").wait()
    assert bool(sys.stderr.getvalue()) is shown


def test_a_key_that_expires_meanwhile_ends_the_wait_at_once_and_says_that_the_job_goes_on(training, service, slept):
    gone = problem(401, "unauthorized", "The key was revoked.")
    service.answer("GET", JOB, Answer(job("running"), headers={"Retry-After": "1"}), gone)
    with pytest.raises(tsukiji.AuthenticationError, match="The key was revoked") as caught:
        training.wait()
    assert slept == [1.0]
    assert "training trn_1 goes on in the service" in caught.value.__notes__[0]
