"""Starting, polling, waiting, cancelling: the same for every kind of job."""

import asyncio
import threading
import time

import pytest
from fastapi.sse import KEEPALIVE_COMMENT

from api.http.events import follow, read_news
from api.watch import Watch
from db import keys
from db.jobs import jobs, leases, scheduling
from db.models import Job
from tests.api.conftest import archive, as_files, limited, picture, run_job, work
from tsukiji.errors import TrainingCrashed
from tsukiji.jobs import Queue

ZIP = {"Content-Type": "application/zip"}


@pytest.fixture
def training(client, dataset):
    return client.post("/v1/trainings", json={"dataset": dataset, "recipe": {"epochs": 3}}).json()


def test_training_starts(client, services, dataset):
    body = {"dataset": "sushi", "recipe": {"epochs": 3}, "metadata": {"team": "qa"}}
    answer = client.post("/v1/trainings", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/trainings/{job['id']}"
    assert answer.headers["retry-after"] == "1"
    assert (job["object"], job["status"], job["done"], job["phase"]) == ("training", "queued", False, "waiting")
    assert job["request"]["recipe"]["image_size"] == 224
    assert job["request"]["dataset_name"] == job["request"]["name"] == "sushi"
    assert [warning["code"] for warning in job["request"]["warnings"]] == ["few_images"]
    assert job["progress"] | {"total": 3.0, "fraction": 0.0, "unit": "epochs"} == job["progress"]
    assert job["metadata"] == {"team": "qa"}
    assert services.notifier.sent == ["train"]


def test_a_lost_wakeup_is_left_to_the_dispatcher(client, services, dataset):
    services.notifier.away = True
    assert client.post("/v1/trainings", json={"dataset": dataset}).status_code == 202
    with services.database.reading() as session:
        assert len(scheduling.waiting(session, Queue.TRAIN, 9)) == 1


def test_training_on_too_little(client):
    client.post("/v1/datasets", json={"name": "empty"})
    answer = client.post("/v1/trainings", json={"dataset": "empty"})
    assert (answer.status_code, answer.json()["code"]) == (422, "dataset_too_small")
    assert client.get("/v1/jobs").json()["data"] == []


def test_training_to_its_end(client, services, training):
    run_job(services, training["id"], {"model_id": "mdl_1", "evaluation_id": "evl_1", "accuracy": 0.9})
    answer = client.get(training["links"]["self"])
    job = answer.json()
    assert (job["status"], job["done"], job["progress"]["fraction"]) == ("succeeded", True, 1.0)
    assert job["links"]["model"] == "/v1/models/mdl_1"
    assert job["links"]["evaluation"] == "/v1/evaluations/evl_1"
    assert "retry-after" not in answer.headers
    assert client.get(job["links"]["metrics"]).json()["data"][0]["accuracy"] == 0.9
    assert client.get("/v1/trainings").json()["data"][0]["id"] == training["id"]


def test_failure_carries_its_reason(client, services, training):
    with services.database.transaction() as session:
        job = leases.claim(session, Job, training["id"], "test", 30)
        leases.fail(session, job, TrainingCrashed("It fell over."))
    job = client.get(training["links"]["self"]).json()
    assert (job["status"], job["error"]["code"], job["error"]["detail"]) == (
        "failed",
        "training_crashed",
        "It fell over.",
    )


def test_finish_is_noted(client, services, training):
    assert client.post(training["links"]["finish"]).status_code == 200
    with services.database.reading() as session:
        assert jobs.find(session, training["id"]).finish_requested_at is not None


def test_kinds_do_not_mix(client, training):
    assert client.get(f"/v1/batches/{training['id']}").status_code == 404
    assert client.get(f"/v1/jobs/{training['id']}").json()["object"] == "training"


def test_jobs_are_listed_by_kind_and_status(client, training):
    for query, expected in (({}, 1), ({"kind": "training", "status": "queued"}, 1), ({"kind": "batch"}, 0)):
        assert len(client.get("/v1/jobs", params=query).json()["data"]) == expected


def test_cancel_may_be_said_twice(client, training):
    for _ in range(2):
        answer = client.post(training["links"]["cancel"])
        assert (answer.status_code, answer.json()["status"], answer.json()["done"]) == (200, "cancelled", True)
    assert client.post("/v1/jobs/trn_nope/cancel").status_code == 404


def test_etag_saves_the_body(client, services, training):
    first = client.get(training["links"]["self"])
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get(training["links"]["self"], headers=known)
    assert (again.status_code, again.content, again.headers["retry-after"]) == (304, b"", "1")
    with services.database.transaction() as session:
        leases.claim(session, Job, training["id"], "test", 30)
    assert client.get(training["links"]["self"], headers=known).json()["status"] == "running"


def test_who_waits_behind_others_is_told(client, dataset, training):
    answer = client.post("/v1/trainings", json={"dataset": dataset})
    assert answer.headers["retry-after"] == "10"
    assert answer.json()["progress"]["queue_position"] == 1


def test_wait_ends_with_a_change(client, services, training):
    timer = threading.Timer(0.3, run_job, (services, training["id"], {}))
    timer.start()
    started = time.monotonic()
    answer = client.get(training["links"]["self"], headers={"Prefer": "wait=20"})
    timer.join()
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["status"] == "succeeded"
    assert 0.2 < time.monotonic() - started < 10


def test_wait_ends_by_itself(client, training):
    known = client.get(training["links"]["self"]).headers["etag"]
    answer = client.get(training["links"]["self"], headers={"Prefer": "wait=0.2", "If-None-Match": known})
    assert answer.status_code == 304


def test_wait_for_the_past_is_no_wait(client, services, training):
    with services.database.transaction() as session:
        leases.claim(session, Job, training["id"], "test", 30)
    started = time.monotonic()
    answer = client.get(training["links"]["self"], headers={"Prefer": "wait=30", "If-None-Match": 'W/"0"'})
    assert answer.json()["status"] == "running"
    assert time.monotonic() - started < 10


def test_nobody_waits_while_the_server_stops(client, services, training):
    threading.Timer(0.2, services.stopping.set).start()
    started = time.monotonic()
    client.get(training["links"]["self"], headers={"Prefer": "wait=50"})
    assert time.monotonic() - started < 5


def test_too_many_who_wait_get_their_answer_at_once(client, services, training):
    services.held.holds = 1_000_000
    answer = client.get(training["links"]["self"], headers={"Prefer": "wait=50"})
    assert "preference-applied" not in answer.headers


def test_malformed_preference(client, training):
    answer = client.get(training["links"]["self"], headers={"Prefer": "wait=soon"})
    assert answer.json()["errors"][0]["parameter"] == "Prefer"


def test_queue_is_full(client, services, dataset, training):
    services.settings = limited(services.settings, queued_trainings=1)
    answer = client.post("/v1/trainings", json={"dataset": dataset})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert answer.headers["retry-after"]
    client.post(training["links"]["cancel"])
    assert client.post("/v1/trainings", json={"dataset": dataset}).status_code == 202


def test_import_starts_and_tells_its_verdicts(client, services, dataset):
    body = archive({"eel/1.png": picture((7, 7, 7))})
    answer = client.post(f"/v1/datasets/{dataset}/imports?filename=pets.zip", content=body, headers=ZIP)
    assert answer.status_code == 202
    job = answer.json()
    assert job["request"] == {"dataset": dataset, "filename": "pets.zip"}
    assert services.notifier.sent[-1] == "intake"
    with services.database.reading() as session:
        sha256 = jobs.find(session, job["id"]).upload_sha256
    assert services.store.read(sha256) == body
    assert client.get(job["links"]["items"]).json()["data"] == []
    assert client.get("/v1/imports").json()["data"][0]["id"] == job["id"]
    assert client.get(job["links"]["self"]).json()["object"] == "import"


def test_import_into_nowhere_reads_no_body(client):
    answer = client.post("/v1/datasets/nope/imports", content=archive({}), headers=ZIP)
    assert answer.status_code == 404


# --- idempotency -----------------------------------------------------------------------------------------------------


def test_the_same_again_is_the_same_job(client, services, dataset):
    headers = {"Idempotency-Key": "k-1"}
    first = client.post("/v1/trainings", json={"dataset": dataset}, headers=headers)
    client.delete(f"/v1/datasets/{dataset}")
    second = client.post("/v1/trainings", json={"dataset": dataset}, headers=headers)
    assert second.status_code == 202
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(services.notifier.sent) == 1


def test_the_same_key_for_something_else(client, dataset):
    headers = {"Idempotency-Key": "k-1"}
    client.post("/v1/trainings", json={"dataset": dataset}, headers=headers)
    other = client.post("/v1/trainings", json={"dataset": dataset, "recipe": {"seed": 7}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = client.post("/v1/datasets", json={"name": "x"}, headers=headers)
    assert elsewhere.status_code == 201


def test_malformed_idempotency_key(client):
    answer = client.post("/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "a" * 256})
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_replays_of_everything_that_is_made(client, services, dataset, model):
    def twice(send):
        first, second = send(), send()
        assert second.headers["idempotency-replayed"] == "true"
        assert first.json()["id"] == second.json()["id"]

    headers = {"Idempotency-Key": "again"}
    body = archive({"eel/1.png": picture((7, 7, 7))})
    twice(lambda: client.post("/v1/datasets", json={"name": "x"}, headers=headers))
    twice(lambda: client.post(f"/v1/datasets/{dataset}/imports", content=body, headers=headers | ZIP))
    twice(lambda: client.post(f"/v1/batches?model={model}", content=body, headers=headers | ZIP))
    predicting = headers | {"Prefer": "respond-async"}
    twice(lambda: client.post(f"/v1/models/{model}/predict", files=as_files([picture()]), headers=predicting))


def test_two_at_once_make_one(client, services):
    answers = []

    def send():
        answers.append(client.post("/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "race"}))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


# --- events ----------------------------------------------------------------------------------------------------------


def events_in(text):
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_history_is_replayed_and_ends(client, services, training):
    run_job(services, training["id"], {})
    answer = client.get(training["links"]["events"])
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = events_in(answer.text)
    assert [line["event"] for line in lines if "id" in line] == ["status", "status", "metric", "done"]
    assert "progress" in [line["event"] for line in lines]
    ids = [int(line["id"]) for line in lines if "id" in line]
    assert ids == sorted(ids)
    tail = client.get(training["links"]["events"], headers={"Last-Event-ID": str(ids[1])})
    assert [line["event"] for line in events_in(tail.text) if "id" in line] == ["metric", "done"]
    assert client.get(training["links"]["events"], headers={"Last-Event-ID": str(ids[-1])}).status_code == 204


def test_events_come_as_they_happen(client, services, training):
    threading.Timer(0.3, run_job, (services, training["id"], {})).start()
    lines = events_in(client.get(training["links"]["events"]).text)
    assert lines[-2]["event"] == "done" or lines[-1]["event"] == "done"


def test_stream_lets_go_when_the_server_stops(client, services, training, monkeypatch):
    def stop_after(*asked):
        news = read_news(*asked)
        services.stopping.set()
        return news

    monkeypatch.setattr("api.http.events.read_news", stop_after)
    assert events_in(client.get(training["links"]["events"]).text)[0]["event"] == "status"


def test_a_stream_ends_with_its_key(client, services, key, training):
    """Whoever follows a job that does nothing hears no more of it once the key is revoked."""
    with services.database.reading() as session:
        caller = keys.verify(session, key)

    async def listen():
        pieces = follow(services, caller, training["id"], 0)
        heard = [await anext(pieces), await anext(pieces)]
        with services.database.transaction() as session:
            keys.revoke(session, caller.id)
        return heard + [piece async for piece in pieces]

    assert len(asyncio.run(listen())) == 2
    assert client.get(training["links"]["events"]).status_code == 401


def test_many_who_follow_a_job_that_does_nothing_read_its_row_once(services, key, training, monkeypatch):
    """Not even now and then: job, history and key are all in the one look."""
    reads, looks = [], []

    def count(*asked):
        reads.append(asked)
        return read_news(*asked)

    def look(topics):
        looks.append(topics)
        return services._look(topics)

    services.watch = Watch(look)
    monkeypatch.setattr("api.http.events.read_news", count)
    with services.database.reading() as session:
        caller = keys.verify(session, key)

    async def listen():
        streams = [follow(services, caller, training["id"], 0) for _ in range(50)]
        for pieces in streams:
            await anext(pieces)
            await anext(pieces)
        waiting = [asyncio.create_task(anext(pieces)) for pieces in streams]
        while len(looks) < 5:
            await asyncio.sleep(0.01)
        assert len(reads) == len(streams)
        run_job(services, training["id"], {})
        assert all(b"running" in piece for piece in await asyncio.gather(*waiting))
        for pieces in streams:
            await pieces.aclose()

    asyncio.run(listen())


def test_a_line_of_the_history_alone_is_heard_of(client, services, training):
    def write():
        with services.database.transaction() as session:
            jobs.record(session, training["id"], "log", {"message": "still here"})
        run_job(services, training["id"], {})

    threading.Timer(0.2, write).start()
    lines = events_in(client.get(training["links"]["events"]).text)
    assert [line["event"] for line in lines if "id" in line][:2] == ["status", "log"]


def test_an_event_id_from_elsewhere_does_not_make_a_stream_read_without_end(services, key, training, monkeypatch):
    reads = []

    def count(*asked):
        reads.append(asked)
        return read_news(*asked)

    monkeypatch.setattr("api.http.events.read_news", count)
    monkeypatch.setattr("api.http.events.KEEPALIVE_SECONDS", 0.2)
    with services.database.reading() as session:
        caller = keys.verify(session, key)

    async def listen():
        pieces = follow(services, caller, training["id"], 10**17)
        heard = [await anext(pieces) for _ in range(3)]
        await pieces.aclose()
        return heard

    assert asyncio.run(listen())[1:] == [KEEPALIVE_COMMENT] * 2
    assert len(reads) == 1


def test_those_who_wait_and_those_who_follow_share_one_bound(client, services, training):
    services.held.holds = 1_000_000
    answer = client.get(training["links"]["events"])
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")


def test_streams_have_a_bound(client, services, training):
    services.held.streams = services.settings.api.streams
    answer = client.get(training["links"]["events"])
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
    assert answer.headers["retry-after"]
    assert services.held.streams == services.settings.api.streams
    services.held.streams -= 1
    run_job(services, training["id"], {})
    assert client.get(training["links"]["events"]).status_code == 200
    assert client.get("/v1/limits").json()["streams"] == services.settings.api.streams


def test_events_as_a_list(client, services, training):
    run_job(services, training["id"], {})
    place, json_only = training["links"]["events"], {"Accept": "application/json"}
    first = client.get(place, params={"limit": 3}, headers=json_only)
    assert [event["event"] for event in first.json()["data"]] == ["status", "status", "metric"]
    second = client.get(place, params={"limit": 3, "cursor": first.json()["next_cursor"]}, headers=json_only)
    assert [event["event"] for event in second.json()["data"]] == ["done"]
    assert 'rel="next"' in first.headers["link"]


def test_events_of_nothing(client, training):
    assert client.get("/v1/jobs/trn_nope/events").status_code == 404
    answer = client.get(training["links"]["events"], headers={"Last-Event-ID": "x"})
    assert answer.json()["errors"][0]["parameter"] == "Last-Event-ID"


def test_batch_work_shows_in_the_events(client, services, model):
    job = client.post("/v1/batches", files=as_files([picture()]), data={"model": model}).json()
    work(services)
    lines = events_in(client.get(job["links"]["events"]).text)
    assert [line["event"] for line in lines if "id" in line][-1] == "done"


def test_imports_are_limited_too(client, services, dataset):
    services.settings = limited(services.settings, queued_imports=1)
    place = f"/v1/datasets/{dataset}/imports"
    assert client.post(place, content=archive({"eel/1.png": picture()}), headers=ZIP).status_code == 202
    assert client.post(place, content=archive({"eel/2.png": picture()}), headers=ZIP).json()["code"] == "queue_full"


def test_the_history_says_who_moved_a_job(client, training):
    client.post(training["links"]["finish"])
    client.post(training["links"]["cancel"])
    events = client.get(training["links"]["events"], headers={"Accept": "application/json"}).json()["data"]
    assert {event["data"]["by"] for event in events} == {training["created_by"]}
    assert [event["data"].get("status") for event in events] == ["queued", None, "cancelled"]
