"""Jobs and their history as responses."""

from typing import Any

from api.serialize.records import analysis_links, columns, export_place, suggestion_links
from db import models as rows
from db.jobs.requests import ExportRequest
from tsukiji import types
from tsukiji.jobs import TERMINAL, JobKind, JobStatus

PLURALS = {
    JobKind.TRAINING: "trainings",
    JobKind.BATCH: "batches",
    JobKind.PREDICTION: "predictions",
    JobKind.IMPORT: "imports",
    JobKind.EVALUATION: "jobs",  # a path under `/v1/evaluations` is that of the result
    JobKind.EXPORT: "jobs",  # the export itself has a path below the model
    JobKind.ANALYSIS: "analyses",
    JobKind.SUGGESTION: "suggestions",
}
READ_FIRST = frozenset({JobKind.BATCH, JobKind.EVALUATION})
"""Kinds whose items are counted by a worker, unless sent with the request."""
COUNTED = frozenset({JobKind.BATCH, JobKind.PREDICTION, JobKind.EVALUATION})


def event(row: rows.JobEvent) -> types.JobEvent:
    return types.JobEvent.model_validate(columns(row))


def service_event(row: rows.JobEvent, of: rows.Job) -> types.Event:
    return types.Event.model_validate(columns(row) | {"job": job_state(of)})


def job_state(row: rows.Job) -> types.JobState:
    return types.JobState.model_validate(job(row).model_dump(include=set(types.JobState.model_fields)))


def job(row: rows.Job, position: int | None = None, result: dict[str, Any] | None = None) -> types.Job:
    """Return the envelope. `position` is how many jobs wait before it; `result` replaces the row's."""
    waits = row.status == JobStatus.QUEUED
    return types.Job(
        object=row.kind,
        id=row.id,
        status=row.status,
        done=row.status in TERMINAL,
        phase=None if row.status in TERMINAL else row.phase or ("waiting" if waits else None),
        progress=progress(row, position),
        counts=counts(row) if row.kind in COUNTED else None,
        attempt=row.attempt,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        deadline_at=row.deadline_at,
        cancel_requested_at=row.cancel_requested_at,
        results_expire_at=None if row.results_deleted_at else row.results_expire_at,
        results_deleted_at=row.results_deleted_at,
        created_by=row.created_by,
        metadata=row.meta,
        retry_of=row.retry_of,
        error=types.Problem.model_validate(row.error) if row.error else None,
        result=result if result is not None else row.result,
        engine=row.engine,
        links=job_links(row),
        request=row.request,
    )


def progress(row: rows.Job, position: int | None = None) -> types.Progress:
    planning = row.kind in READ_FIRST and not row.planned  # the total still grows
    fraction = 0.0 if planning or not row.total else min(1.0, row.completed / row.total)
    if row.status == JobStatus.SUCCEEDED:
        fraction = 1.0
    extra = dict(row.detail or {}) | ({} if position is None else {"queue_position": position})
    return types.Progress(
        fraction=max(0.0, fraction),
        unit=row.unit,
        completed=row.completed,
        total=row.total,
        eta_seconds=row.eta_seconds,
        **{name: value for name, value in extra.items() if name != "eta_seconds"},
    )


def counts(row: rows.Job) -> types.ItemCounts:
    left = row.items_total - row.items_succeeded - row.items_errored
    done, late = row.status in TERMINAL, row.status == JobStatus.EXPIRED
    return types.ItemCounts(
        total=row.items_total,
        queued=0 if done else left,
        succeeded=row.items_succeeded,
        errored=row.items_errored,
        cancelled=left if done and not late else 0,
        expired=left if late else 0,
    )


def job_place(row: rows.Job) -> str:
    return f"/v1/{PLURALS[JobKind(row.kind)]}/{row.id}"


def job_links(row: rows.Job) -> dict[str, str]:
    place, generic = job_place(row), f"/v1/jobs/{row.id}"
    links = {"self": place, "events": f"{generic}/events", "cancel": f"{generic}/cancel"}
    match row.kind:
        case JobKind.TRAINING:
            links |= {"metrics": f"{place}/metrics", "finish": f"{place}/finish"}
        case JobKind.BATCH if row.results_deleted_at is None:
            links |= {name: f"{place}/{name}" for name in ("items", "results", "summary")}
            links |= {"content": f"{place}/results/{{seq}}/content", "feedback": f"{generic}/feedback"}
        case JobKind.PREDICTION if row.results_deleted_at is None:
            links |= {"content": f"{place}/results/{{seq}}/content", "feedback": f"{generic}/feedback"}
        case JobKind.IMPORT:
            links |= {name: f"{place}/{name}" for name in ("items", "results", "summary")}
        case JobKind.ANALYSIS | JobKind.SUGGESTION if row.status == JobStatus.SUCCEEDED and row.dataset_id:
            of_dataset = analysis_links if row.kind == JobKind.ANALYSIS else suggestion_links
            links |= of_dataset(row.dataset_id)
        case JobKind.EXPORT if row.status == JobStatus.SUCCEEDED and row.model_id:
            links["export"] = export_place(row.model_id, ExportRequest.of(row).format)
    result = row.result or {}
    for name, wanted in (
        ("model", result.get("model_id") or row.model_id),
        ("evaluation", result.get("evaluation_id")),
    ):
        if wanted:
            links[name] = f"/v1/{name}s/{wanted}"
    if row.dataset_id:
        links["dataset"] = f"/v1/datasets/{row.dataset_id}"
    return links
