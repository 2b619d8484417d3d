"""Pictures of batches and predictions, as long as their results are kept."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.http.access import needs
from api.http.dependencies import ServicesDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.services import Services
from db.jobs import jobs
from db.models import BatchItem
from db.predictions import results
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind
from tsukiji.types.base import Box, Whole
from tsukiji.vision.decoding.decode import thumbnail

router = Router()

SIDES = {"thumb": 192, "preview": 1024}
Variant = Annotated[
    Literal["original", "thumb", "preview"],
    Query(description="The file as it was sent, or a WebP of at most 192 or 1024 pixels of what was classified."),
]
ANSWER = bytes_answer("application/octet-stream", "image/webp")
CACHED = {"cache-control": "private, max-age=3600"}


@router.get("/batches/{batch}/results/{seq}/content", tags=["batches"], response_class=Response, responses=ANSWER)
@needs("read", "predict")
async def get_batch_picture(batch: str, seq: Whole, services: ServicesDep, variant: Variant = "original") -> Response:
    """Get the picture of a result, until the results are deleted."""
    return await send_picture(services, JobKind.BATCH, batch, seq, variant)


@router.get(
    "/predictions/{prediction}/results/{seq}/content", tags=["predict"], response_class=Response, responses=ANSWER
)
@needs("read", "predict")
async def get_prediction_picture(
    prediction: str, seq: Whole, services: ServicesDep, variant: Variant = "original"
) -> Response:
    """Get the picture of a result, until the results are deleted."""
    return await send_picture(services, JobKind.PREDICTION, prediction, seq, variant)


async def send_picture(services: Services, kind: JobKind, job_id: str, seq: int, variant: str) -> Response:
    item, sha256, kept = await run_in_threadpool(find_item, services, kind, job_id, seq, variant)
    if variant == "original":
        headers = CACHED | {"content-disposition": "attachment"}
        return StreamingResponse(services.store.stream(sha256), media_type="application/octet-stream", headers=headers)
    small = kept or await services.decoding(draw, services, sha256, item.crop, SIDES[variant])
    return Response(small, media_type="image/webp", headers=CACHED)


def find_item(
    services: Services, kind: JobKind, job_id: str, seq: int, variant: str
) -> tuple[BatchItem, str, bytes | None]:
    """Return the item, the hash of its picture, and the small copy if it was drawn before.

    Raises:
        NotFound: there is no such image, or no bytes of it were kept.
        ResultsDeleted
    """
    with services.database.reading() as session:
        job = jobs.find(session, job_id, kind)
        results.check_kept(job)
        item = session.get(BatchItem, (job.id, seq))
    if item is None or item.sha256 is None:
        raise NotFound(f"{job_id} has no picture {seq}.")
    known = variant == "thumb" and item.crop is None
    return item, item.sha256, services.thumbnails.read(item.sha256, SIDES["thumb"]) if known else None


def draw(services: Services, sha256: str, crop: Box | None, side: int) -> bytes:
    """Return the small copy; a thumbnail of the whole picture is kept.

    Raises:
        ImageError
    """
    small = thumbnail(services.store.read(sha256), side, services.decode_limits, crop=crop)
    if crop is None and side == SIDES["thumb"]:
        services.thumbnails.write(sha256, side, small)
    return small
