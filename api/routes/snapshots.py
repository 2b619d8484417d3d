"""Snapshots: freeze a data set, list, compare; and exports of data sets and snapshots."""

from typing import Annotated, cast

from fastapi import Query, Response
from starlette.responses import StreamingResponse

from api.http.access import needs
from api.http.dependencies import Reading, ServicesDep
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.routes.images import attachment
from api.serialize import dataset_exports, records
from api.serialize.dataset_exports import MEDIA_TYPES, SUFFIX, Items
from api.services import Services
from api.submit.freezing import compare, freeze
from db import registry
from db.curation import datasets
from tsukiji.types import ChangeKind, DatasetFormat, Kind, Page, Snapshot, SnapshotComparison

router = Router(tags=["datasets"])

FormatQuery = Annotated[
    DatasetFormat, Query(alias="format", description="Zips of class folders, or tables without the pictures.")
]
FILES = bytes_answer(*dict.fromkeys(kind.partition(";")[0] for kind in MEDIA_TYPES.values()))


@router.post(
    "/datasets/{dataset}/snapshots",
    status_code=201,
    responses={200: {"model": Snapshot, "description": "The data set has not changed since this snapshot"}},
)
@needs("label")
def create_snapshot(dataset: str, services: ServicesDep, response: Response) -> Snapshot:
    """Freeze the labelled images into a list with a hash; excluded and pending ones are left out."""
    row, new = freeze(services, dataset)
    response.status_code = 201 if new else 200
    response.headers["location"] = f"/v1/snapshots/{row.id}"
    return records.snapshot(row)


@router.get("/datasets/{dataset}/snapshots")
@needs("read")
def list_snapshots(dataset: str, session: Reading, paging: PagingDep) -> Page[Snapshot]:
    """List the snapshots, newest first; each training creates one."""
    row = datasets.find(session, dataset)
    return paging.answer(registry.page_snapshots(session, row.id, paging.window(row.id)), records.snapshot)


@router.get("/snapshots/compare")
@needs("read")
def compare_snapshots(
    services: ServicesDep,
    paging: PagingDep,
    a: Annotated[str, Query(description="Id of the earlier snapshot.")],
    b: Annotated[str, Query(description="Id of the later snapshot.")],
    change: Annotated[ChangeKind | None, Query(description="List only these changes; all are counted.")] = None,
) -> SnapshotComparison:
    """Compare two snapshots: images added, removed, relabelled, resplit, recropped."""
    window = paging.window(a, b, change)
    found = compare(services, a, b)
    listed = [row for row in found.changes if change in {None, *row.changes}]
    start = max(0, window.after(int) or 0)
    end = start + window.limit
    page = paging.page(listed[start:end], window.cursor_after(end) if end < len(listed) else None)
    facts = {"a": a, "b": b, "equal": found.a.sha256 == found.b.sha256, "unchanged": found.unchanged}
    return SnapshotComparison.model_validate(dict(page) | facts | found.counts)


@router.get("/snapshots/{snapshot}")
@needs("read")
def get_snapshot(snapshot: str, session: Reading) -> Snapshot:
    """Get a snapshot."""
    return records.snapshot(registry.find_snapshot(session, snapshot))


@router.get("/datasets/{dataset}/export", response_class=StreamingResponse, responses=FILES)
@needs("read")
def export_dataset(dataset: str, services: ServicesDep, wanted: FormatQuery = "imagefolder") -> StreamingResponse:
    """Download the images in use as class folders (`imagefolder`, `huggingface`), or their data as a table.

    Pictures are the original files; crops are given in the tables and in the metadata.
    """
    with services.database.reading() as session:
        row = datasets.find(session, dataset)
    items = dataset_exports.items_of_dataset(services, row.id)
    return stream(services, items, wanted, row.name, cast("Kind", row.kind))


@router.get("/snapshots/{snapshot}/export", response_class=StreamingResponse, responses=FILES)
@needs("read")
def export_snapshot(snapshot: str, services: ServicesDep, wanted: FormatQuery = "imagefolder") -> StreamingResponse:
    """Download the images as they were frozen; the stream breaks off if a picture was deleted since."""
    with services.database.reading() as session:
        row = registry.find_snapshot(session, snapshot)
    items = dataset_exports.items_of_snapshot(services, row.id)
    return stream(services, items, wanted, row.id, dataset_exports.kind_of(items))


def stream(services: Services, items: Items, wanted: DatasetFormat, name: str, kind: Kind) -> StreamingResponse:
    headers = {"content-disposition": attachment(name + SUFFIX[wanted])}
    pieces = dataset_exports.export(services, items, wanted, kind)
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[wanted], headers=headers)
