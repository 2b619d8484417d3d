"""A job as an HTTP answer: pace, version, place. The same for every kind of job."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api import answers
from api.idempotency import Made
from api.pace import pause_for
from api.predictions import Reader
from api.services import Services
from api.waiting import hold, parse_wait, read_job
from db import jobs, results
from db.models import Job
from db.pages import Window
from db.session import Session
from tsukiji.jobs import TERMINAL, JobKind, JobStatus

QUEUED_BEHIND_SECONDS = 10


async def answer_poll(request: Request, services: Services, job_id: str, kind: JobKind | None = None) -> Response:
    """Answer a GET: held while nothing changes where that is preferred, 304 where the caller knows this version."""
    seconds = parse_wait(request.headers.get("prefer"), services.settings.api.max_wait_seconds)
    known = request.headers.get("if-none-match")

    def first() -> Job:
        with services.database.reading() as session:
            return jobs.find(session, job_id, kind)

    job = await run_in_threadpool(first)
    seen = known if known is not None else etag(job)
    job, waited = await hold(request, services, job, seconds, lambda row: not is_known(row, seen))
    headers = {"preference-applied": f"wait={seconds:g}"} if waited else {}
    if is_known(job, known):
        position = await run_in_threadpool(position_of, services, job) if job.status == JobStatus.QUEUED else None
        return Response(status_code=304, headers=headers | {"etag": etag(job), **retry_after(services, job, position)})
    return await run_in_threadpool(respond, services, job, 200, headers)


def answer_start(services: Services, made: Made, status: int = 202) -> JSONResponse:
    """Answer a POST that queued a job."""
    return respond(services, read_job(services, made.id), status, made.headers)


def respond(services: Services, job: Job, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the job with its headers; 202 says where to look for it."""
    position, result = None, None
    if job.status == JobStatus.QUEUED or job.kind == JobKind.PREDICTION:
        with services.database.reading() as session:
            position, result = jobs.queue_position(session, job), result_of(session, job)
    body = answers.job(job, position, result)
    extra = {"etag": etag(job), **retry_after(services, job, position), **(headers or {})}
    if status == 202:
        extra["location"] = answers.job_place(job)
    return JSONResponse(body.model_dump(mode="json"), status, headers=extra)


def position_of(services: Services, job: Job) -> int | None:
    with services.database.reading() as session:
        return jobs.queue_position(session, job)


def result_of(session: Session, job: Job) -> dict[str, Any] | None:
    """Return the predictions of a prediction that has ended; other results stand in the row."""
    if job.kind != JobKind.PREDICTION or job.status not in TERMINAL or job.results_deleted_at:
        return None
    rows, _ = results.page(session, job.id, Window(1000))
    reader = Reader(job)
    return {"predictions": [reader.prediction(row).model_dump(mode="json") for row in rows]}


def etag(job: Job) -> str:
    return f'W/"{job.version}"'


def is_known(job: Job, if_none_match: str | None) -> bool:
    """Does the caller hold this version already? Compared weakly (RFC 9110 section 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return "*" in known or etag(job).removeprefix("W/") in known


def retry_after(services: Services, job: Job, position: int | None) -> dict[str, str]:
    """Return the header that sets the pace of polling; nothing once the job has ended."""
    if job.status in TERMINAL:
        return {}
    age = (datetime.now(UTC) - job.created_at).total_seconds()
    wanted = QUEUED_BEHIND_SECONDS if position else pause_for(age)
    return {"retry-after": str(services.crowd.pause(wanted))}
