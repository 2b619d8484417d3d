"""Searches for similar pictures, which a worker answers. Knows no HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from starlette.concurrency import run_in_threadpool

from api import result_items
from api.serialize import records
from api.services import Services
from api.submit.backbones import settle_backbone
from db.curation import datasets
from db.jobs import jobs, workers
from db.jobs.batches import has_parts
from db.predictions import results
from db.session import Session
from tsukiji import errors
from tsukiji.errors import InternalError, NotFound, TsukijiError, WorkerUnreachable
from tsukiji.jobs import PRESENT_SECONDS, JobKind
from tsukiji.kernel.predict_rpc import Frame, MapQuery, RpcAddress, SimilarQuery
from tsukiji.types.base import Box
from tsukiji.types.similar import SimilarImage, SimilarImages

KINDS: Final = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TsukijiError)
}


@dataclass(frozen=True)
class Where:
    """Which images to compare with, and by what: a data set (None: all that the key sees), features, most answers."""

    dataset: str | None
    backbone: str
    image_size: int
    limit: int


def of_image(services: Services, image: str, crop: Box | None, where: Where) -> tuple[SimilarQuery, list[RpcAddress]]:
    """Return the query for an image or a part of it, and the workers to ask.

    Raises:
        NotFound, CropOutside
    """
    with services.database.reading() as session:
        row = datasets.find_image(session, image)
        datasets.check_crop(crop, row.width, row.height)
        query, addresses = _query(session, where)
        return replace(query, sha256=row.sha256, crop=crop or row.crop, image=row.id), addresses


def of_result(
    services: Services, batch: str, seq: int, where: Where
) -> tuple[SimilarQuery, list[RpcAddress], list[bytes]]:
    """Return the query for a picture of a batch, the workers to ask, and the picture unless the store has it.

    Raises:
        NotFound, ResultsDeleted
        BlobMissing, BlobCorrupt, SourceError, ImageTooManyBytes, ArchiveError: it cannot be read where it was.
    """
    with services.database.reading() as session:
        job = jobs.find(session, batch, JobKind.BATCH)
        results.check_kept(job)
        found = result_items.find(services, session, job, seq)
        if found is None or found.item.sha256 is None:
            raise NotFound(f"{batch} has no picture {seq}.")
        query, addresses = _query(session, where)
        query = replace(query, crop=found.item.crop)
    if has_parts(job):
        return query, addresses, [found.read()]
    return replace(query, sha256=found.item.sha256), addresses, []


def of_picture(services: Services, where: Where) -> tuple[SimilarQuery, list[RpcAddress]]:
    """Return the query for a picture that is sent beside it. Raises: NotFound."""
    with services.database.reading() as session:
        return _query(session, where)


def _query(session: Session, where: Where) -> tuple[SimilarQuery, list[RpcAddress]]:
    searched = [datasets.find(session, where.dataset).id] if where.dataset else datasets.ids(session)
    backbone = settle_backbone(session, where.backbone)
    query = SimilarQuery(searched, backbone, where.image_size, where.limit)
    return query, workers.rpc_addresses(session, PRESENT_SECONDS)


async def search(
    services: Services, query: SimilarQuery, addresses: list[RpcAddress], files: Iterable[bytes] = ()
) -> SimilarImages:
    """Return a worker's answer.

    Raises:
        WorkerUnreachable: none answered in time.
        FeaturesMissing, ImageError, WeightsUnavailable: what the worker says.
    """
    answer, _ = await ask(services, query, addresses, files)
    images = await run_in_threadpool(shown, services, answer["found"])
    facts = {name: answer[name] for name in ("searched", "missing", "known_score")}
    return SimilarImages(backbone=query.backbone, images=images, **facts)


async def ask(
    services: Services, query: SimilarQuery | MapQuery, addresses: list[RpcAddress], files: Iterable[bytes] = ()
) -> Frame:
    """Return a worker's answer. Raises: what `search` raises."""
    answer = await services.predict_client.compare(addresses, query, list(files))
    if answer is None:
        raise WorkerUnreachable
    if error := answer[0].get("error"):
        raise KINDS.get(error["code"], InternalError)(error["detail"], hint=error["hint"])
    return answer


def shown(services: Services, found: list[tuple[str, float]]) -> list[SimilarImage]:
    """Return those of these images that are still there."""
    with services.database.reading() as session:
        rows = {row.id: row for row in datasets.images_of(session, [image_id for image_id, _ in found])}
        return [
            SimilarImage(
                similarity=round(cosine, 4), dataset_id=rows[image_id].dataset_id, image=records.image(rows[image_id])
            )
            for image_id, cosine in found
            if image_id in rows
        ]
