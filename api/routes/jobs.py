"""Jobs of all kinds, in one list and one format."""

from typing import Annotated, Any

from fastapi import Header, Request, Response
from starlette.responses import JSONResponse

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.events import EventStream, check_room, follow, read_event_id, read_news
from api.http.job_responses import answer_poll, respond, see
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import EVENTS
from api.http.waiting import Prefer
from api.serialize import job_records
from api.submit.endings import cancel, delete_results
from api.submit.feedback import take_feedback
from db.jobs import jobs
from db.paging import Rows
from tsukiji.jobs import TERMINAL, JobKind, JobStatus
from tsukiji.types import Feedback, FeedbackCreate, Job, JobEvent, Page

router = Router(prefix="/jobs", tags=["jobs"])

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": EVENTS,
        "description": "status, progress, metric, log, done",
    },
    204: {"description": "The job has finished and all events were sent"},
}


@router.get("")
@needs("read", "predict")
def list_jobs(
    session: Reading, paging: PagingDep, kind: JobKind | None = None, status: JobStatus | None = None
) -> Page[Job]:
    """List all jobs, newest first."""
    return paging.answer(jobs.page(session, paging.window(kind, status), kind, status), job_records.job)


@router.get("/{job}", response_model=Job)
@needs("read", "predict")
async def get_job(job: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Get a job of any kind. `Prefer: wait=N` holds the response until something changes."""
    return await answer_poll(request, services, job)


@router.post("/{job}/cancel", response_model=Job)
@needs("predict", "label", "train")
def cancel_job(job: str, services: ServicesDep, caller: Caller) -> Response:
    """Cancel a job; finished results are kept. A finished job is not changed."""
    with services.database.transaction() as session:
        cancel(session, caller, job)
    return respond(services, see(services, job), 200)


@router.post("/{job}/feedback", status_code=201, responses={200: {"model": Feedback, "description": "None is new"}})
@needs("label")
async def give_feedback(
    job: str, body: FeedbackCreate, services: ServicesDep, caller: Caller, response: Response
) -> Feedback:
    """Correct predictions of a batch or a prediction: the pictures become labelled images, pending review.

    By default they go to the data set that the model was trained on. A picture that it already has is not changed.
    """
    found = await services.decoding(take_feedback, services, caller, job, body)
    response.status_code = 201 if found.accepted else 200
    return found


@router.delete("/{job}", status_code=204)
@needs("predict", "label", "train")
def delete_job(job: str, services: ServicesDep, caller: Caller) -> None:
    """Delete the results and pictures of a batch, a prediction or an evaluation's images. The job itself is kept."""
    with services.database.transaction() as session:
        delete_results(session, caller, job)


@router.get("/{job}/events", response_model=Page[JobEvent], responses=STREAM)
@needs("read", "predict")
def get_events(
    job: str,
    services: ServicesDep,
    caller: Caller,
    paging: PagingDep,
    accept: Annotated[str, Header(description="`application/json` for a page instead of a stream.")] = "*/*",
    last_event_id: Annotated[str | None, Header(description="Continue after this event.")] = None,
) -> Response:
    """Follow a job by server-sent events, past ones first; the stream ends after `done`."""
    after = read_event_id(last_event_id) or 0
    if "application/json" in accept:
        return list_events(job, services, paging)
    check_room(services)  # here, before anything is read
    news = read_news(services, caller, job, after)
    if after and not news.events and news.job.status in TERMINAL:
        return Response(status_code=204)  # tells a browser not to connect again
    return EventStream(services, follow(services, caller, job, after))


def list_events(job: str, services: ServicesDep, paging: PagingDep) -> Response:
    window = paging.window()
    with services.database.reading() as session:
        row = jobs.find(session, job)
        events = jobs.events(session, row.id, window.after(int) or 0, window.limit + 1)
    more = len(events) > window.limit
    events = events[: window.limit]
    rows = Rows(events, window.cursor_after(events[-1].id) if more else None)
    page = paging.answer(rows, job_records.event)
    link = {name: value for name, value in paging.response.headers.items() if name == "link"}
    return JSONResponse(page.model_dump(mode="json"), headers=link)
