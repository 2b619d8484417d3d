"""A job as a response, for every kind: ETag, Location, and the interval of polls."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.http.idempotency import Made
from api.http.waiting import hold, parse_wait
from api.poll_pacing import pause_for
from api.serialize import job_records
from api.serialize.predictions import Reader
from api.services import Services
from db.jobs import jobs
from db.models import Job
from db.paging import Window
from db.predictions import results
from db.predictions.results import ResultRow
from db.session import Session
from tsukiji.jobs import TERMINAL, JobKind

QUEUED_BEHIND_SECONDS = 10


@dataclass(frozen=True)
class Seen:
    """A job with data from other rows."""

    job: Job
    position: int | None
    """How many jobs wait before it."""
    result: dict[str, Any] | None
    """Of a prediction; other results are in the job's row."""


def see(services: Services, job_id: str, kind: JobKind | None = None) -> Seen:
    """Read everything that a response about a job contains.

    Raises:
        NotFound: no job has this id (and kind).
    """
    with services.database.reading() as session:
        job = jobs.find(session, job_id, kind)
        return Seen(job, jobs.queue_position(session, job), result_of(session, job))


async def answer_poll(request: Request, services: Services, job_id: str, kind: JobKind | None = None) -> Response:
    """Answer a GET: with `Prefer: wait` once something has changed, with 304 if the caller has this version."""
    seconds = parse_wait(request.headers.get("prefer"), services.settings.api.max_wait_seconds)
    known = request.headers.get("if-none-match")
    seen = await run_in_threadpool(see, services, job_id, kind)
    old = known if known is not None else etag(seen.job)
    seen, waited = await hold_seen(request, services, seen, seconds, lambda row: not is_known(row, old))
    headers = {"preference-applied": f"wait={seconds:g}"} if waited else {}
    if is_known(seen.job, known):
        return Response(status_code=304, headers=headers | said(services, seen))
    return respond(services, seen, 200, headers)


async def hold_seen(
    request: Request, services: Services, seen: Seen, seconds: float | None, enough: Callable[[Job], bool]
) -> tuple[Seen, bool]:
    """Hold a request as `hold` does, and read the job again if it has changed."""
    job, waited = await hold(request, services, seen.job, seconds, enough)
    return seen if job is seen.job else await run_in_threadpool(see, services, job.id), waited


def answer_start(services: Services, made: Made, status: int = 202) -> JSONResponse:
    """Answer a POST that queued a job."""
    return respond(services, see(services, made.id), status, made.headers)


def respond(services: Services, seen: Seen, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the job with its headers; 202 has a Location. Reads no rows, so it needs no thread."""
    body = job_records.job(seen.job, seen.position, seen.result)
    extra = said(services, seen) | (headers or {})
    if status == 202:
        extra["location"] = job_records.job_place(seen.job)
    return JSONResponse(body.model_dump(mode="json"), status, headers=extra)


def said(services: Services, seen: Seen) -> dict[str, str]:
    """Return the headers of every response about a job: its version and, until it has ended, the interval of polls."""
    return {"etag": etag(seen.job), **retry_after(services, seen.job, seen.position)}


def result_of(session: Session, job: Job) -> dict[str, Any] | None:
    """Return the predictions of a finished prediction; other results are in the row."""
    if job.kind != JobKind.PREDICTION or job.status not in TERMINAL or job.results_deleted_at:
        return None
    rows, _ = results.page(session, job.id, Window(1000))
    return job_record(job, rows)


def job_record(job: Job, rows: Iterable[ResultRow]) -> dict[str, Any]:
    """Return the result of a prediction from its rows."""
    reader = Reader(job)
    return {"predictions": [reader.prediction(row).model_dump(mode="json") for row in rows]}


def etag(job: Job) -> str:
    return f'W/"{job.version}"'


def is_known(job: Job, if_none_match: str | None) -> bool:
    """Return whether the caller has this version, by weak comparison (RFC 9110, section 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return "*" in known or etag(job).removeprefix("W/") in known


def retry_after(services: Services, job: Job, position: int | None) -> dict[str, str]:
    """Return the header with the interval of polls; none once the job has ended."""
    if job.status in TERMINAL:
        return {}
    age = (datetime.now(UTC) - job.created_at).total_seconds()
    wanted = QUEUED_BEHIND_SECONDS if position else pause_for(age)
    return {"retry-after": str(services.poll_pacer.pause(wanted))}
