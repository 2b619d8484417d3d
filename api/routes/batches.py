"""Batches: many images, classified in the background."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.http.access import needs, require_folders
from api.http.bodies import (
    ARCHIVES,
    MANIFESTS,
    RawBody,
    media_type,
    read_form,
    receive_archive,
    receive_manifest,
    unknown_type,
    validated_json,
)
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.errors import validated
from api.http.idempotency import Made, Once, OnceDep
from api.http.job_responses import answer_poll, answer_start
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import ARCHIVE, FILES, OPTIONS, TEXT, TEXTS, body, bytes_answer, form
from api.http.waiting import Prefer
from api.serialize import drift, guarantees, job_records
from api.serialize.parquet import parquet_file
from api.serialize.predictions import Reader
from api.serialize.result_filters import SelectionDep
from api.serialize.results import Results
from api.serialize.summary import summarise
from api.serialize.thresholds import ThresholdsDep
from api.services import Services
from api.submit.batches import FIELDS, Work, check_early, keep_files, ordered, read_options, start_batch
from api.submit.endings import delete_results
from db import stored_results
from db.jobs import batches, jobs
from db.jobs.requests import ArchiveInput, ManifestInput
from db.models import ApiKey, Chunk
from db.models import Job as JobRow
from db.parts.files import part_name
from db.predictions import results
from db.session import Session
from tsukiji.jobs import JobKind
from tsukiji.types import (
    BatchCreate,
    BatchGuarantee,
    BatchOptions,
    BatchPart,
    BatchSummary,
    BodyOptions,
    Job,
    Page,
    Prediction,
)
from tsukiji.types.base import Whole

router = Router(prefix="/batches", tags=["batches"])

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: dict[str, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
UPLOAD = form(["files", "model"], files=FILES, custom_ids=TEXTS, model=TEXT, **OPTIONS)
REQUEST = {
    "schema": {"$ref": "#/components/schemas/BatchCreate"},
    "example": {"model": "production", "input": {"dataset": "sushi", "split": "valid"}, "top_k": 3},
}
MANIFEST = {
    "schema": {"$ref": "#/components/schemas/ManifestLine"},
    "example": '{"custom_id": "a", "image": "img_01kb0m9x2v8q4d6w0z3y7t5r1n"}',
}
OF_THE_BODY = {"filename", "encoding"}


@router.post(
    "",
    status_code=202,
    response_model=Job,
    openapi_extra=body(json=REQUEST, multipart=UPLOAD, jsonl=MANIFEST, **ARCHIVE),
)
@needs("predict")
async def create_batch(request: Request, services: ServicesDep, caller: Caller, once: OnceDep) -> Response:
    """Classify many images.

    JSON names a data set, an upload, or a folder or S3 prefix that the service may read; files are multipart; an
    archive or a manifest may be the raw body, with the options in the query.
    """
    kind = media_type(request)
    if kind == "application/json":
        made = await from_json(request, services, caller, once)
    elif kind == "multipart/form-data":
        made = await from_files(request, services, caller, once)
    else:
        made = await from_body(request, services, caller, once)
    return await run_in_threadpool(answer_start, services, made)


async def from_json(request: Request, services: Services, caller: ApiKey, once: Once) -> Made:
    body = await validated_json(BatchCreate, request)
    if body.input.source is not None or (body.output and body.output.url is not None):
        require_folders(caller)
    options = BatchOptions.model_validate(body.model_dump(exclude={"input", "output", "runner"}))
    work = await run_in_threadpool(ordered, services, body)
    return await run_in_threadpool(start_batch, services, caller, once, options, work)


async def from_files(request: Request, services: Services, caller: ApiKey, once: Once) -> Made:
    async with read_form(request, services.settings.limits.request_files, FIELDS | {"custom_ids"}) as sent:
        options = read_options(sent)
        await run_in_threadpool(check_early, services, caller, once, options)
        work = await run_in_threadpool(keep_files, services, sent)
    return await run_in_threadpool(start_batch, services, caller, once, options, work)


async def from_body(request: Request, services: Services, caller: ApiKey, once: Once) -> Made:
    """Take what came as the raw body, with the options in the query: a manifest is what is said to be one, an archive
    what is one.
    """
    body = await RawBody.begin(request)
    if body.kind not in MANIFESTS and not body.is_archive:
        known = ["application/json", "multipart/form-data", *sorted(ARCHIVES | MANIFESTS)]
        raise unknown_type(body.kind, known)
    asked = validated(BodyOptions, dict(request.query_params), "query")
    options = BatchOptions.model_validate(asked.model_dump(exclude=OF_THE_BODY))
    source = {"filename": asked.filename} | ({"encoding": asked.encoding} if asked.encoding else {})
    await run_in_threadpool(check_early, services, caller, once, options)
    if body.kind in MANIFESTS:
        work = Work(ManifestInput(type="manifest", **source), upload=await receive_manifest(body, services))
    else:
        work = Work(ArchiveInput(type="archive", **source), upload=await receive_archive(body, services))
    return await run_in_threadpool(start_batch, services, caller, once, options, work)


@router.get("")
@needs("read", "predict")
def list_batches(session: Reading, paging: PagingDep) -> Page[Job]:
    """List the batches, newest first."""
    return paging.answer(jobs.page(session, paging.window(), JobKind.BATCH), job_records.job)


@router.get("/{batch}", response_model=Job)
@needs("read", "predict")
async def get_batch(batch: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Poll a batch; its `counts` add up to the total at any time."""
    return await answer_poll(request, services, batch, JobKind.BATCH)


