"""Imports: class folders of an archive, a folder or a prefix, read into a data set by a worker."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import answers
from api.bodies import media_type, receive_archive, validated_json
from api.dependencies import Caller, Reading, ServicesDep
from api.idempotency import OnceDep
from api.job_answers import answer_poll, answer_start
from api.paging import PagingDep
from api.schemas import ARCHIVE, body
from api.submissions import Arrival, arrival_of, start_import
from api.waiting import Prefer
from db import datasets, imports, jobs
from tsukiji.jobs import JobKind
from tsukiji.types import FileVerdict, ImportCreate, Job, Page

router = APIRouter(tags=["imports"])


UPLOADED = {"schema": {"$ref": "#/components/schemas/ImportCreate"}}


@router.post(
    "/datasets/{dataset}/imports", status_code=202, response_model=Job, openapi_extra=body(json=UPLOADED, **ARCHIVE)
)
async def create_import(
    dataset: str,
    request: Request,
    services: ServicesDep,
    caller: Caller,
    once: OnceDep,
    filename: Annotated[str | None, Query(max_length=200, description="To be shown; not used as a path.")] = None,
) -> Response:
    """Read class folders: `cat/1.jpg` gets the label `cat`, `train/cat/1.jpg` a split too.

    By JSON an upload that was sent before, or a folder or S3 prefix that the service may read; else an archive as the
    raw body.
    """
    await run_in_threadpool(find_dataset, services, dataset)  # before gigabytes travel
    if media_type(request) == "application/json":
        arrival = await run_in_threadpool(arrival_of, services, await validated_json(ImportCreate, request))
    else:
        arrival = Arrival(await receive_archive(request, services), filename)
    made = await run_in_threadpool(start_import, services, caller, once, dataset, arrival)
    return await run_in_threadpool(answer_start, services, made)


def find_dataset(services: ServicesDep, dataset: str) -> None:
    with services.database.reading() as session:
        datasets.find(session, dataset)


@router.get("/imports")
def list_imports(session: Reading, paging: PagingDep) -> Page[Job]:
    """List the imports, newest first."""
    return paging.answer(jobs.page(session, paging.window(), JobKind.IMPORT), answers.job)


@router.get("/imports/{import_id}", response_model=Job)
async def get_import(import_id: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    return await answer_poll(request, services, import_id, JobKind.IMPORT)


@router.get("/imports/{import_id}/items")
def list_import_items(
    import_id: str,
    session: Reading,
    paging: PagingDep,
    verdict: Literal["accepted", "duplicate", "rejected"] | None = None,
) -> Page[FileVerdict]:
    """List what became of each file, in the order of the archive."""
    window = paging.window(verdict)
    job = jobs.find(session, import_id, JobKind.IMPORT)
    return paging.answer(imports.page_verdicts(session, job.id, window, verdict), answers.verdict)
