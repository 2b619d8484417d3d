"""Signing in by a link that works once: opening it shows a button, and only the button uses it up.

Programs that look at links before people do, such as scanners of mail and previews of chats, only open them.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.bodies import check_charset
from api.http.dependencies import OpenServices
from api.page.rendering import render
from api.page.screen import Visitor
from api.page.sign_in import begin_session, signed_in
from api.services import Services
from db import keys
from tsukiji.kernel.browser import SIGN_IN_LINK

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Token = Annotated[str, Query(alias="token", max_length=100)]
GONE: Final = 410


@router.get(SIGN_IN_LINK)
def show_link(request: Request, services: OpenServices, visitor: Visitor, token: Token = "") -> Response:
    """Ask whether to sign in; say so where the link works no more."""
    with services.database.reading() as session:
        works = keys.link_works(session, token)
    return render(request, "sign_in_link.html", token=token) if works else refuse(request, signed_in_already=visitor)


@router.post(SIGN_IN_LINK)
async def use_link(request: Request, services: OpenServices, visitor: Visitor) -> Response:
    """Sign this browser in, and use the link up."""
    check_charset(request)
    async with request.form(max_files=0, max_fields=5) as form:
        token = str(form.get("token", ""))
    cookie = await run_in_threadpool(open_session, request, services, token)
    return signed_in(request, services, cookie) if cookie else refuse(request, signed_in_already=visitor)


def open_session(request: Request, services: Services, token: str) -> str | None:
    """Use a link up; returns the token of a page session, or None where the link works no more."""
    with services.database.transaction() as session:
        key_id = keys.use_link(session, token)
        key = keys.find(session, key_id) if key_id else None
    return begin_session(request, services, key) if key else None


def refuse(request: Request, *, signed_in_already: object) -> Response:
    """Say what to do; with a session, as after a second click, redirect to the page."""
    return RedirectResponse("/", 303) if signed_in_already else render(request, "sign_in_link.html", GONE, token=None)
