"""Jobs of all kinds: the list, and one with its history."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs, require
from api.http.idempotency import Made, Once
from api.page.job_words import KINDS, STATES, describe, line_of, screen_of, who_did, worker_name
from api.page.screen import Screen, ScreenDep
from api.serialize import job_records
from api.submit import endings
from api.submit.evaluations import start_evaluation
from api.submit.exports import start_export
from api.submit.features import start_analysis, start_suggestion
from api.submit.sample import start_sample
from db.curation import import_verdicts
from db.jobs import jobs
from db.jobs.requests import EvaluationRequest, ExportRequest, FeaturesRequest, ImportRequest
from db.models import Job, JobEvent
from db.paging import Window
from db.session import Session
from tsukiji.errors import Conflict
from tsukiji.jobs import TERMINAL, JobKind, JobStatus
from tsukiji.types import AnalysisCreate, EvaluationCreate, ExportCreate, SuggestionCreate

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 50
EVENTS: Final = 500
"""Events read for the history; those of epochs are not shown."""
TOLD: Final = {"status", "log", "done"}
TRAINERS: Final = frozenset({JobKind.EVALUATION, JobKind.EXPORT})
"""Kinds that need `train` to start again; others need `label`."""


@router.get("/jobs")
@needs("read", "predict")
def show_jobs(
    screen: ScreenDep, kind: JobKind | None = None, status: JobStatus | None = None, cursor: str | None = None
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        page = jobs.page(session, Window(LISTED, cursor, ("jobs", kind, status)), kind, status)
        return screen.show(
            session,
            "jobs.html",
            current="jobs",
            listed=[outline(session, row) for row in page.data],
            unfinished=[row.id for row in page.data if row.status not in TERMINAL],
            kind=kind,
            wanted=status,
            cursor=cursor,
            kinds=KINDS,
            states=STATES,
            here=here,
            next=page.next_cursor,
        )


def here(**query: str | None) -> str:
    """Return the address of the list with these filters."""
    chosen = {name: value for name, value in query.items() if value}
    return "/jobs" + (f"?{urlencode(chosen)}" if chosen else "")


def outline(session: Session, row: Job) -> dict[str, Any]:
    """Return a job as the list shows it."""
    return {
        "job": job_records.job(row, jobs.queue_position(session, row)),
        "told": describe(session, row),
        "place": screen_of(row.kind, row.id),
        "state": STATES[JobStatus(row.status)],
        "took": seconds_between(row.started_at, row.finished_at) if row.started_at else None,
    }


def seconds_between(begin: datetime, end: datetime | None) -> float:
    """Return the seconds to the end, or so far."""
    return max(0.0, ((end or datetime.now(UTC)) - begin).total_seconds())


@router.get("/jobs/{job}")
@needs("read", "predict")
def show_job(job: str, screen: ScreenDep, after: Annotated[int, Query(ge=0)] = 0) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = jobs.find(session, job)
        events = jobs.events(session, row.id, after, EVENTS + 1)
        return screen.show(
            session,
            "job.html",
            current="jobs",
            **outline(session, row),
            queued=seconds_between(row.created_at, row.started_at or row.finished_at),
            worker=find_worker(events),
            creator=who_did(session, row.created_by, None),
            history=[line_of(session, event) for event in events[:EVENTS] if event.event in TOLD],
            later=events[EVENTS - 1].id if len(events) > EVENTS else None,
            earlier=after > 0,
            verdicts=count_verdicts(session, row),
            again=place_of_again(row),
        )


def find_worker(events: list[JobEvent]) -> str | None:
    """Return the worker of the last of these events."""
    return next((worker_name(event.worker) for event in reversed(events) if event.worker), None)


def count_verdicts(session: Session, row: Job) -> dict[str, int]:
    if row.kind != JobKind.IMPORT or row.results_deleted_at is not None:
        return {}
    return import_verdicts.count_verdicts(session, row.id)


@router.post("/jobs/{job}/cancel")
@needs("predict", "label", "train", act="cancel_job")
def cancel(job: str, screen: ScreenDep) -> Response:
    with screen.services.database.transaction() as session:
        endings.cancel(session, screen.visitor, job)
    return RedirectResponse(f"/jobs/{job}", 303)


# --- once more -------------------------------------------------------------------------------------------------------


@router.post("/jobs/{job}/again")
@needs("predict", "label", "train", act="start_job_again")
def start_again(job: str, screen: ScreenDep) -> Response:
    """Start a job with the same request, on the pictures as they are now."""
    with screen.services.database.reading() as session:
        row = jobs.find(session, job)
        session.expunge(row)
    require(screen.visitor, "train" if row.kind in TRAINERS else "label")
    if place_of_again(row) != f"/jobs/{job}/again":
        raise Conflict("This job cannot be started again from here.", hint="Start it where it was started.")
    return RedirectResponse(f"/jobs/{AGAIN[JobKind(row.kind)](screen, row).id}", 303)


def place_of_again(row: Job) -> str | None:
    """Return the address that starts the job again; None if it cannot, or need not, be."""
    if row.status not in TERMINAL or row.status == JobStatus.SUCCEEDED:
        return None
    if row.kind == JobKind.TRAINING:
        return f"/trainings/{row.id}/again" if row.dataset_id else None
    known = row.kind in AGAIN and (row.dataset_id or row.model_id)
    whole = row.kind != JobKind.IMPORT or ImportRequest.of(row).sample  # other files were sent with the request
    return f"/jobs/{row.id}/again" if known and whole else None


def evaluate_again(screen: Screen, row: Job) -> Made:
    asked = EvaluationRequest.of(row)
    body = EvaluationCreate(model=asked.model, dataset=asked.input.dataset, split=asked.input.split)
    return start_evaluation(screen.services, screen.visitor, Once(None), body)


def export_again(screen: Screen, row: Job) -> Made:
    asked = ExportRequest.of(row)
    wanted = ExportCreate.model_validate({"format": asked.format}).format
    return start_export(screen.services, screen.visitor, Once(None), asked.model, wanted)


def analyse_again(screen: Screen, row: Job) -> Made:
    asked = FeaturesRequest.of(row)
    body = AnalysisCreate.model_validate({"backbone": asked.backbone, "image_size": asked.image_size})
    return start_analysis(screen.services, screen.visitor, Once(None), asked.dataset, body)


def suggest_again(screen: Screen, row: Job) -> Made:
    asked = FeaturesRequest.of(row)
    body = SuggestionCreate.model_validate({"backbone": asked.backbone, "image_size": asked.image_size})
    return start_suggestion(screen.services, screen.visitor, Once(None), asked.dataset, body)


def import_sample_again(screen: Screen, row: Job) -> Made:  # noqa: ARG001 - there is only one sample
    return start_sample(screen.services, screen.visitor)[0]


AGAIN: Final[dict[JobKind, Callable[[Screen, Job], Made]]] = {
    JobKind.EVALUATION: evaluate_again,
    JobKind.EXPORT: export_again,
    JobKind.ANALYSIS: analyse_again,
    JobKind.SUGGESTION: suggest_again,
    JobKind.IMPORT: import_sample_again,
}
