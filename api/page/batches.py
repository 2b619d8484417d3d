"""The Batches screens: start, follow, browse results, correct, download, delete."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.bodies import ARCHIVES, keep_archive, read_form
from api.http.errors import recognise, status_of, validated
from api.http.idempotency import Once
from api.page.screen import Screen, ScreenDep
from api.page.use import first_of, offered_models, teaching
from api.serialize import drift, guarantees, job_records
from api.serialize.predictions import Reader
from api.serialize.result_filters import Selection, SelectionDep
from api.serialize.summary import summarise
from api.submit import endings
from api.submit.batches import FIELDS, Work, check_early, keep_files, read_options, start_batch, work_of
from db import stored_results
from db.jobs import batches, jobs
from db.jobs.requests import ArchiveInput, BatchRequest
from db.models import Job, Model
from db.paging import Window
from db.parts.files import PartStore
from db.predictions import results
from db.session import Session
from tsukiji import types
from tsukiji.errors import Invalid, TsukijiError
from tsukiji.ingest.archives import is_archive
from tsukiji.jobs import TERMINAL, JobKind
from tsukiji.types.batches import BatchInput, BatchOptions, BatchSummary

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 50
PICTURES: Final = 60
"""Images per page without script; with script the grid loads more from `/v1`."""
LABEL_CHIPS: Final = 12
KEYED_LABELS: Final = 9
ORDERS: Final = {"seq": "as sent", "score": "least sure first", "-score": "surest first"}
REFUSALS: Final = {"none_of_these": "none of these", "below_threshold": "not sure enough"}
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/batches")
@needs("read", "predict")
def show_batches(
    screen: ScreenDep, cursor: str | None = None, model: Word = None, dataset: Word = None
) -> HTMLResponse:
    return list_batches(screen, cursor, model, dataset)


def list_batches(
    screen: Screen,
    cursor: str | None = None,
    model: str | None = None,
    dataset: str | None = None,
    error: TsukijiError | None = None,
) -> HTMLResponse:
    status = 200 if error is None else status_of(type(recognise(error)))
    with screen.services.database.reading() as session:
        offered = offered_models(session)
        page = jobs.page(session, Window(LISTED, cursor, ("batches",)), JobKind.BATCH)
        context: dict[str, Any] = {
            "batches": [job_records.job(job) for job in page.data],
            "next": page.next_cursor,
            "first": cursor is None,
            "chosen": model or first_of(offered),
            "from_dataset": dataset,
            "most": screen.services.settings.limits.request_files,
        }
        return screen.show(session, "batches.html", current="batches", status=status, error=error, **offered, **context)


@router.post("/batches")
@needs("predict", act="create_batch")
async def start_from_files(screen: ScreenDep) -> Response:
    """Start a batch of pictures or of one archive, for a browser without script."""
    services = screen.services
    try:
        async with read_form(screen.request, services.settings.limits.request_files, FIELDS) as form:
            form.files[:] = [file for file in form.files if file.size]
            if not form.files:
                raise Invalid("No file was chosen.", hint="Choose pictures or a zip and try again.")
            if form.fields.get("target_error") == [""]:
                del form.fields["target_error"]
            options = read_options(form)
            await run_in_threadpool(check_early, services, screen.visitor, Once(None), options)
            first = form.files[0]
            if len(form.files) == 1 and (first.content_type in ARCHIVES or is_archive(first.file)):
                blob = await run_in_threadpool(keep_archive, services, first.file)
                work = Work(ArchiveInput(type="archive", filename=first.filename), upload=blob)
            else:
                work = await run_in_threadpool(keep_files, services, form)
    except TsukijiError as error:
        return await run_in_threadpool(list_batches, screen, error=error)
    made = await run_in_threadpool(start_batch, services, screen.visitor, Once(None), options, work)
    return RedirectResponse(f"/batches/{made.id}", 303)


@router.post("/batches/dataset")
@needs("predict", act="create_batch")
def start_from_dataset(
    screen: ScreenDep,
    model: Annotated[str, Form(max_length=200)],
    dataset: Annotated[str, Form(max_length=200)],
    split: Annotated[types.Split | None, Form()] = None,
    threshold: Annotated[float, Form(ge=0, le=1)] = 0.0,
    target_error: Annotated[float | None, Form(gt=0, le=0.5)] = None,
) -> Response:
    services = screen.services
    try:
        asked = {"model": model, "threshold": threshold, "target_error": target_error}
        options = validated(BatchOptions, asked, "body")
        work = work_of(services, BatchInput(dataset=dataset, split=split))
        made = start_batch(services, screen.visitor, Once(None), options, work)
    except TsukijiError as error:
        return list_batches(screen, model=model, dataset=dataset, error=error)
    return RedirectResponse(f"/batches/{made.id}", 303)


@router.get("/batches/{batch}")
@needs("read", "predict")
def show_batch(
    batch: str,
    screen: ScreenDep,
    selection: SelectionDep,
    cursor: str | None = None,
    item: Annotated[int | None, Query(ge=0)] = None,
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        job = jobs.find(session, batch, JobKind.BATCH)
        asked, model = BatchRequest.of(job), session.get(Model, BatchRequest.of(job).model)
        context: dict[str, Any] = {
            "job": job_records.job(job, jobs.queue_position(session, job)),
            "asked": asked,
            "gone": model is None,
            "running": job.status not in TERMINAL,
            "keyed": KEYED_LABELS,
        }
        context |= teaching(session, model, asked)
        if job.results_deleted_at is not None:
            return screen.show(session, "batch.html", current="batches", status=410, deleted=True, **context)
        context |= describe(session, screen.services.files, job, selection, cursor)
        if item is not None:
            context["opened"] = find_item(session, screen.services.files, job, selection, item)
        return screen.show(session, "batch.html", current="batches", **context)


def describe(session: Session, files: PartStore, job: Job, selection: Selection, cursor: str | None) -> dict[str, Any]:
    """Return the counts by outcome, and the first results that match the filter."""
    rule, asked = selection.thresholds.rule(job), BatchRequest.of(job)
    groups, reasons = stored_results.groups(session, files, job, rule), batches.reasons(session, job.id)
    summary = summarise(job, groups, reasons, drift.of_batch(session, job))
    here = Place(job.id, selection)
    wanted = selection.wanted(job)
    rows: list[results.ResultRow] = []
    following = None
    if wanted is not None:
        window = Window(PICTURES, cursor, (job.id, repr(selection)))
        rows, following = stored_results.page(session, files, job, window, wanted)
    reader = Reader(job, selection.thresholds)
    return {
        "here": here,
        "rule": rule,
        "bound": rule.min_known,
        "summary": summary,
        "chips": list_chips(summary, here),
        "promise": None if asked.target_error is None else guarantees.of_batch(session, files, job),
        "reasons": [(each, here.link({"error": each.code}), selection.error == each.code) for each in summary.errors],
        "orders": [(text, here.link(order=name), selection.order == name) for name, text in ORDERS.items()],
        "items": [reader.prediction(row) for row in rows],
        "total": count_of(summary, here.filter, selection),
        "next": here.link(cursor=following) if following else None,
        "first": cursor is None,
    }


class Place:
    """The screen's state (filter, order, thresholds), from which links are made."""

    FILTERS: Final = ("status", "label", "decision", "abstained", "abstain_reason", "error", "true_label")
    BOUNDS: Final = ("min_score", "max_score")

    def __init__(self, job_id: str, selection: Selection) -> None:
        asked = {name: getattr(selection, name) for name in (*self.FILTERS, *self.BOUNDS)}
        self.job_id = job_id
        self.filter = {name: value for name, value in asked.items() if value is not None}
        thresholds = selection.thresholds
        kept = {"threshold": thresholds.threshold, "min_known": thresholds.min_known, "order": selection.order}
        self.kept = {name: value for name, value in kept.items() if value not in {None, "seq"}}

    def query(self, wanted: dict[str, Any] | None = None, **more: Any) -> str:
        query = (self.filter if wanted is None else wanted) | self.kept | more
        told = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        return urlencode({name: value for name, value in told.items() if value not in {None, "seq"}})

    def link(self, wanted: dict[str, Any] | None = None, **more: Any) -> str:
        """Return the address of a filter, by default the current one, with the same order and thresholds."""
        query = self.query(wanted, **more)
        return f"/batches/{self.job_id}" + (f"?{query}" if query else "")

    def source(self, name: str = "items", **more: Any) -> str:
        """Return the list of `/v1` with the same images."""
        query = self.query(**more)
        return f"/v1/batches/{self.job_id}/{name}" + (f"?{query}" if query else "")


