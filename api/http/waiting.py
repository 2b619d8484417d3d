"""Holding a request until its job changes: `Prefer: wait=N` (RFC 7240). Knows no kinds of jobs."""

import re
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Request
from starlette.concurrency import run_in_threadpool

from api.services import Services
from api.watch import Topic
from db.jobs import jobs
from db.models import Job
from tsukiji.errors import Invalid
from tsukiji.jobs import TERMINAL

LOOK_SECONDS = 1
"""Between two checks whether the client is still connected."""

Prefer = Annotated[
    str | None,
    Header(alias="Prefer", description="`wait=N` holds the response for up to N seconds.", examples=["wait=30"]),
]


def parse_wait(prefer: str | None, longest: float, default: float | None = None) -> float | None:
    """Return the seconds that the caller prefers to wait, at most `longest`; `wait` without a number means the longest.

    Raises:
        Invalid: it is not a number.
    """
    for preference in (prefer or "").split(","):
        name, _, value = preference.partition(";")[0].strip().partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "respond-async":
            return None
        if name == "wait":
            if not re.fullmatch(r"(\d{1,9}(\.\d{0,9})?)?", value):
                line = {"parameter": "Prefer", "code": "invalid", "detail": "wait=N takes seconds"}
                raise Invalid("The Prefer header is malformed.", errors=[line])
            return min(float(value), longest) if value else longest
    return None if default is None else min(default, longest)


async def hold(
    request: Request, services: Services, job: Job, seconds: float | None, enough: Callable[[Job], bool]
) -> tuple[Job, bool]:
    """Return the job once it is `enough`, has ended, or `seconds` have passed; and whether it was held.

    Nothing is held while the server stops, after the caller has gone, or while too many are held.
    """
    if not seconds:
        return job, False
    with services.hold() as welcome:
        deadline = time.monotonic() + seconds
        while welcome and not (job.status in TERMINAL or enough(job) or services.stopping.is_set()):
            left = deadline - time.monotonic()
            if left <= 0 or await request.is_disconnected():
                break
            if await services.watch.wait({Topic("job", job.id): job.version}, min(left, LOOK_SECONDS)):
                job = await run_in_threadpool(read_job, services, job.id)
    return job, welcome


def read_job(services: Services, job_id: str) -> Job:
    with services.database.reading() as session:
        return jobs.find(session, job_id)


def has_ended(job: Job) -> bool:
    return job.status in TERMINAL
