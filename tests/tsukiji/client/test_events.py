import pytest

import tsukiji
from devtools.scripted_service import NOW, STREAM, Answer, events, job

PATH = "/v1/jobs/trn_1/events"
RUNNING = (1, "status", {"status": "running"})
METRIC = (2, "metric", {"epoch": 1, "train_loss": 1, "valid_loss": 1, "accuracy": 0.5, "seconds": 3})
PROGRESS = (None, "progress", {"epoch": 1, "epochs": 2, "batch": 1, "batches": 4, "loss": 0.7})
DONE = (3, "done", {"status": "succeeded"})


@pytest.fixture
def training(client, service):
    service.answer("GET", "/v1/trainings/trn_1", job("running"))
    return client.trainings.get("trn_1")


def numbers(service):
    return [asked.headers.get("last-event-id") for asked in service.asked_for("GET", PATH)]


def test_events_end_with_done(training, service):
    service.answer("GET", PATH, Answer(b": keep-alive\n\n" + events(RUNNING, PROGRESS, METRIC, DONE), headers=STREAM))
    found = list(training.events())
    assert [event.event for event in found] == ["status", "progress", "metric", "done"]
    assert found[2].data["accuracy"] == 0.5
    assert service.asked_for("GET", PATH)[0].headers["accept"] == "text/event-stream"


def test_a_broken_line_is_taken_up_where_it_broke(training, service, slept):
    service.answer(
        "GET",
        PATH,
        Answer(events(RUNNING, METRIC), headers=STREAM, cut=True),
        Answer(events(PROGRESS, DONE), headers=STREAM),
    )
    assert [event.event for event in training.events()] == ["status", "metric", "progress", "done"]
    assert numbers(service) == [None, "2"]
    assert slept == [1.0]


def test_what_was_seen_is_not_seen_twice(training, service):
    service.answer(
        "GET",
        PATH,
        Answer(events(RUNNING), headers=STREAM),
        Answer(events(RUNNING, METRIC, DONE), headers=STREAM),
    )
    assert [event.id for event in training.events()] == [1, 2, 3]


def test_start_after_a_known_event(training, service):
    service.answer("GET", PATH, Answer(events(DONE), headers=STREAM))
    assert [event.id for event in training.events(after=2)] == [3]
    assert numbers(service) == ["2"]


def test_data_may_be_the_whole_line_of_history(training, service):
    line = {"id": 3, "event": "done", "at": NOW, "attempt": 2, "data": {"status": "failed"}}
    service.answer("GET", PATH, Answer(events((3, "done", line)), headers=STREAM))
    (event,) = training.events()
    assert (event.attempt, event.data) == (2, {"status": "failed"})


def test_a_finished_job_whose_stream_stays_empty_ends(training, service):
    service.answer("GET", PATH, Answer(b"", headers=STREAM))
    service.answer("GET", "/v1/jobs/trn_1", job("succeeded"))
    assert list(training.events()) == []


def test_a_server_that_has_told_everything_says_so(training, service):
    service.answer("GET", PATH, Answer(events(RUNNING), headers=STREAM), Answer(b"", 204))
    service.answer("GET", "/v1/jobs/trn_1", job("succeeded"))
    assert [event.event for event in training.events()] == ["status"]


def test_a_line_that_breaks_again_and_again_is_given_up(training, service):
    service.answer("GET", PATH, Answer(b": hello\n\n", headers=STREAM, cut=True))
    with pytest.raises(tsukiji.APIConnectionError):
        list(training.events())
    assert len(numbers(service)) == 6


def test_no_events_for_who_may_not_see_them(client, training, service):
    with pytest.raises(tsukiji.NotFoundError):
        list(training.events())


def test_events_of_all_jobs_go_on_over_a_broken_line(client, service, slept):
    state = job("running")
    whole = {"event": "status", "at": NOW, "data": {"status": "running"}, "job": state}
    first = b"id: 7\n\n" + events((8, "status", {"id": 8, **whole}))
    second = events((None, "progress", {"event": "progress", "job": state}))
    service.answer("GET", "/v1/events", Answer(first, headers=STREAM, cut=True), Answer(second, headers=STREAM))
    stream = client.events(kinds=["training", "import"])
    assert [(event.event, event.job.id) for event in (next(stream), next(stream))] == [
        ("status", "trn_1"),
        ("progress", "trn_1"),
    ]
    asked = service.asked_for("GET", "/v1/events")
    assert [request.headers.get("last-event-id") for request in asked] == [None, "8"]
    assert slept == [1.0]
