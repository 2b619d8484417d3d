"""What happens to all jobs, as one stream or as a list."""

from typing import Annotated, Any

from fastapi import Header, Query
from starlette.responses import JSONResponse, Response

from api.http.access import ANY, needs
from api.http.activity import follow_all
from api.http.dependencies import Caller, ServicesDep
from api.http.events import EventStream, check_room, read_event_id
from api.http.paging import Paging, PagingDep
from api.http.routing import Router
from api.http.schemas import EVENTS
from api.serialize import job_records
from api.services import Services
from db.jobs import activity
from db.jobs.activity import Choice
from tsukiji.errors import Invalid, NotFound
from tsukiji.jobs import JobKind
from tsukiji.types import Event, Page

router = Router(prefix="/events", tags=["jobs"])

MOST_JOBS = 100
LOUD = {JobKind.PREDICTION}
"""There may be hundreds per second: sent only on request."""
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": EVENTS,
        "description": "status, progress, metric, log, done; each with its job",
    }
}


@router.get("", response_model=Page[Event], responses=STREAM)
@needs(*ANY)
def get_all_events(
    services: ServicesDep,
    caller: Caller,
    paging: PagingDep,
    jobs: Annotated[str | None, Query(description="Ids of jobs, separated by commas; by default all jobs.")] = None,
    kinds: Annotated[
        str | None, Query(description="Kinds of jobs, separated by commas; by default all but `prediction`.")
    ] = None,
    accept: Annotated[str, Header(description="`application/json` for a page instead of a stream.")] = "*/*",
    last_event_id: Annotated[str | None, Header(description="Continue after this event.")] = None,
) -> Response:
    """Follow all jobs by one stream of server-sent events, which does not end; or list the latest events."""
    choice = Choice(read_kinds(kinds), read_jobs(services, jobs))
    after = read_event_id(last_event_id)
    if "application/json" in accept:
        return list_events(services, paging, choice, jobs, kinds)
    check_room(services)
    return EventStream(services, follow_all(services, caller, choice, after))


def read_kinds(text: str | None) -> frozenset[JobKind]:
    if not text:
        return frozenset(set(JobKind) - LOUD)
    words = [word.strip() for word in text.split(",")]
    known = {str(kind) for kind in JobKind}
    if unknown := [word for word in words if word not in known]:
        line = {"parameter": "kinds", "code": "enum", "detail": f"one of {', '.join(sorted(known))}"}
        raise Invalid(f"There is no kind of job {unknown[0][:200]!r}.", errors=[line])
    return frozenset(JobKind(word) for word in words)


def read_jobs(services: Services, text: str | None) -> frozenset[str]:
    """Return the ids.

    Raises:
        NotFound: a job does not exist.
        Invalid: they are too many.
    """
    wanted = frozenset(word.strip() for word in (text or "").split(",") if word.strip())
    if len(wanted) > MOST_JOBS:
        raise Invalid(
            f"{len(wanted)} jobs; at most {MOST_JOBS} can be followed by their ids.", hint="Leave out `jobs`."
        )
    with services.database.reading() as session:
        missing = wanted - activity.by_id(session, wanted).keys()
    if missing:
        raise NotFound(f"There is no job {min(missing)!r}.")
    return wanted


def list_events(
    services: Services, paging: Paging, choice: Choice, jobs: str | None, kinds: str | None
) -> JSONResponse:
    """Answer with a page, newest first."""
    with services.database.reading() as session:
        found = activity.page(session, choice, paging.window(jobs, kinds))
        states = activity.by_id(session, {row.job_id for row in found.data})
        page = paging.answer(found, lambda row: job_records.service_event(row, states[row.job_id]))
    link = {name: value for name, value in paging.response.headers.items() if name == "link"}
    return JSONResponse(page.model_dump(mode="json"), headers=link)
