"""Pictures of batches and predictions, as long as their results are kept."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import result_items
from api.http.access import needs
from api.http.dependencies import ServicesDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.result_items import ResultItem
from api.services import Services
from db.jobs import jobs
from db.predictions import results
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind
from tsukiji.types.base import Whole
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
    shown, kept = await run_in_threadpool(find_item, services, kind, job_id, seq, variant)
    if variant == "original":
        headers = CACHED | {"content-disposition": "attachment"}
        data = await run_in_threadpool(shown.read)
        return Response(data, media_type="application/octet-stream", headers=headers)
    small = kept or await services.decoding(draw, services, shown, SIDES[variant])
    return Response(small, media_type="image/webp", headers=CACHED)


def find_item(
    services: Services, kind: JobKind, job_id: str, seq: int, variant: str
) -> tuple[ResultItem, bytes | None]:
    """Return the item, and the small copy if it was drawn before.

    Raises:
        NotFound: there is no such image, or no bytes of it were kept.
        ResultsDeleted
    """
    with services.database.reading() as session:
        job = jobs.find(session, job_id, kind)
        results.check_kept(job)
        shown = result_items.find(services, session, job, seq)
    if shown is None or shown.item.sha256 is None:
        raise NotFound(f"{job_id} has no picture {seq}.")
    known = variant == "thumb" and shown.item.crop is None
    return shown, services.thumbnails.read(shown.item.sha256, SIDES["thumb"]) if known else None


def draw(services: Services, shown: ResultItem, side: int) -> bytes:
    """Return the small copy; a thumbnail of the whole picture is kept.

    Raises:
        ImageError
    """
    crop, sha256 = shown.item.crop, shown.item.sha256
    small = thumbnail(shown.read(), side, services.decode_limits, crop=crop)
    if crop is None and sha256 and side == SIDES["thumb"]:
        services.thumbnails.write(sha256, side, small)
    return small
