"""A job's history as server-sent events. Knows no kinds of jobs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http.errors import TooManyStreams
from api.serialize import job_records
from api.services import MAX_HOLDS, Services
from api.watch import VALID, Topic
from db import keys
from db.jobs import jobs
from db.models import ApiKey, Job
from db.session import Session
from tsukiji.errors import Invalid, Unauthorized
from tsukiji.jobs import TERMINAL
from tsukiji.types import JobEvent

KEEPALIVE_SECONDS = 15
"""Between keep-alive comments: proxies close silent connections."""
PAGE = 200


@dataclass(frozen=True)
class News:
    """A job, the next lines of its history, and the state to wait from."""

    job: Job
    events: list[JobEvent]
    known: dict[Topic, int]


def read_news(services: Services, caller: ApiKey, job_id: str, after: int) -> News:
    """Return the job and its history after an event; the job is read first, so that its end is not missed.

    Raises:
        Unauthorized: the key was revoked meanwhile, or sees something else now.
    """
    with services.database.reading() as session:
        last = jobs.last_events(session, [job_id]).get(job_id, 0)
        job = jobs.find(session, job_id)
        events = [job_records.event(row) for row in jobs.events(session, job_id, after, PAGE)]
        check_caller(session, caller)
    known = {Topic("job", job_id): job.version, Topic("history", job_id): last, Topic("key", caller.id): VALID}
    return News(job, events, known)


def check_caller(session: Session, caller: ApiKey) -> None:
    """Check after a read that the key still sees what it saw when its stream began.

    Raises:
        Unauthorized
    """
    if not keys.is_as_before(session, caller):
        raise Unauthorized("The API key was revoked.")


async def follow(services: Services, caller: ApiKey, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Yield events from the history, and progress in between, until the job has ended or the server stops.

    The stream ends when the key is revoked; connecting again is then refused. It reads only after the watch, which all
    held connections share, has seen a change.
    """
    version = 0
    while not services.stopping.is_set():
        try:
            news = await run_in_threadpool(read_news, services, caller, job_id, after)
        except Unauthorized:
            return
        fresh = news.job.version != version
        ended = news.job.status in TERMINAL
        for event in news.events:
            after = event.id
            if fresh and event.event == "done":
                yield encode_progress(news.job)  # `done` is the last event
            yield encode(event)
        if fresh:
            version = news.job.version
            if not ended:
                yield encode_progress(news.job)
        if len(news.events) == PAGE:
            continue
        if ended:
            return
        while not await services.watch.wait(news.known, KEEPALIVE_SECONDS):
            yield KEEPALIVE_COMMENT


def read_event_id(text: str | None) -> int | None:
    """Return the number in a Last-Event-ID header, if there is one.

    Raises:
        Invalid: it is not the id of an event.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        line = {"parameter": "Last-Event-ID", "code": "invalid", "detail": "the id of an event"}
        raise Invalid("Last-Event-ID is malformed.", errors=[line])
    return int(text)


def check_room(services: Services) -> None:
    """Raise TooManyStreams where no other client may follow a job."""
    if services.held.streams >= services.settings.api.streams or services.held.holds >= MAX_HOLDS:
        raise TooManyStreams(f"{services.held.streams} clients already follow jobs.")


class EventStream(StreamingResponse):
    """A response of events that counts against the limit of streams."""

    media_type = "text/event-stream"

    def __init__(self, services: Services, events: AsyncIterator[bytes]) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, headers=headers)
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_room(self._services)
        with self._services.stream():
            await super().__call__(scope, receive, send)


def encode(event: JobEvent) -> bytes:
    return format_sse_event(event=event.event, id=str(event.id), data_str=event.model_dump_json())


def encode_progress(job: Job) -> bytes:
    """Progress is in the row, not in the history: it has no id and is not replayed."""
    envelope = job_records.job(job)
    data = envelope.model_dump_json(include={"id", "status", "phase", "progress", "counts", "attempt"})
    return format_sse_event(event="progress", data_str=data)
