"""The service itself: version, limits, health, error codes."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import JSONResponse, PlainTextResponse

from api.http.access import ANY, needs
from api.http.dependencies import OpenServices, Reading, ServicesDep, bearer, cookie, find_caller
from api.http.errors import NotReady, catalogue, status_of
from api.http.paging import MAX_LIMIT
from api.http.routing import Router
from api.page.rendering import render
from api.services import MAX_HOLDS
from db.jobs import workers
from tsukiji import __version__
from tsukiji.errors import NotFound, TsukijiError
from tsukiji.jobs import PRESENT_SECONDS
from tsukiji.types import Info, WorkerInfo

router = Router(tags=["service"])
health = APIRouter(tags=["health"])

FEATURES = [
    "datasets",
    "uploads",
    "imports",
    "trainings",
    "models",
    "evaluations",
    "batches",
    "predict",
    "events",
    "wait",
]


@router.get("/info")
@needs(*ANY)
def get_info(session: Reading) -> Info:
    """Version, features and workers."""
    present = workers.present(session, PRESENT_SECONDS)
    listed = [
        WorkerInfo(
            queue=row.queue,
            worker=row.worker,
            device=row.device,
            version=row.version,
            seen_at=row.seen_at,
            weights=row.weights,
            engines=row.engines,
        )
        for row in present
    ]
    return Info(version=__version__, features=FEATURES, workers=listed)


@router.get("/limits")
@needs(*ANY)
def get_limits(services: ServicesDep) -> dict[str, float]:
    """Every limit: bytes, pixels, files, images, seconds."""
    settings = services.settings
    api = settings.api
    extra = {
        "page_items": MAX_LIMIT,
        "wait_seconds": api.max_wait_seconds,
        "held_requests": MAX_HOLDS,
        "streams": api.streams,
        "connections": api.connections,
        "head_seconds": api.head_seconds,
        "body_seconds": api.body_seconds,
    }
    return {**settings.limits.model_dump(), **extra}


@health.get("/livez")
@health.get("/healthz", include_in_schema=False)
async def get_live() -> dict[str, str]:  # async: needs no thread, which might be busy
    """Liveness: is the process running? Checks nothing else."""
    return {"status": "ok"}


@health.get("/readyz")
def get_ready(services: OpenServices) -> Response:
    """Readiness: can requests be served? An unreachable broker is reported, but only delays work."""
    found = {
        "database": state_of(services.database.check),
        "store": state_of(services.store.check),
        "broker": state_of(services.notifier.check),
    }
    ready = found["database"] == found["store"] == "ok"
    body = {"status": "ready" if ready else "unready", "checks": found}
    return JSONResponse(body, 200 if ready else status_of(NotReady), headers={} if ready else {"retry-after": "2"})


def state_of(check: Callable[[], object]) -> str:
    """Return "ok", or a word for what is wrong; addresses and passwords of servers stay in the log."""
    try:
        check()
    except TsukijiError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - a check may fail in any way, and must be told, not raised
        return type(error).__name__
    return "ok"


def check_reader(
    request: Request,
    services: OpenServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    token: Annotated[str | None, Security(cookie)],
) -> None:
    """Raise Unauthorized unless a key asks, or none is needed."""
    if not services.settings.metrics.public:
        find_caller(request, services, credentials, token)


@health.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(check_reader)])
@needs("read", bound=False, whole=True)
def get_metrics(services: OpenServices) -> Response:
    """Metrics for Prometheus; with an API key, unless `TSUKIJI_METRICS_PUBLIC`."""
    return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@health.get("/problems/{code}", response_class=Response)
def get_problem(code: str, request: Request) -> Response:
    """Explain an error code and what to do, as a page or, by Accept, as JSON."""
    kind = catalogue().get(code)
    if kind is None:
        raise NotFound(f"There is no error code {code!r}.")
    facts: dict[str, Any] = {"code": code, "title": kind.title, "hint": kind.hint, "status": status_of(kind)}
    if "text/html" in request.headers.get("accept", ""):
        return render(request, "problem.html", problem=facts)
    return JSONResponse({"type": f"/problems/{code}", **facts, "retriable": kind.retriable})
