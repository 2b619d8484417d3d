"""Imports: a worker reads pictures of an archive, a folder, a prefix or the web into a data set."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.http.access import needs, require_folders
from api.http.bodies import (
    ARCHIVES,
    TABLES,
    RawBody,
    media_type,
    receive_archive,
    receive_table,
    unknown_type,
    validated_json,
)
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.errors import validated
from api.http.idempotency import Once, OnceDep
from api.http.job_responses import answer_poll, answer_start
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import ARCHIVE, BINARY, body, bytes_answer
from api.http.waiting import Prefer
from api.serialize import job_records, records
from api.serialize.import_verdicts import CSV, JSON_LINES, Verdicts
from api.services import Services
from api.submit.admission import expect_room
from api.submit.imports import Arrival, arrival_of, start_import
from api.submit.sample import start_sample
from db.curation import datasets, import_verdicts
from db.jobs import jobs
from db.models import ApiKey
from db.models import Job as JobRow
from db.predictions import results
from db.session import Session
from tsukiji.jobs import JobKind
from tsukiji.types import ErrorSummary, FileVerdict, ImportCreate, ImportOptions, ImportSummary, Job, Page, Split
from tsukiji.types.datasets import ImportFormat

router = Router(tags=["imports"])

Verdict = Literal["accepted", "duplicate", "rejected"]
UPLOADED = {"schema": {"$ref": "#/components/schemas/ImportCreate"}}
COLUMN = "Maps a table's columns, as `label:species`; for labels also several columns of 0 and 1. Repeatable."

FOLDER = "The role of a folder whose name misleads, as `train:label`: `label`, a split, or `none`. Repeatable."


@router.post(
    "/datasets/{dataset}/imports",
    status_code=202,
    response_model=Job,
    openapi_extra=body(json=UPLOADED, csv=BINARY, jsonl=BINARY, **ARCHIVE),
)
@needs("label")
async def create_import(
    dataset: str,
    request: Request,
    services: ServicesDep,
    caller: Caller,
    once: OnceDep,
    filename: Annotated[str | None, Query(max_length=200, description="For display; not used as a path.")] = None,
    wanted: Annotated[ImportFormat, Query(alias="format", description="Where the labels come from.")] = "auto",
    column: Annotated[list[str] | None, Query(description=COLUMN)] = None,
    separator: Annotated[str | None, Query(description="Separator of several labels in one cell of a table.")] = None,
    folder: Annotated[list[str] | None, Query(description=FOLDER)] = None,
    label: Annotated[str | None, Query(description="Label of images that no table gives one.")] = None,
    split: Annotated[Split | None, Query(description="Split of images that no table gives one.")] = None,
    group: Annotated[str | None, Query(description="Group of images that no table gives one.")] = None,
    encoding: Annotated[
        str | None, Query(description="Encoding of the names in an archive; guessed if omitted.")
    ] = None,
) -> Response:
    """Import pictures: `cat/1.jpg` gets the label `cat`, `train/cat/1.jpg` also a split, unless a table differs.

    In a `multi_label` data set `ant+bee/1.jpg` gets both labels, and a picture in several folders the labels of all.

    JSON names an upload, addresses, or a folder or S3 prefix that the service may read; otherwise an archive, or
    a table (CSV, JSON lines) that names the pictures, as the raw body, with the options in the query.
    """
    await run_in_threadpool(check_early, services, caller, once, dataset)  # before a large body is sent
    kind = media_type(request)
    if kind == "application/json":
        wish = await validated_json(ImportCreate, request)
        if wish.source is not None:
            require_folders(caller)
        arrival = await run_in_threadpool(arrival_of, services, wish)
    else:
        given = {"format": wanted, "columns": named(column), "separator": separator}
        given["folders"] = dict(name_and_role(one) for one in folder or [])
        given |= {"label": label, "split": split, "group": group, "encoding": encoding}
        options = validated(ImportOptions, given, "query")
        arrival = await received(await RawBody.begin(request), services, filename, options)
    made = await run_in_threadpool(start_import, services, caller, once, dataset, arrival)
    return await run_in_threadpool(answer_start, services, made)


@router.post("/datasets/sample", status_code=202, response_model=Job, responses={200: {"model": Job}})
@needs("label", bound=False)
def create_sample(services: ServicesDep, caller: Caller) -> Response:
    """Create the sample data set, 1,797 handwritten digits, by an import; if it exists, return its import."""
    made, queued = start_sample(services, caller)
    return answer_start(services, made, 202 if queued else 200)


def named(columns: list[str] | None) -> dict[str, str | list[str]]:
    """Return the table's own name of each column; a list where one was named several times."""
    found: dict[str, list[str]] = {}
    for name, _, theirs in (column.partition(":") for column in columns or []):
        found.setdefault(name, []).append(theirs)
    return {name: theirs[0] if len(theirs) == 1 else theirs for name, theirs in found.items()}


