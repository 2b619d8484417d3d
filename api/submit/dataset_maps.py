"""Maps of data sets: a worker places the images in a plane, the rows say what they are. Knows no HTTP."""

import struct
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.services import Services
from api.submit import similar
from api.submit.backbones import settle_backbone
from api.submit.similar import Where
from db.curation import datasets, likeness
from db.jobs import workers
from db.session import Session
from tsukiji.jobs import PRESENT_SECONDS
from tsukiji.kernel.predict_rpc import MapQuery, RpcAddress
from tsukiji.labels import label_members, split_labels
from tsukiji.types.similar import DatasetMap, MapPoint

DIGITS = 4


async def draw(services: Services, where: Where) -> DatasetMap:
    """Return the map of the data set.

    Raises:
        NotFound
        WorkerUnreachable, FeaturesMissing
    """
    query, addresses = await run_in_threadpool(ask_for, services, where)
    facts, (names, positions) = await similar.ask(services, query, addresses)
    placed = dict(zip(names.decode().split("\n"), struct.iter_unpack("<2f", positions), strict=True))
    points = await run_in_threadpool(describe, services, query.dataset, placed)
    return DatasetMap(dataset_id=query.dataset, backbone=query.backbone, points=points, **facts)


def ask_for(services: Services, where: Where) -> tuple[MapQuery, list[RpcAddress]]:
    with services.database.reading() as session:
        dataset_id = datasets.find(session, where.dataset or "").id
        query = MapQuery(dataset_id, settle_backbone(session, where.backbone), where.image_size, where.limit)
        return query, workers.rpc_addresses(session, PRESENT_SECONDS)


def describe(services: Services, dataset_id: str, placed: dict[str, Any]) -> list[MapPoint]:
    """Return the images that are in use, with what is known of them, oldest first."""
    with services.database.reading() as session:
        return list(points(session, dataset_id, placed))


def points(session: Session, dataset_id: str, placed: dict[str, Any]) -> list[MapPoint]:
    predicted = likeness.predicted_labels(session, dataset_id)
    findings = likeness.finding_kinds(session, dataset_id)
    rows = {row.id: row for row in likeness.named(session, list(placed))}
    return [
        MapPoint(
            image_id=image_id,
            name=row.name,
            x=round(x, DIGITS),
            y=round(y, DIGITS),
            split=row.split,
            predicted=split_labels(predicted[image_id]) if image_id in predicted else None,
            findings=findings.get(image_id, []),
            **label_members(row.label),
        )
        for image_id, (x, y) in placed.items()
        if (row := rows.get(image_id))
    ]
