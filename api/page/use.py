"""The Use screen: predictions for a few pictures, and the same request for programs."""

import json
import shlex
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.bodies import Form, read_form
from api.http.errors import recognise, status_of
from api.http.idempotency import Once
from api.http.job_responses import result_of
from api.http.waiting import has_ended, hold
from api.page.screen import Screen, ScreenDep
from api.serialize import job_records, records
from api.submit.batches import read_options
from api.submit.predict import find_target, read_files, start_prediction
from db import aliases, registry
from db.curation import datasets
from db.jobs import jobs
from db.jobs.requests import BatchRequest
from db.models import Job, Model
from db.paging import Window
from db.predictions import results
from db.session import Session
from tsukiji.errors import Invalid, NotFound, ResultsDeleted, TsukijiError
from tsukiji.jobs import TERMINAL, JobKind
from tsukiji.types.batches import MIN_KNOWN

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

WAIT_SECONDS: Final = 15
LISTED: Final = 200
FIELDS: Final = {"model", "threshold", "tags", "heatmap"}
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/use")
@needs("read", "predict")
def show_use(
    screen: ScreenDep,
    model: Word = None,
    prediction: Annotated[str | None, Query(max_length=40)] = None,
    item: Annotated[int | None, Query(ge=0)] = None,
    code: Literal["curl", "Python", "CLI"] = "curl",
) -> HTMLResponse:
    """Show the models, and a prediction of one of them."""
    return show(screen, model, prediction, item=item, code=code)


@router.post("/use")
@needs("predict", audited=False)
async def classify(screen: ScreenDep) -> Response:
    """Classify pictures for a browser without script; the result has its own address."""
    model = None
    try:
        async with read_form(screen.request, screen.services.settings.limits.request_files, FIELDS) as form:
            model = form.one("model")
            form.files[:] = [file for file in form.files if file.size]  # the field of the camera may be empty
            job = await start(screen, form)
    except TsukijiError as error:
        return await run_in_threadpool(show, screen, model, None, error)
    await hold(screen.request, screen.services, job, WAIT_SECONDS, has_ended)
    return RedirectResponse(f"/use?prediction={job.id}#answer", 303)


async def start(screen: Screen, form: Form) -> Job:
    services, most = screen.services, screen.services.settings.limits.predict_images
    if not form.files:
        raise Invalid("No picture was chosen.", hint="Choose one and try again.")
    if len(form.files) > most:
        raise Invalid(f"At most {most} pictures are answered at once.", hint="For more of them start a batch.")
    options = read_options(form)
    once = Once(None)
    target = await run_in_threadpool(find_target, services, screen.visitor, once, options.model)
    files = await run_in_threadpool(read_files, services, form)
    _, seen = await start_prediction(services, screen.visitor, once, options, files, target, WAIT_SECONDS)
    return seen.job


def show(
    screen: Screen,
    model: str | None,
    prediction: str | None,
    error: TsukijiError | None = None,
    *,
    item: int | None = None,
    code: str = "curl",
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        offered = offered_models(session)
        context: dict[str, Any] = {"chosen": model, "threshold": 0.0}
        try:
            if model:
                found = registry.find_model(session, model)
                context["chosen"] = model if model in dict(offered["aliases"]) else found.id  # it may be a name
            if prediction:
                context |= describe(session, prediction, item)
        except (NotFound, ResultsDeleted) as problem:
            error = error or problem
        status = 200 if error is None else status_of(type(recognise(error)))
        context["chosen"] = chosen = context["chosen"] or first_of(offered)
        address = str(screen.request.base_url).rstrip("/")
        context |= {"code": code, "calls": calls(address, chosen, context.get("asked")) if chosen else {}}
        context["most"] = screen.services.settings.limits.predict_images
        context["largest"] = screen.services.settings.limits.image_bytes
        return screen.show(session, "use.html", current="use", status=status, error=error, **offered, **context)


def offered_models(session: Session) -> dict[str, Any]:
    """Return the choices: aliases, then models, newest first."""
    models = registry.page_models(session, Window(LISTED)).data
    named = aliases.page(session, Window(LISTED)).data
    return {
        "models": [records.model(model) for model in models],
        "aliases": [(alias.name, records.model(registry.find_model(session, alias.model_id))) for alias in named],
    }


def first_of(offered: dict[str, Any]) -> str | None:
    if offered["aliases"]:
        return str(offered["aliases"][0][0])
    return offered["models"][0].id if offered["models"] else None


def describe(session: Session, prediction: str, item: int | None) -> dict[str, Any]:
    """Return a prediction with its pictures, or its state while it waits.

    Raises:
        NotFound, ResultsDeleted
    """
    job = jobs.find(session, prediction, JobKind.PREDICTION)
    results.check_kept(job)
    asked = BatchRequest.of(job)
    model = session.get(Model, asked.model)
    context: dict[str, Any] = {
        "job": job_records.job(job),
        "asked": asked,
        "chosen": chosen_name(session, asked.model) if model else None,
        "gone": model is None,
        "threshold": asked.threshold,
        "bound": MIN_KNOWN if asked.min_known is None else asked.min_known,
    }
    context |= teaching(session, model, asked)
    if job.status not in TERMINAL:
        return context | {"waiting": True}
    found = (result_of(session, job) or {"predictions": []})["predictions"]
    if not found:
        return context | {"failure": job.error}
    if len(found) > 1 and item is None:
        return context | {"several": found}
    if item is not None and item >= len(found):
        raise NotFound(f"{job.id} has no picture {item}.")
    return context | {"result": found[item or 0], "others": len(found) - 1}


def chosen_name(session: Session, model_id: str) -> str:
    """Return an alias of the model if it has one, as programs would use it."""
    return next(iter(registry.aliases_of(session, [model_id])[model_id]), model_id)


def teaching(session: Session, model: Model | None, asked: BatchRequest) -> dict[str, Any]:
    """Return the data set for corrections: the model's own, or one to be chosen."""
    own = model.dataset_id if model else None
    return {
        "own": datasets.find(session, own) if own else None,
        "labels": asked.label_names,
    }


def calls(address: str, model: str, asked: BatchRequest | None) -> dict[str, str]:
    """Return the same request for curl, Python and the command line, with the options of the last one."""
    options: dict[str, Any] = {}
    if asked:
        wanted = {"threshold": asked.threshold or None, "tags": asked.tags or None, "heatmap": asked.heatmap}
        options = {name: value for name, value in wanted.items() if value is not None}
    fields = "".join(f" -F {name}={shlex.quote(str(value).lower())}" for name, value in options.items())
    arguments = "".join(f", {name}={value!r}" for name, value in options.items())
    flags = "".join(f" --{name}" + ("" if value is True else f" {value}") for name, value in options.items())
    place = f"{address}/v1/models/{quote(model, safe='')}/predict"
    return {
        "curl": f'curl -H "Authorization: Bearer $TSUKIJI_API_KEY" -F files=@picture.jpg{fields} \\\n  {place}',
        "Python": f"from tsukiji import Client\n\n"
        f"client = Client({json.dumps(address)})  # and the key from TSUKIJI_API_KEY\n"
        f'prediction = client.predict("picture.jpg", {json.dumps(model)}{arguments})\n'
        "print(prediction.decision, prediction.scores)",
        "CLI": f"export TSUKIJI_URL={address}\ntsukiji predict picture.jpg --model {shlex.quote(model)}{flags}",
    }
