"""What happens to all jobs, as one stream."""

import asyncio
import json

import pytest

from api.http.activity import follow_all
from db import keys
from db.jobs import activity, jobs, leases
from db.jobs.activity import Choice
from db.models import Job, JobEvent
from tests.api.conftest import as_files, pictures, run_job
from tsukiji.jobs import JobKind

ALL = Choice(frozenset(JobKind))
JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("api.http.activity.GAP_SECONDS", 0)


@pytest.fixture
def caller(services, key):
    with services.database.reading() as session:
        return keys.verify(session, key)


@pytest.fixture
def started(client, dataset):
    def start():
        return client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]

    return start


class Stream:
    """A client of the stream that reads as many messages as a test wants."""

    def __init__(self, services, caller, choice=ALL, after=None):
        self.pieces = follow_all(services, caller, choice, after)
        self.last_id = None

    async def read(self, count):
        """Return this many events."""
        found = []
        while len(found) < count:
            lines = dict(line.split(": ", 1) for line in (await anext(self.pieces)).decode().strip().split("\n"))
            self.last_id = int(lines.get("id", self.last_id or 0))
            if "data" in lines:
                found.append(json.loads(lines["data"]))
        return found


def told(events):
    return [(event["event"], event["job"]["id"], event["job"]["status"]) for event in events]


def test_a_stream_begins_with_what_is_unfinished_and_goes_on_with_what_happens(services, caller, started):
    done, waiting = started(), started()
    run_job(services, done, {})

    async def listen():
        stream = Stream(services, caller)
        first = await stream.read(1)
        run_job(services, waiting, {})
        return first, await stream.read(3)

    first, then = asyncio.run(listen())
    assert told(first) == [("progress", waiting, "queued")]
    assert [event["event"] for event in then] == ["status", "metric", "done"]
    assert all(event["job"]["id"] == waiting for event in then)
    assert then[-1]["job"]["done"]
    assert {"object", "phase", "progress", "counts"} <= then[0]["job"].keys()


def test_progress_without_an_event_is_told_once(services, caller, started):
    job_id = started()
    with services.database.transaction() as session:
        leases.claim(session, Job, job_id, "test", 30)

    async def listen():
        stream = Stream(services, caller)
        found = await stream.read(1)
        for completed in (1, 2):
            with services.database.transaction() as session:
                jobs.change(session, Job.id == job_id, completed=completed, total=4)
            found += await stream.read(1)
        return found

    found = asyncio.run(listen())
    assert [event["job"]["progress"]["completed"] for event in found] == [0, 1, 2]


def test_a_stream_is_taken_up_where_it_broke(services, caller, started):
    first = started()

    async def listen():
        stream = Stream(services, caller)
        await stream.read(1)
        await anext(stream.pieces)
        run_job(services, first, {})
        await stream.read(1)
        again = Stream(services, caller, after=stream.last_id)
        return await again.read(2)

    assert [event["event"] for event in asyncio.run(listen())] == ["metric", "done"]


def test_an_empty_stream_says_where_to_take_it_up(services, caller, started):
    run_job(services, started(), {})

    async def first():
        return await anext(follow_all(services, caller, ALL, None))

    with services.database.reading() as session:
        newest = activity.recent_ids(session)[0]
    assert asyncio.run(first()) == f"id: {newest}\n\n".encode()


def test_an_event_that_is_committed_late_is_not_lost_and_sets_nothing_back(services, caller, started):
    """As on PostgreSQL, where the transaction with the lower id may be the slower one."""
    job_id = started()
    with services.database.transaction() as session:
        session.add(JobEvent(id=50, job_id=job_id, event="log", data={"message": "quick"}))

    async def listen():
        stream = Stream(services, caller)
        await stream.read(1)
        await anext(stream.pieces)
        with services.database.transaction() as session:
            session.add(JobEvent(id=40, job_id=job_id, event="log", data={"message": "slow"}))
        late = await stream.read(1)
        return late, stream.last_id

    (late,), last_id = asyncio.run(listen())
    assert (late["id"], late["data"]["message"], last_id) == (40, "slow", 50)


def test_a_stream_of_some_jobs_or_kinds_tells_of_no_others(services, caller, started, client, model):
    followed, other = started(), started()

    async def listen(choice):
        stream = Stream(services, caller, choice)
        await stream.read(1)
        client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model})
        for job_id in (other, followed):
            with services.database.transaction() as session:
                jobs.record(session, job_id, "log", {"message": job_id})
        return await stream.read(1)

    (event,) = asyncio.run(listen(Choice(frozenset(JobKind), frozenset({followed}))))
    assert event["data"]["message"] == followed
    (event,) = asyncio.run(listen(Choice(frozenset({JobKind.BATCH}))))
    assert event["job"]["object"] == "batch"


@pytest.mark.parametrize("reason", ["key", "service"])
def test_a_stream_ends_with_its_key_or_the_service(services, caller, started, reason):
    started()

    async def listen(end):
        stream = Stream(services, caller)
        await stream.read(1)
        end()
        return [piece async for piece in stream.pieces]

    def revoke():
        with services.database.transaction() as session:
            keys.revoke(session, caller.id)

    assert len(asyncio.run(listen(revoke if reason == "key" else services.stopping.set))) <= 1


def test_streams_of_all_jobs_count_as_streams(client, services):
    services.held.streams = services.settings.api.streams
    answer = client.get("/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")


def test_the_latest_events_as_a_list(client, services, started, model):
    first, second = started(), started()
    run_job(services, first, {})
    page = client.get("/v1/events", params={"limit": 2}, headers=JSON)
    assert [event["event"] for event in page.json()["data"]] == ["done", "metric"]
    assert 'rel="next"' in page.headers["link"]
    rest = client.get("/v1/events", params={"limit": 2, "cursor": page.json()["next_cursor"]}, headers=JSON)
    assert told(rest.json()["data"])[0] == ("status", first, "succeeded"), "the job is told as it is now"
    client.post(f"/v1/models/{model}/predict", files=as_files(pictures(1)), headers={"Prefer": "respond-async"})

    def jobs_of(**params):
        return {event["job"]["id"] for event in client.get("/v1/events", params=params, headers=JSON).json()["data"]}

    assert jobs_of() == {first, second}, "predictions are too many"
    assert jobs_of(jobs=second) == {second}
    assert len(jobs_of(kinds="prediction, training")) == 3


def test_what_cannot_be_followed_is_refused(client):
    assert client.get("/v1/events", params={"jobs": "trn_nope"}).status_code == 404
    assert client.get("/v1/events", params={"kinds": "nonsense"}).json()["errors"][0]["parameter"] == "kinds"
    assert client.get("/v1/events", params={"jobs": ",".join(map(str, range(101)))}).status_code == 422
    assert client.get("/v1/events", headers={"Last-Event-ID": "x"}).status_code == 422
