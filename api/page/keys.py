"""API keys: the list, creating and revoking them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.errors import recognise, status_of, validated
from api.page.forms import Fields
from api.page.screen import Screen, ScreenDep
from api.serialize import api_keys
from api.submit.keys import revoke
from db import keys
from db.paging import Window
from tsukiji.errors import Conflict, TsukijiError
from tsukiji.types import KeyCreate, KeyCreated

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 100


@router.get("/keys")
def show_keys(
    screen: ScreenDep, cursor: str | None = None, asked: Annotated[str | None, Query(alias="revoke")] = None
) -> HTMLResponse:
    return show(screen, cursor, asked)


def show(
    screen: Screen,
    cursor: str | None = None,
    asked: str | None = None,
    made: KeyCreated | None = None,
    error: TsukijiError | None = None,
) -> HTMLResponse:
    """Show the keys; `asked`: to confirm the revocation of this one; `made`: a new one."""
    with screen.services.database.reading() as session:
        page = keys.page(session, Window(LISTED, cursor, ("keys",)))
        asked_keys = [api_keys.key(row, screen.visitor) for row in keys.lineage(session, asked)] if asked else []
        return screen.show(
            session,
            "keys.html",
            current="keys",
            status=201 if made else status_of(type(error)) if error else 200,
            listed=[api_keys.key(row, screen.visitor) for row in page.data],
            next=page.next_cursor,
            cursor=cursor,
            asked=asked_keys[0] if asked_keys else None,
            created=[key for key in asked_keys[1:] if key.revoked_at is None],
            made=made,
            error=error,
        )


@router.post("/keys")
def create(screen: ScreenDep, fields: Fields) -> Response:
    """Respond with the secret, which no address shows again."""
    try:
        body = validated(KeyCreate, fields, "body")
    except RequestValidationError as error:
        return show(screen, error=recognise(error))
    with screen.services.database.transaction() as session:
        row, secret = keys.create(session, body.name, by=screen.visitor.id)
        made = api_keys.created_key(row, screen.visitor, secret)
    return show(screen, made=made)


@router.post("/keys/{key}/revoke")
def revoke_key(key: str, screen: ScreenDep, fields: Fields) -> Response:
    try:
        with screen.services.database.transaction() as session:
            revoke(session, key, screen.visitor, own="own" in fields, created="created" in fields)
    except Conflict as error:
        return show(screen, error=error)
    return RedirectResponse("/keys", 303)
