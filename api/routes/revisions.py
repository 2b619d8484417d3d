"""Revisions: edits of a data set's images, their history, and undo."""

from collections.abc import Collection

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.http.access import needs
from api.http.acts import ACT_OF, Named
from api.http.bodies import validated_json
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.idempotency import Made, Once, OnceDep, fingerprint_of
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import ACTS, body
from api.serialize import records
from api.services import Services
from db.curation import datasets, image_edits, revisions
from db.curation.label_edits import labels_given
from db.models import ApiKey
from db.session import Session
from tsukiji.labels import look_alikes
from tsukiji.types import Act, Page, Revision, RevisionChange

router = Router(prefix="/datasets/{dataset}/revisions", tags=["datasets"])


@router.post("", status_code=201, response_model=Revision, openapi_extra=body(json=ACTS))
@needs("label")
async def create_revision(
    dataset: str, request: Request, services: ServicesDep, caller: Caller, once: OnceDep, response: Response
) -> Revision:
    """Edit images: relabel, exclude, restore, split, crop, review, merge, rename or delete labels,
    accept suggestions, keep the best of groups. By `images` (ids) or by `filter`. Atomic.
    """
    named = await validated_json(Named, request)
    act = await validated_json(ACT_OF[named.act], request)
    made = await run_in_threadpool(do, services, caller, once, dataset, act)
    return await run_in_threadpool(answer, services, dataset, made, response, labels_given(act))


def do(services: Services, caller: ApiKey, once: Once, dataset: str, act: Act) -> Made:
    most_labels = services.settings.limits.dataset_classes

    def make(session: Session) -> str:
        row = datasets.find(session, dataset)
        return image_edits.carry_out(session, row.id, act, caller, most_labels=most_labels).id

    return once.make(services, fingerprint_of([dataset, act.model_dump(mode="json")]), make)


@router.get("")
@needs("read")
def list_revisions(dataset: str, session: Reading, paging: PagingDep) -> Page[Revision]:
    """List the edits of the images, newest first."""
    row = datasets.find(session, dataset)
    return paging.answer(revisions.page(session, row.id, paging.window(row.id)), records.revision)


@router.get("/{revision}")
@needs("read")
def get_revision(dataset: str, revision: str, session: Reading) -> Revision:
    """Get an edit: who, when, what, and how many images."""
    return records.revision(revisions.find(session, datasets.find(session, dataset).id, revision))


@router.get("/{revision}/changes")
@needs("read")
def list_changes(dataset: str, revision: str, session: Reading, paging: PagingDep) -> Page[RevisionChange]:
    """List the images that the revision changed, with values before and after; images deleted since are left out."""
    row = revisions.find(session, datasets.find(session, dataset).id, revision)
    rows = revisions.page_changes(session, row.id, paging.window(row.id))
    return paging.answer(rows, lambda change: records.revision_change(change, row.field))


@router.post("/{revision}/undo", status_code=201)
@needs("label")
def undo_revision(
    dataset: str, revision: str, services: ServicesDep, caller: Caller, once: OnceDep, response: Response
) -> Revision:
    """Undo the revision for all its images; refused if some were changed since.

    The undo is a revision itself, and can be undone.
    """

    def make(session: Session) -> str:
        return revisions.undo(session, datasets.find(session, dataset).id, revision, caller).id

    return answer(services, dataset, once.make(services, fingerprint_of([dataset, revision]), make), response)


def answer(
    services: Services, dataset: str, made: Made, response: Response, given: Collection[str] = frozenset()
) -> Revision:
    with services.database.reading() as session:
        found = get_revision(dataset, made.id, session)
        if given:
            found.warnings = [*look_alikes(datasets.labels_of(session, found.dataset_id), given)]
    response.headers.update({"location": found.links["self"], **made.headers})
    return found
