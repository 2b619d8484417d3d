"""Signing in by the OpenID provider: the way there, and the way back.

Between the two, the browser keeps a cookie that survives coming from another site (`SameSite=Lax`). The session's own
cookie does not (`Strict`): so the way back ends in a page, which then leads to the screen that was asked for.
"""

import base64
import json
import time
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import actor_of
from api.http.dependencies import OpenServices
from api.http.errors import status_of
from api.page.rendering import render
from api.page.screen import Visitor
from api.page.sign_in import Next, own_path, render_sign_in, set_session
from api.services import Services
from db import keys, people
from db.audit import Actor
from db.models import ApiKey
from db.people import Identity
from tsukiji.errors import ClockSkew, NotInvited, SignInError, SignInInterrupted, TsukijiError
from tsukiji.kernel.log import identify

log = structlog.get_logger()
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

COOKIE: Final = "tsukiji_sign_in"
AWAY: Final = "/sign-in/provider"
BACK: Final = "/sign-in/provider/callback"
OUT: Final = "/sign-in/provider/out"
ATTEMPT_SECONDS: Final = 900
"""How long someone may take at the provider."""
LONGEST_PATH: Final = 1000
"""Of the address asked for: a cookie has room for 4,096 bytes in all."""
Choose = Annotated[bool, Query(description="Let the provider ask which account to use.")]


@router.get(AWAY)
async def leave(request: Request, services: OpenServices, wanted: Next = "/", choose: Choose = False) -> Response:
    """Send the browser to the provider."""
    wanted = own_path(wanted)
    wanted = wanted if len(wanted) <= LONGEST_PATH else "/"
    try:
        attempt, address = await services.signing_in(lambda: services.provider.begin(redirect_of(request), choose))
    except TsukijiError as error:
        return explain(request, services, error, wanted)
    response = RedirectResponse(address, 303, headers={"cache-control": "no-store"})
    kept = json.dumps(vars(attempt) | {"next": wanted})
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(kept.encode()).decode().rstrip("="),
        max_age=ATTEMPT_SECONDS,
        path=AWAY,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get(BACK)
async def come_back(request: Request, services: OpenServices, visitor: Visitor) -> Response:
    """Sign in the person who has come back, as the provider says; who has done so already, and goes back, is led on."""
    kept = read_cookie(request)
    wanted = own_path(str(kept.get("next", "/")))
    try:
        response = await services.signing_in(finish, request, services, kept, wanted)
    except TsukijiError as error:
        led_on = visitor is not None and isinstance(error, SignInInterrupted)
        response = RedirectResponse("/", 303) if led_on else explain(request, services, error, wanted)
    response.delete_cookie(COOKIE, path=AWAY, httponly=True, samesite="lax")
    return response


@router.get(OUT)
async def sign_out_there(request: Request, services: OpenServices) -> Response:
    """Send the browser to where the provider ends its own session."""
    try:
        address = await services.signing_in(way_out, services)
    except TsukijiError as error:
        return explain(request, services, error, "/")
    return RedirectResponse(address, 303, headers={"cache-control": "no-store"})


def way_out(services: Services) -> str:  # in a thread: the provider may have to be asked, and its library imported
    return services.provider.way_out()


def read_cookie(request: Request) -> dict[str, Any]:
    """Return what the browser kept; empty if it kept nothing, or nothing of ours."""
    try:
        kept = json.loads(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "") + "=="))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def finish(request: Request, services: Services, kept: dict[str, Any], wanted: str) -> Response:
    """Open a session, as long as the provider and the settings allow.

    Raises:
        SignInError: one of its kinds.
    """
    found = services.provider.finish(kept, redirect_of(request), dict(request.query_params))
    hours = services.settings.api.session_hours
    if found.session_ends is not None:
        hours = min(hours, (found.session_ends - time.time()) / 3600)
        if hours <= 0:
            raise ClockSkew("The provider's session has ended already (`session_expiry`).")
    key = admit(request, services, found.identity)
    identify(key_id=key.id)
    with services.of_caller(key, actor_of(request, key, "sign_in", safe=False)).database.transaction() as session:
        people.note_sign_in(session, key)
        token = keys.sign_in(session, key.id, hours)
    response = render(request, "signed_in.html", wanted=wanted, person=key.name)
    set_session(request, response, token, hours)
    return response


def admit(request: Request, services: Services, who: Identity) -> ApiKey:
    """Return the key of a person; the audit log tells of new ones and of roles that changed.

    Raises:
        NotInvited, ClaimMissing, EmailUnverified
    """
    client = request.client.host if request.client else None
    actor = Actor(None, who.shown, "admit_person", f"GET {BACK}", client, getattr(request.state, "request_id", None))
    with services.database.seen_by(None, actor).transaction() as session:
        found = people.admit(session, who)
    if isinstance(found, SignInError):
        raise found
    return found


def redirect_of(request: Request) -> str:
    """Return where the provider sends people back: the host was checked, and the scheme is that of a declared proxy."""
    return f"{request.url.scheme}://{request.url.netloc}{BACK}"


def explain(request: Request, services: Services, error: TsukijiError, wanted: str) -> Response:
    """Show what went wrong above the ways to sign in."""
    request.state.problem = error.code
    log.warning("sign_in_refused", code=error.code, detail=error.detail)
    other = isinstance(error, NotInvited)
    return render_sign_in(request, services, status_of(type(error)), error=error, wanted=wanted, choose=other)
