"""A job's history as it is written: server-sent events. Knows jobs' rows, no kinds of work."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from api import answers
from api.services import Services
from api.waiting import Pauses
from db import jobs
from db.models import Job
from tsukiji.jobs import TERMINAL
from tsukiji.types import JobEvent

KEEPALIVE_SECONDS = 15
PAGE = 200


@dataclass(frozen=True)
class News:
    job: Job
    events: list[JobEvent]


def read_news(services: Services, job_id: str, after: int) -> News:
    """Return the job and what its history says after an event; the job is read first, so no end is missed."""
    with services.database.reading() as session:
        job = jobs.find(session, job_id)
        return News(job, [answers.event(row) for row in jobs.events(session, job_id, after, PAGE)])


async def follow(services: Services, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Yield events from the history, and progress in between, until the job has ended or the server stops."""
    version, pauses, spoke = 0, Pauses(), time.monotonic()
    while not services.stopping.is_set():
        news = await run_in_threadpool(read_news, services, job_id, after)
        fresh = news.job.version != version
        ended = news.job.status in TERMINAL
        for event in news.events:
            after = event.id
            if fresh and event.event == "done":
                yield encode_progress(news.job)  # the last one; nothing comes after `done`
            yield encode(event)
        if fresh:
            version = news.job.version
            if not ended:
                yield encode_progress(news.job)
            pauses.reset()
            spoke = time.monotonic()
        if not news.events and ended:
            return
        if not fresh and time.monotonic() - spoke > KEEPALIVE_SECONDS:
            spoke = time.monotonic()
            yield KEEPALIVE_COMMENT
        if len(news.events) < PAGE:
            await pauses.pause()


def encode(event: JobEvent) -> bytes:
    return format_sse_event(event=event.event, id=str(event.id), data_str=event.model_dump_json())


def encode_progress(job: Job) -> bytes:
    """Progress stands in the row, not in the history: it has no id, and is not replayed."""
    envelope = answers.job(job)
    data = envelope.model_dump_json(include={"id", "status", "phase", "progress", "counts", "attempt"})
    return format_sse_event(event="progress", data_str=data)
