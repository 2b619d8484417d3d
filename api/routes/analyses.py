"""Analyses: findings in a data set, and suggestions."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.idempotency import OnceDep
from api.http.job_responses import answer_poll, answer_start
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.waiting import Prefer
from api.serialize import job_records, records
from api.submit.features import start_analysis
from db.curation import analyses, datasets
from db.jobs import jobs
from tsukiji.jobs import JobKind
from tsukiji.types import Analysis, AnalysisCreate, Finding, FindingKind, Job, Page

router = Router(tags=["analyses"])


@router.post("/datasets/{dataset}/analyses", status_code=202, response_model=Job)
@needs("label")
def create_analysis(
    dataset: str, body: AnalysisCreate, services: ServicesDep, caller: Caller, once: OnceDep
) -> Response:
    """Analyse a data set: duplicates, poor pictures, outliers, wrong labels, crops, and what to label next.

    Pictures that were analysed before are not measured again. An identical queued analysis is returned instead.
    """
    return answer_start(services, start_analysis(services, caller, once, dataset, body))


@router.get("/analyses")
@needs("read")
def list_analyses(session: Reading, paging: PagingDep) -> Page[Job]:
    """List the analyses, newest first."""
    return paging.answer(jobs.page(session, paging.window(), JobKind.ANALYSIS), job_records.job)


@router.get("/analyses/{analysis}", response_model=Job)
@needs("read")
async def get_analysis_job(analysis: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Poll an analysis."""
    return await answer_poll(request, services, analysis, JobKind.ANALYSIS)


@router.get("/datasets/{dataset}/analysis")
@needs("read")
def get_analysis(dataset: str, session: Reading) -> Analysis:
    """Show the last analysis: counts of findings, and the current balance of the labels."""
    row = analyses.find(session, datasets.find(session, dataset).id)
    found = analyses.count(session, row.dataset_id)
    groups = analyses.count_groups(session, row.dataset_id, "near_duplicates")
    return records.analysis(row, found, groups, datasets.count_labels(session, [row.dataset_id])[row.dataset_id])


@router.get("/datasets/{dataset}/findings")
@needs("read")
def list_findings(
    dataset: str,
    session: Reading,
    paging: PagingDep,
    kind: FindingKind | None = None,
    label: Annotated[str | None, Query(description="Only of images that have this label now.")] = None,
    group: Annotated[str | None, Query(description="Only of images of this group.")] = None,
    image: Annotated[str | None, Query(description="Only of this image.")] = None,
) -> Page[Finding]:
    """List the findings: by kind, worst first, groups together."""
    window = paging.window(kind, label, group, image)
    dataset_id = datasets.find(session, dataset).id
    rows = analyses.page(session, dataset_id, window, kind=kind, label=label, group=group, image_id=image)
    return paging.answer(rows, records.finding)