def list_chips(summary: BatchSummary, here: Place) -> dict[str, list[dict[str, Any]]]:
    """Return the filters with their counts of images; labels apart, the rarer of many folded."""

    def chip(text: str, images: int, **wanted: Any) -> dict[str, Any]:
        return {"text": text, "n": images, "href": here.link(wanted), "current": here.filter == wanted}

    counts = summary.counts
    labels = [chip(each.label, each.decisions, decision=each.label) for each in summary.labels]
    labels.sort(key=lambda each: -each["n"])
    shown = [each for at, each in enumerate(labels) if at < LABEL_CHIPS or each["current"]]
    others = [
        chip("none of these", summary.none_of_these, abstain_reason="none_of_these"),
        chip("not sure enough", summary.below_threshold, abstain_reason="below_threshold"),
        chip("unreadable", counts.errored, status="errored"),
        chip("waiting", counts.queued, status="queued"),
        chip("cancelled", counts.cancelled, status="cancelled"),
        chip("expired", counts.expired, status="expired"),
    ]
    always = {"none of these", "not sure enough"}
    return {
        "labels": [chip("all", counts.total), *shown],
        "more": [each for each in labels if each not in shown],
        "others": [each for each in others if each["n"] or each["current"] or each["text"] in always],
    }


def count_of(summary: BatchSummary, wanted: dict[str, Any], selection: Selection) -> int | None:
    """Return how many images match a filter, if the summary counts them."""
    counts = summary.counts
    match list(wanted.items()):
        case []:
            return counts.total if selection.order == "seq" else counts.succeeded
        case [("decision", label)]:
            return sum(each.decisions for each in summary.labels if each.label == label)
        case [("abstain_reason", reason)]:
            return getattr(summary, str(reason))  # type: ignore[no-any-return]
        case [("status", status)]:
            return getattr(counts, str(status))  # type: ignore[no-any-return]
        case [("error", code)]:
            return sum(each.images for each in summary.errors if each.code == code)
    return None


def find_item(session: Session, files: PartStore, job: Job, selection: Selection, seq: int) -> types.Prediction | None:
    """Return one result; None if there is none with this number."""
    rows, _ = stored_results.page(session, files, job, Window(1, Window().cursor_after(seq - 1)))
    found = [row for row in rows if row.seq == seq]
    return Reader(job, selection.thresholds).prediction(found[0]) if found else None


@router.post("/batches/{batch}/cancel")
@needs("predict", "label", "train", act="cancel_job")
def cancel_batch(batch: str, screen: ScreenDep) -> Response:
    with screen.services.database.transaction() as session:
        endings.cancel(session, screen.visitor, batch, JobKind.BATCH)
    return RedirectResponse(f"/batches/{batch}", 303)


@router.post("/batches/{batch}/delete")
@needs("predict", "train", act="delete_batch")
def delete_results(batch: str, screen: ScreenDep) -> Response:
    with screen.services.database.transaction() as session:
        endings.delete_results(session, screen.visitor, batch, JobKind.BATCH)
    return RedirectResponse(f"/batches/{batch}", 303)
