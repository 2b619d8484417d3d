"""Suggestions: unlabelled images, sorted into piles to be labelled a pile at a time."""

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
from api.submit.features import start_suggestion
from db.curation import datasets, suggestions
from db.jobs import jobs
from tsukiji.jobs import JobKind
from tsukiji.types import Job, Page, SuggestedImage, SuggestionCreate, Suggestions

router = Router(tags=["suggestions"])

MOST_ROUNDS = 500
"""In the history."""


@router.post("/datasets/{dataset}/suggestions", status_code=202, response_model=Job)
@needs("label")
def create_suggestions(
    dataset: str, body: SuggestionCreate, services: ServicesDep, caller: Caller, once: OnceDep
) -> Response:
    """Sort the unlabelled images into piles: by what the labels so far say, or by likeness before there are two labels.

    Pictures that were looked at before are not looked at again: a further round takes seconds. An identical queued
    job is returned instead.
    """
    return answer_start(services, start_suggestion(services, caller, once, dataset, body))


@router.get("/suggestions/{suggestion}", response_model=Job)
@needs("read")
async def get_suggestion_job(
    suggestion: str, request: Request, services: ServicesDep, _prefer: Prefer = None
) -> Response:
    """Poll a round of suggestions."""
    return await answer_poll(request, services, suggestion, JobKind.SUGGESTION)


@router.get("/suggestions")
@needs("read")
def list_suggestion_jobs(session: Reading, paging: PagingDep) -> Page[Job]:
    """List the rounds of suggestions, newest first."""
    return paging.answer(jobs.page(session, paging.window(), JobKind.SUGGESTION), job_records.job)


@router.get("/datasets/{dataset}/suggestions")
@needs("read")
def get_suggestions(dataset: str, session: Reading) -> Suggestions:
    """Show the last round: its piles as they are now, the accuracy of the labels so far, and that of earlier rounds."""
    row = datasets.find(session, dataset)
    rounds = suggestions.rounds(session, row.id, MOST_ROUNDS)
    return records.suggestions(rounds, suggestions.piles(session, row.id))


@router.get("/datasets/{dataset}/suggestions/images")
@needs("read")
def list_suggested_images(
    dataset: str,
    session: Reading,
    paging: PagingDep,
    pile: Annotated[str, Query(min_length=1, max_length=220, description="`label:cat`, `cluster:1` or `doubtful`.")],
) -> Page[SuggestedImage]:
    """List the images of a pile that are still unlabelled: surest first; of `doubtful`, the most useful first."""
    dataset_id = datasets.find(session, dataset).id
    return paging.answer(suggestions.page(session, dataset_id, pile, paging.window(pile)), records.suggested_image)
