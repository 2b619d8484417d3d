"""API keys: the list, creating, rotating and revoking them. Who may not `admin` sees the own key."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import ANY, needs
from api.http.errors import recognise, status_of, validated
from api.page.forms import Fields
from api.page.screen import Screen, ScreenDep
from api.serialize import api_keys
from api.submit.keys import revoke
from db import aliases, keys, projects, registry
from db.curation import datasets
from db.models import ApiKey
from db.paging import Rows, Window
from db.session import Session
from tsukiji.errors import Conflict, NotFound, TsukijiError
from tsukiji.scopes import MEANING
from tsukiji.types import KeyCreate, KeyCreated, KeyRotate

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Word = Annotated[str | None, Query(max_length=100)]

LISTED: Final = 100
OFFERED: Final = 50
"""Data sets and models to bind a key to; the API takes any."""
MAX_PROJECTS: Final = 200
LIFETIMES: Final = {"": "never", "7": "in a week", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}
OVERLAPS: Final = {"24": "one more day", "168": "one more week", "0": "not at all: end its sessions here too"}


@router.get("/keys")
@needs(*ANY)
def show_keys(
    screen: ScreenDep,
    cursor: str | None = None,
    asked: Annotated[Word, Query(alias="revoke")] = None,
    turned: Annotated[Word, Query(alias="rotate")] = None,
) -> HTMLResponse:
    return show(screen, cursor, asked, turned)


def show(
    screen: Screen,
    cursor: str | None = None,
    asked: str | None = None,
    turned: str | None = None,
    made: KeyCreated | None = None,
    error: TsukijiError | None = None,
) -> HTMLResponse:
    """Show the keys: `asked` may be revoked and `turned` rotated once that is confirmed, `made` has a new secret."""
    administers = screen.may("admin")
    with screen.services.database.reading() as session:
        own = [] if screen.visitor.person_id else [screen.visitor]
        page = keys.page(session, Window(LISTED, cursor, ("keys",))) if administers else Rows(own, None)
        lineage = keys.lineage(session, keys.find(session, asked)) if asked and administers else []
        asked_keys = [api_keys.key(row, screen.visitor) for row in lineage]
        return screen.show(
            session,
            "keys.html",
            current="keys",
            status=201 if made else status_of(type(error)) if error else 200,
            listed=[api_keys.key(row, screen.visitor) for row in page.data],
            names=names_of(session, page.data),
            next=page.next_cursor,
            cursor=cursor,
            asked=asked_keys[0] if asked_keys else None,
            created=[key for key in asked_keys[1:] if key.revoked_at is None],
            turned=api_keys.key(keys.find(session, turned), screen.visitor) if turned and administers else None,
            made=made,
            error=error,
            scopes=MEANING,
            lifetimes=LIFETIMES,
            overlaps=OVERLAPS,
            offered=offers(session) if administers else {},
            of_project=projects_of(session) if administers and screen.visitor.several else {},
        )


def names_of(session: Session, rows: list[ApiKey]) -> dict[str, str]:
    """Return the names of the data sets and models that keys are bound to, by id; an alias is its own name."""
    ids = {one for row in rows for one in (*row.datasets, *row.models)}
    return datasets.names(session, ids) | registry.names(session, ids)


def projects_of(session: Session) -> dict[str, str]:
    """Return the names of the projects that a key can be of, by id."""
    return {row.id: row.name for row in projects.page(session, Window(MAX_PROJECTS)).data}


def offers(session: Session) -> dict[str, Any]:
    """Return what a new key can be bound to."""
    window = Window(OFFERED)
    return {
        "datasets": datasets.page(session, window).data,
        "aliases": aliases.page(session, window).data,
        "models": registry.page_models(session, window).data,
    }


@router.post("/keys")
@needs("admin", act="create_key")
def create(screen: ScreenDep, fields: Fields) -> Response:
    """Respond with the secret, which no address shows again."""
    try:
        body = validated(KeyCreate, request_of(fields), "body")
        with screen.services.database.transaction() as session:
            row, secret = keys.issue(session, body, by=screen.visitor.id)
            made = api_keys.created_key(row, screen.visitor, secret)
    except (RequestValidationError, NotFound) as error:
        return show(screen, error=recognise(error))
    return show(screen, made=made)


def request_of(fields: dict[str, str]) -> dict[str, Any]:
    """Return the request that a form makes: `scope:read`, `dataset:ds_1` and `model:production` are its boxes."""
    chosen: dict[str, list[str]] = {"scope": [], "dataset": [], "model": []}
    for name in fields:
        kind, _, word = name.partition(":")
        if word and kind in chosen:
            chosen[kind].append(word)
    request: dict[str, Any] = {f"{kind}s": words for kind, words in chosen.items()}
    request |= {"name": fields.get("name"), "expires_in_days": fields.get("expires") or None}
    return request | {"project": fields.get("project") or None}


@router.post("/keys/{key}/rotate")
@needs("admin")
def rotate_key(key: str, screen: ScreenDep, fields: Fields) -> Response:
    """Answer with the new secret itself."""
    try:
        body = validated(KeyRotate, {"overlap_hours": fields.get("overlap", "24")}, "body")
        with screen.services.database.transaction() as session:
            row, secret = keys.rotate(session, key, body.overlap_hours)
            made = api_keys.created_key(row, screen.visitor, secret)
    except (RequestValidationError, NotFound) as error:
        return show(screen, error=recognise(error))
    return show(screen, made=made)


@router.post("/keys/{key}/revoke")
@needs("admin")
def revoke_key(key: str, screen: ScreenDep, fields: Fields) -> Response:
    try:
        with screen.services.database.transaction() as session:
            revoke(session, key, screen.visitor, own="own" in fields, created="created" in fields)
    except Conflict as error:
        return show(screen, error=error)
    return RedirectResponse("/keys", 303)
