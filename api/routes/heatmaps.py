"""Heatmaps of predictions, drawn over their pictures."""

from starlette.responses import Response

from api import result_items
from api.http.access import needs
from api.http.dependencies import ServicesDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.services import Services
from db.jobs import jobs
from db.predictions import results
from tsukiji.errors import NotFound
from tsukiji.explain.overlay import LONGEST_SIDE, draw_heatmap
from tsukiji.jobs import JobKind
from tsukiji.types.base import Whole
from tsukiji.vision.decoding.decode import decoded

router = Router()

MEDIA_TYPE = "image/png"
ANSWER = bytes_answer(MEDIA_TYPE)


@router.get("/batches/{batch}/results/{seq}/heatmap.png", tags=["batches"], response_class=Response, responses=ANSWER)
@needs("read", "predict")
async def get_batch_heatmap(batch: str, seq: Whole, services: ServicesDep) -> Response:
    """Get an image with its heatmap, if the batch was started with heatmaps."""
    return await services.decoding(draw, services, JobKind.BATCH, batch, seq)


@router.get(
    "/predictions/{prediction}/results/{seq}/heatmap.png", tags=["predict"], response_class=Response, responses=ANSWER
)
@needs("read", "predict")
async def get_prediction_heatmap(prediction: str, seq: Whole, services: ServicesDep) -> Response:
    """Get an image with its heatmap, if the prediction was started with heatmaps."""
    return await services.decoding(draw, services, JobKind.PREDICTION, prediction, seq)


def draw(services: Services, kind: JobKind, job_id: str, seq: int) -> Response:
    """Return the PNG.

    Raises:
        NotFound: there is no such image, or no heatmap of it.
        ResultsDeleted
    """
    with services.database.reading() as session:
        job = jobs.find(session, job_id, kind)
        results.check_kept(job)
        shown = result_items.find(services, session, job, seq)
    found = shown and shown.found
    if shown is None or not (found and found.heatmap and found.heatmap.get("values")):
        hint = "Request one with `heatmap`, and check `heatmap.withheld` in the results."
        raise NotFound(f"{job_id} has no heatmap of image {seq}.", hint=hint)
    left, upper, right, lower = shown.item.crop or (0, 0, found.width or 1, found.height or 1)
    data = shown.read()
    at = found.heatmap["box"]
    box = at[0] - left, at[1] - upper, at[2] - left, at[3] - upper
    with decoded(data, services.decode_limits, crop=shown.item.crop, target_side=LONGEST_SIDE) as picture:
        png = draw_heatmap(picture, (right - left, lower - upper), found.heatmap["values"], box)
    return Response(png, media_type=MEDIA_TYPE, headers={"cache-control": "private, max-age=3600"})
