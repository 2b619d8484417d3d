"""The FastAPI application; `python -m api` serves it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from api.http import errors
from api.http.dependencies import find_caller
from api.http.middleware import QUIET, BodyLimit, Front, Gate, check_origin, check_text, host_check
from api.http.schemas import RESPONSES, Documented
from api.page import docs
from api.page import routes as page
from api.page.errors import show_error
from api.routes import (
    aliases,
    analyses,
    audit,
    batches,
    cluster,
    datasets,
    evaluations,
    events,
    exports,
    heatmaps,
    images,
    imports,
    jobs,
    keys,
    models,
    people,
    predict,
    projects,
    result_pictures,
    revisions,
    search,
    service,
    similar,
    snapshots,
    suggestions,
    trainings,
    uploads,
    webhooks,
)
from api.services import Services, open_services
from tsukiji import __doc__ as summary
from tsukiji import __version__
from tsukiji.kernel import tracing
from tsukiji.kernel.settings import Settings

DESCRIPTION = """
Start long work with POST: the answer is `202` with the job and its address. Poll it as `Retry-After` says, or hold the
poll with `Prefer: wait=N`, or follow `/v1/jobs/{id}/events`. Errors are `application/problem+json` with a stable
`code` and a `hint`. Every POST that creates something accepts an `Idempotency-Key`.
"""
NOUNS = (  # FastAPI tries routers in order, then their routes: the most frequently used come first
    batches,
    predict,
    jobs,
    trainings,
    datasets,
    images,
    revisions,
    snapshots,
    uploads,
    imports,
    analyses,
    suggestions,
    similar,
    models,
    exports,
    aliases,
    evaluations,
    events,
    cluster,
    heatmaps,
    keys,
    people,
    projects,
    webhooks,
    search,
    result_pictures,
    audit,
    service,
)
CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": ["authorization", "content-digest", "idempotency-key", "if-none-match", "last-event-id", "prefer"],
    "expose_headers": ["etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
}
"""With a key in the header: no cookie is taken from another origin."""
TAGS = (
    "datasets",
    "images",
    "uploads",
    "imports",
    "analyses",
    "suggestions",
    "trainings",
    "models",
    "aliases",
    "evaluations",
    "batches",
    "predict",
    "jobs",
    "keys",
    "people",
    "projects",
    "audit",
    "webhooks",
    "service",
    "health",
)
"""In the order of the documentation."""


def create_app(settings: Settings, make_services: Callable[[Settings], Services] = open_services) -> FastAPI:
    """Return the application; database, store and notifier are opened at startup, and closed at shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = app.state.services = make_services(settings)
        yield
        services.stopping.set()
        services.predict_client.close()
        services.database.close()

    app = Documented(
        title="Tsukiji",
        version=__version__,
        summary=summary,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=name_operation,
        responses=RESPONSES,
        openapi_tags=[{"name": tag} for tag in TAGS],
    )
    for noun in NOUNS:  # separately: FastAPI searches included routers again at each level of nesting
        app.include_router(noun.router, prefix="/v1", dependencies=[Depends(find_caller)])
    app.include_router(service.health)
    for screen in page.SCREENS:
        app.include_router(screen.router)
    app.state.page_routes = [route for screen in page.SCREENS for route in screen.router.routes]
    docs.install(app)
    errors.install(app, show_error)
    app.add_middleware(BodyLimit, limits=settings.limits, seconds=settings.api.body_seconds)
    app.add_middleware(Gate, check=check_text)
    app.add_middleware(Gate, check=check_origin)
    app.add_middleware(Gate, check=host_check(settings.api.allowed_hosts))
    if settings.api.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.api.cors_origins, **CROSS_ORIGIN)
    if tracing.is_on():
        tracing.instrument(app, sorted(QUIET))
    app.add_middleware(Front)  # the last one added is the outermost
    return app


def name_operation(route: APIRoute) -> str:
    return route.name