def name_and_role(text: str) -> tuple[str, str]:
    name, _, role = text.rpartition(":")
    return name, role


async def received(body: RawBody, services: ServicesDep, filename: str | None, options: ImportOptions) -> Arrival:
    """Take what came as the raw body: a table is what is said to be one, an archive what is one."""
    if ending := TABLES.get(body.kind):
        name = filename if filename and filename.lower().endswith(ending) else f"{filename or 'table'}{ending}"
        return Arrival(table=await receive_table(body, services), table_name=name, options=options)
    if body.is_archive:
        return Arrival(await receive_archive(body, services), filename, options=options)
    raise unknown_type(body.kind, ["application/json", *sorted([*ARCHIVES, *TABLES])])


def check_early(services: Services, caller: ApiKey, once: Once, dataset: str) -> None:
    """Raises: NotFound, QueueFull."""
    with services.database.reading() as session:
        datasets.find(session, dataset)
        expect_room(session, services, once, JobKind.IMPORT, caller)


def find_kept(session: Session, import_id: str) -> JobRow:
    """Return the import, if its verdicts can be read."""
    job = jobs.find(session, import_id, JobKind.IMPORT)
    results.check_kept(job)
    return job


@router.get("/imports")
@needs("read")
def list_imports(session: Reading, paging: PagingDep) -> Page[Job]:
    """List the imports, newest first."""
    return paging.answer(jobs.page(session, paging.window(), JobKind.IMPORT), job_records.job)


@router.get("/imports/{import_id}", response_model=Job)
@needs("read")
async def get_import(import_id: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Poll an import."""
    return await answer_poll(request, services, import_id, JobKind.IMPORT)


@router.get("/imports/{import_id}/items")
@needs("read")
def list_import_items(
    import_id: str,
    session: Reading,
    paging: PagingDep,
    verdict: Verdict | None = None,
    error: Annotated[str | None, Query(description="Only those rejected with this code.")] = None,
) -> Page[FileVerdict]:
    """List the verdict on each file, in the order of the archive."""
    window = paging.window(verdict, error)
    job = find_kept(session, import_id)
    return paging.answer(import_verdicts.page_verdicts(session, job.id, window, verdict, error), records.verdict)


@router.get("/imports/{import_id}/summary")
@needs("read")
def get_import_summary(import_id: str, session: Reading) -> ImportSummary:
    """Count the verdicts so far, and the reasons of rejections."""
    job = find_kept(session, import_id)
    counts = import_verdicts.count_verdicts(session, job.id)
    return ImportSummary(
        accepted=counts.get("accepted", 0),
        duplicates=counts.get("duplicate", 0),
        rejected=counts.get("rejected", 0),
        errors=[ErrorSummary(code=code, images=count) for code, count in import_verdicts.count_errors(session, job.id)],
    )


@router.get("/imports/{import_id}/results", response_class=StreamingResponse, responses=bytes_answer(JSON_LINES, CSV))
@needs("read")
def get_import_results(
    import_id: str,
    services: ServicesDep,
    verdict: Verdict | None = None,
    error: Annotated[str | None, Query(description="Only those rejected with this code.")] = None,
    wanted: Annotated[
        Literal["csv", "jsonl"] | None, Query(alias="format", description="Takes precedence over `Accept`.")
    ] = None,
    accept: Annotated[str, Header(description="JSON lines by default.")] = "*/*",
) -> StreamingResponse:
    """Stream the verdict on each file as JSON lines or CSV, also while the import runs."""
    with services.database.reading() as session:
        job = find_kept(session, import_id)
    chosen = wanted or ("csv" if CSV in accept else "jsonl")
    found = Verdicts(services, job.id, verdict, error)
    lines: Iterator[bytes] = found.csv() if chosen == "csv" else found.json_lines()
    headers = {"content-disposition": f'attachment; filename="{job.id}.{chosen}"'}
    return StreamingResponse(
        lines, media_type=f"{CSV}; charset=utf-8" if chosen == "csv" else JSON_LINES, headers=headers
    )
