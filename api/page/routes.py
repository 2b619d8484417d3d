"""The page's addresses: sign in, sign out, try a model on a picture."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.bodies import check_charset, read_form
from api.http.dependencies import ServicesDep
from api.http.errors import recognise, status_of
from api.http.idempotency import Once
from api.http.job_responses import Seen, result_of
from api.http.middleware import COOKIE
from api.http.waiting import has_ended, hold
from api.page.rendering import render
from api.serialize import records
from api.services import Services
from api.submit.batches import read_options
from api.submit.predict import find_target, read_files, start_prediction
from db import aliases, keys, registry
from db.jobs import jobs
from db.models import ApiKey
from db.paging import Window
from db.session import Session
from tsukiji.errors import BlobMissing, ImageError, Invalid, NotFound, TsukijiError
from tsukiji.jobs import TERMINAL, JobKind
from tsukiji.vision.decoding.decode import thumbnail

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

WAIT_SECONDS = 15
LISTED = 200
PICTURE_SIDE = 720


def find_visitor(request: Request, services: ServicesDep) -> ApiKey | None:
    """Return the key that signed this browser in, if one did."""
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    with services.database.reading() as session:
        key = keys.signed_in(session, token)
    if key:
        request.state.key_id = key.id
    return key


Visitor = Annotated[ApiKey | None, Depends(find_visitor)]


@router.get("/")
async def show_page(
    request: Request,
    services: ServicesDep,
    visitor: Visitor,
    prediction: Annotated[str | None, Query(max_length=40)] = None,
) -> HTMLResponse:
    """Show the sign-in, or the models and what one of them said."""
    if visitor is None:
        return render(request, "sign_in.html")
    try:
        return await services.decoding(show_models, request, services, prediction)
    except NotFound as error:
        return await run_in_threadpool(show_models, request, services, None, error)


@router.post("/")
async def classify(request: Request, services: ServicesDep, visitor: Visitor) -> Response:
    """Classify one picture for a browser without JavaScript; the answer has an address of its own."""
    if visitor is None:
        return RedirectResponse("/", 303)
    try:
        seen = await start(request, services, visitor)
    except TsukijiError as error:
        return await run_in_threadpool(show_models, request, services, None, error)
    await hold(request, services, seen.job, WAIT_SECONDS, has_ended)
    return RedirectResponse(f"/?prediction={seen.job.id}#answer", 303)


async def start(request: Request, services: Services, visitor: ApiKey) -> Seen:
    async with read_form(request, 1, {"model", "threshold", "tags"}) as sent:
        if not sent.files[0].size:
            raise Invalid("No picture was chosen.", hint="Choose one and try again.")
        options = read_options(sent)
        once = Once(None)
        target = await run_in_threadpool(find_target, services, visitor, once, options.model)
        files = await run_in_threadpool(read_files, services, sent)
    _, seen = await start_prediction(services, visitor, once, options, files, target, WAIT_SECONDS)
    return seen


def show_models(
    request: Request, services: Services, prediction: str | None, error: TsukijiError | None = None
) -> HTMLResponse:
    with services.database.reading() as session:
        context = list_models(session)
        if prediction:
            context |= describe(services, session, prediction)
    status = 200 if error is None else status_of(type(recognise(error)))
    return render(request, "try.html" if context["models"] else "empty.html", status, error=error, **context)


def list_models(session: Session) -> dict[str, Any]:
    """Return what can be chosen: aliases first, then models, newest first."""
    models = registry.page_models(session, Window(LISTED)).data
    named = aliases.page(session, Window(LISTED)).data
    return {
        "models": [records.model(model) for model in models],
        "aliases": [(alias.name, records.model(registry.find_model(session, alias.model_id))) for alias in named],
    }


def describe(services: Services, session: Session, prediction: str) -> dict[str, Any]:
    """Return what became of a prediction: its picture, and its result once it is there."""
    job = jobs.find(session, prediction, JobKind.PREDICTION)
    asked = job.request
    chosen = {"chosen": asked["model"], "threshold": asked["threshold"], "tags": asked.get("tags", False)}
    if job.status not in TERMINAL:
        return chosen | {"waiting": True}
    found = (result_of(session, job) or {"predictions": []})["predictions"]
    if not found:
        return chosen | {"failure": job.error}
    return chosen | {"result": found[0], "picture": picture(services, found[0]["image"]["sha256"])}


def picture(services: Services, sha256: str | None) -> str | None:
    """Return the picture as a `data:` address, if it is one."""
    if sha256 is None:
        return None
    try:
        small = thumbnail(services.store.read(sha256), PICTURE_SIDE, services.decode_limits)
    except (BlobMissing, ImageError):
        return None
    return "data:image/webp;base64," + base64.b64encode(small).decode()


@router.post("/sign-in")
async def sign_in(request: Request, services: ServicesDep) -> Response:
    """Exchange an API key for a cookie that scripts cannot read."""
    check_charset(request)
    async with request.form(max_files=0, max_fields=5) as form:
        secret = str(form.get("key", "")).strip()
    token = await run_in_threadpool(open_session, services, secret)
    if token is None:
        return render(request, "sign_in.html", 401, refused=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(3600 * services.settings.api.session_hours),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def open_session(services: Services, secret: str) -> str | None:
    with services.database.transaction() as session:
        key = keys.verify(session, secret)
        return keys.sign_in(session, key.id, services.settings.api.session_hours) if key else None


@router.post("/sign-out")
def sign_out(request: Request, services: ServicesDep) -> Response:
    if token := request.cookies.get(COOKIE):
        with services.database.transaction() as session:
            keys.sign_out(session, token)
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