@router.delete("/{batch}", status_code=204)
@needs("predict", "train")
def delete_batch(batch: str, services: ServicesDep, caller: Caller) -> None:
    """Delete the results and pictures of a finished batch. The job itself is kept."""
    with services.database.transaction() as session:
        delete_results(session, caller, batch, JobKind.BATCH)


@router.get("/{batch}/summary")
@needs("read", "predict")
def get_summary(batch: str, session: Reading, services: ServicesDep, thresholds: ThresholdsDep) -> BatchSummary:
    """Count the results so far: images of each label, decisions, images without one, errors."""
    job = find_kept(session, batch)
    groups = stored_results.groups(session, services.files, job, thresholds.rule(job))
    return summarise(job, groups, batches.reasons(session, job.id), drift.of_batch(session, job))


@router.get("/{batch}/guarantee")
@needs("read", "predict")
def get_guarantee(batch: str, session: Reading, services: ServicesDep) -> BatchGuarantee:
    """Tell what was promised with `target_error`, whether it holds, and which random decisions people are to check.

    Answers are feedback: `POST /v1/jobs/{job}/feedback` with the true labels.
    """
    return guarantees.of_batch(session, services.files, find_kept(session, batch))


@router.get("/{batch}/items")
@needs("read", "predict")
def list_items(
    batch: str, session: Reading, services: ServicesDep, paging: PagingDep, selection: SelectionDep
) -> Page[Prediction]:
    """List the images with their results so far, in input order or by score."""
    window = paging.window(repr(selection))
    job = find_kept(session, batch)
    wanted = selection.wanted(job)
    if wanted is None:
        return paging.page([], None)
    rows, cursor = stored_results.page(session, services.files, job, window, wanted)
    reader = Reader(job, selection.thresholds)
    return paging.page([reader.prediction(row) for row in rows], cursor)


@router.get("/{batch}/results", response_class=StreamingResponse, responses=bytes_answer(*FORMATS.values()))
@needs("read", "predict")
def get_results(
    batch: str,
    services: ServicesDep,
    selection: SelectionDep,
    wanted: Annotated[Format | None, Query(alias="format", description="Takes precedence over `Accept`.")] = None,
    probabilities: Annotated[bool, Query(description="Include the probability of every label.")] = False,
    accept: Annotated[str, Header(description="JSON lines by default.")] = "*/*",
) -> StreamingResponse:
    """Stream the results so far as JSON lines, CSV or Parquet, also while the batch runs."""
    with services.database.reading() as session:
        job = find_kept(session, batch)
    selection.wanted(job)  # errors must be found before the stream begins
    chosen: str = wanted or next((name for name, kind in FORMATS.items() if kind in accept), "jsonl")
    found = Results(services, job, selection, probabilities)
    kind = FORMATS[chosen] + ("; charset=utf-8" if chosen == "csv" else "")
    headers = {"content-disposition": f'attachment; filename="{job.id}.{chosen}"'}
    return StreamingResponse(stream(found, chosen), media_type=kind, headers=headers)


@router.get("/{batch}/parts")
@needs("read", "predict")
def list_parts(batch: str, session: Reading, paging: PagingDep) -> Page[BatchPart]:
    """List the Parquet files of a batch with `output`, in input order: together they are one table."""
    job = find_kept(session, batch)
    return paging.answer(batches.page_of_parts(session, job.id, paging.window()), part_record)


@router.get("/{batch}/parts/{seq}", response_class=Response, responses=bytes_answer(FORMATS["parquet"]))
@needs("read", "predict")
def get_part(batch: str, seq: Whole, services: ServicesDep) -> Response:
    """Get the Parquet file that begins with this image."""
    with services.database.reading() as session:
        chunk = batches.part_at(session, find_kept(session, batch).id, seq)
    headers = {"content-disposition": f'attachment; filename="{part_name(chunk)}"'}
    return Response(services.files.read(chunk), media_type=FORMATS["parquet"], headers=headers)


def part_record(chunk: Chunk) -> BatchPart:
    part = batches.Part(**(chunk.part or {}))
    return BatchPart(
        name=part_name(chunk),
        first_seq=chunk.first_seq,
        succeeded=part.succeeded,
        errored=part.errored,
        bytes=part.bytes,
        sha256=part.sha256,
        url=part.url,
        links={"content": f"/v1/batches/{chunk.job_id}/parts/{chunk.first_seq}"},
    )


def stream(found: Results, wanted: str) -> Iterator[bytes]:
    match wanted:
        case "csv":
            return found.csv()
        case "parquet":
            return parquet_file(found)
    return found.json_lines()


def find_kept(session: Session, batch: str) -> JobRow:
    """Return the batch, if its results can be read."""
    job = jobs.find(session, batch, JobKind.BATCH)
    results.check_kept(job)
    return job
