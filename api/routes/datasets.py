"""Data sets: create, list, get, delete."""

from fastapi import Response

from api.http.access import needs
from api.http.dependencies import Reading, ServicesDep, Transaction
from api.http.idempotency import OnceDep, fingerprint_of
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import records
from db.curation import datasets
from db.session import Session
from tsukiji.types import Dataset, DatasetCreate, Page

router = Router(prefix="/datasets", tags=["datasets"])


@router.post("", status_code=201)
@needs("label", bound=False)
def create_dataset(body: DatasetCreate, services: ServicesDep, once: OnceDep, response: Response) -> Dataset:
    """Create an empty data set."""
    made = once.make(
        services,
        fingerprint_of(body.model_dump()),
        lambda session: datasets.create(session, body.name, body.description, body.kind).id,
    )
    response.headers.update({"location": f"/v1/datasets/{made.id}", **made.headers})
    with services.database.reading() as session:
        return describe(session, made.id)


@router.get("")
@needs("read")
def list_datasets(session: Reading, paging: PagingDep) -> Page[Dataset]:
    """List the data sets, newest first."""
    rows = datasets.page(session, paging.window())
    ids = [row.id for row in rows.data]
    counts, left_out = datasets.count_images(session, ids), datasets.count_left_out(session, ids)
    return paging.answer(rows, lambda row: records.dataset(row, *counts[row.id], left_out[row.id]))


@router.get("/{dataset}")
@needs("read")
def get_dataset(dataset: str, session: Reading) -> Dataset:
    """Get a data set by id or name: images per label and per split, and excluded ones."""
    return describe(session, dataset)


@router.delete("/{dataset}", status_code=204)
@needs("train")
def delete_dataset(dataset: str, session: Transaction) -> None:
    """Delete a data set with its images. Models that were trained on it are kept."""
    datasets.remove(session, datasets.find(session, dataset).id)


def describe(session: Session, dataset: str) -> Dataset:
    row = datasets.find(session, dataset)
    counts, left_out = datasets.count_images(session, [row.id]), datasets.count_left_out(session, [row.id])
    return records.dataset(row, *counts[row.id], left_out[row.id])
