"""Predictions: a few images, synchronously if workers are fast enough."""

from typing import Annotated, Final

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.access import needs
from api.http.bodies import media_type, read_form
from api.http.dependencies import Caller, ServicesDep
from api.http.errors import validated
from api.http.idempotency import OnceDep
from api.http.job_responses import answer_poll, hold_seen, respond
from api.http.routing import Router
from api.http.schemas import BINARY, FILES, OPTIONS, body, form
from api.http.waiting import Prefer, has_ended, parse_wait
from api.services import Services
from api.submit.batches import FIELDS, read_options
from api.submit.endings import delete_results
from api.submit.predict import File, answer_unrecorded, find_target, read_files, start_prediction
from tsukiji.errors import NotAnImage, UnsupportedFormat, UnsupportedMediaType
from tsukiji.jobs import JobKind
from tsukiji.types import BatchOptions, Job, Predictions
from tsukiji.vision.decoding.formats import sniff

router = Router(tags=["predict"])

WAIT_SECONDS = 10
UNRECORDED_DAYS: Final = 1 / 24
"""Retention of a prediction that is not to be recorded, but had to be queued."""
Record = Annotated[bool, Query(description="Store pictures and results, as a job.")]


@router.post(
    "/models/{model}/predict",
    response_model=Job | Predictions,
    responses={202: {"model": Job, "description": "Not ready yet: poll the job"}},
    openapi_extra=body(multipart=form(["files"], files=FILES, **OPTIONS), image=BINARY),
)
@needs("predict", audited=False)
async def predict(
    model: str,
    request: Request,
    services: ServicesDep,
    caller: Caller,
    once: OnceDep,
    record: Record = True,
    prefer: Prefer = None,
) -> Response:
    """Classify 1 to 16 images: multipart `files`, or one picture as the raw body (then with options in the query).

    200 with `result.predictions`; 202 if that takes longer than `Prefer: wait=N` (default 10).

    With `record=false`, 200 with `predictions`, faster, and neither pictures nor results are stored. If no worker has
    the model in memory, or tags or a heatmap are requested, the answer is a job all the same, whose pictures and
    results are deleted after an hour.
    """
    seconds = parse_wait(prefer, services.settings.api.max_wait_seconds, WAIT_SECONDS)
    target = await run_in_threadpool(find_target, services, caller, once, model, record=record)
    options, files = await receive(request, services, model)
    if not record:
        if found := await answer_unrecorded(services, caller, options, files, target, seconds or 0):
            return Response(found.model_dump_json(), media_type="application/json")
        options = options.model_copy(update={"retention_days": UNRECORDED_DAYS})
    made, seen = await start_prediction(services, caller, once, options, files, target, seconds or 0)
    seen, waited = await hold_seen(request, services, seen, seconds, has_ended)
    headers = made.headers | ({"preference-applied": f"wait={seconds:g}"} if waited and prefer else {})
    return respond(services, seen, 200 if has_ended(seen.job) else 202, headers)


async def receive(request: Request, services: Services, model: str) -> tuple[BatchOptions, list[File]]:
    kind = media_type(request)
    if kind != "multipart/form-data":
        data = await request.body()
        if not kind.startswith("image/") and not is_picture(data):
            raise UnsupportedMediaType(f"{kind!r}: send multipart/form-data, or a picture with its image/* type.")
        given = {name: value for name, value in request.query_params.items() if name != "record"}
        options = validated(BatchOptions, given | {"model": model}, "query")
        return options, [File("image", data)]
    async with read_form(request, services.settings.limits.predict_images, FIELDS - {"model"}) as sent:
        for name in (FIELDS - {"model"}) & request.query_params.keys():
            sent.fields.setdefault(name, [request.query_params[name]])
        options = read_options(sent, model=model)
        return options, await run_in_threadpool(read_files, services, sent)


def is_picture(data: bytes) -> bool:
    """Return whether bytes are of a picture format, supported or not."""
    try:
        sniff(data)
    except NotAnImage:
        return False
    except UnsupportedFormat:
        return True
    return True


@router.delete("/predictions/{prediction}", status_code=204)
@needs("predict", "train")
def delete_prediction(prediction: str, services: ServicesDep, caller: Caller) -> None:
    """Delete the results and pictures of a finished prediction. The job itself is kept."""
    with services.database.transaction() as session:
        delete_results(session, caller, prediction, JobKind.PREDICTION)


@router.get("/predictions/{prediction}", response_model=Job)
@needs("read", "predict")
async def get_prediction(prediction: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Poll a prediction that took longer than its request waited."""
    return await answer_poll(request, services, prediction, JobKind.PREDICTION)
