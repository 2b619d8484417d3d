"""Signing in with a key, and out."""

import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import actor_of
from api.http.bodies import check_charset
from api.http.dependencies import OpenServices
from api.http.middleware import COOKIE
from api.page.rendering import render
from api.page.screen import Visitor
from api.services import Services
from db import keys
from db.models import ApiKey

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Next = Annotated[str, Query(alias="next", max_length=2000)]


def own_path(wanted: str) -> str:
    """Return the path to go to after signing in; never an address of another site.

    Browsers take a backslash for a slash, and leave out tabs and line breaks: `/<tab>/evil.example` leads there.
    """
    return wanted if re.fullmatch(r"/(?![/\\])[^\x00-\x1f\x7f]*", wanted) else "/"


def sign_in_address(wanted: str) -> str:
    return "/sign-in" if wanted == "/" else "/sign-in?" + urlencode({"next": wanted})


@router.get("/sign-in")
def show_sign_in(
    request: Request, services: OpenServices, visitor: Visitor, wanted: Next = "/", out: bool = False
) -> Response:
    if visitor:
        return RedirectResponse(own_path(wanted), 303)
    return render_sign_in(request, services, wanted=own_path(wanted), out=out)


def render_sign_in(request: Request, services: Services, status: int = 200, **context: Any) -> Response:
    """Show the ways to sign in: the provider, if there is one, and a key."""
    return render(request, "sign_in.html", status, provider=services.settings.oidc.shown_name, **context)


@router.post("/sign-in")
async def sign_in(request: Request, services: OpenServices) -> Response:
    """Exchange an API key for a cookie that scripts cannot read."""
    check_charset(request)
    async with request.form(max_files=0, max_fields=5) as form:
        secret, wanted = str(form.get("key", "")).strip(), own_path(str(form.get("next", "/")))
    token = await run_in_threadpool(open_session, request, services, secret)
    if token is None:
        return render_sign_in(request, services, 401, refused=True, wanted=wanted)
    return signed_in(request, services, token, wanted)


def signed_in(request: Request, services: Services, token: str, wanted: str = "/") -> Response:
    """Return the redirect that sets the cookie."""
    response = RedirectResponse(wanted, 303)
    set_session(request, response, token, services.settings.api.session_hours)
    return response


def set_session(request: Request, response: Response, token: str, hours: float) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(3600 * hours),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def open_session(request: Request, services: Services, secret: str) -> str | None:
    with services.database.reading() as session:
        key = keys.verify(session, secret)
    return begin_session(request, services, key) if key else None


def begin_session(request: Request, services: Services, key: ApiKey) -> str:
    """Open a session for a key, which the audit log tells; returns the cookie's token."""
    theirs = services.of_caller(key, actor_of(request, key, "sign_in"))
    with theirs.database.transaction() as session:
        return keys.sign_in(session, key.id, services.settings.api.session_hours)


@router.post("/sign-out")
def sign_out(request: Request, services: OpenServices, visitor: Visitor) -> Response:
    if token := request.cookies.get(COOKIE):
        with services.database.transaction() as session:
            keys.sign_out(session, token)
    response = RedirectResponse("/sign-in?out=true" if visitor and visitor.person_id else "/sign-in", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
