"""Webhooks: the list, creating one, and one with its deliveries."""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.errors import recognise, status_of, validated
from api.page.forms import Fields
from api.page.screen import Screen, ScreenDep
from api.serialize import webhooks as records
from api.submit import webhooks as submit
from db import webhooks
from db.paging import Window
from db.session import Session
from tsukiji.errors import Invalid, TsukijiError
from tsukiji.types import WebhookCreate, WebhookCreated, WebhookUpdate

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 50
GROUPS: Final = {
    "training.*": "trainings end",
    "batch.*": "batches end",
    "evaluation.*": "evaluations end",
    "import.*": "imports end",
    "analysis.*": "analyses end",
    "suggestion.*": "suggestions end",
    "export.*": "exports end",
    "model.*": "a model is promoted",
    "storage.*": "the store crosses its budget",
}
"""Patterns that the form offers, as checkboxes."""


@router.get("/webhooks")
@needs("admin")
def show_webhooks(screen: ScreenDep, cursor: str | None = None) -> HTMLResponse:
    return show_list(screen, cursor)


def show_list(screen: Screen, cursor: str | None = None, error: TsukijiError | None = None) -> HTMLResponse:
    with screen.services.database.reading() as session:
        page = webhooks.page(session, Window(LISTED, cursor, ("webhooks",)))
        return screen.show(
            session,
            "webhooks.html",
            current="webhooks",
            status=status_of(type(error)) if error else 200,
            listed=[records.webhook(row) for row in page.data],
            next=page.next_cursor,
            cursor=cursor,
            groups=GROUPS,
            error=error,
        )


@router.post("/webhooks")
@needs("admin")
def create(screen: ScreenDep, fields: Fields) -> Response:
    """Respond with the secret, which no address shows again."""
    asked = {name: fields[name] for name in ("url", "description") if name in fields}
    events = [pattern for pattern in GROUPS if pattern in fields] or ["*"]
    try:
        body = validated(WebhookCreate, asked | {"events": events}, "body")
        with screen.services.database.transaction() as session:
            made = records.created_webhook(submit.create(session, screen.services, body, screen.visitor.id))
    except (RequestValidationError, TsukijiError) as error:
        return show_list(screen, error=recognise(error))
    return show_one(screen, made.id, made=made)


@router.get("/webhooks/{webhook}")
@needs("admin")
def show_webhook(webhook: str, screen: ScreenDep, cursor: str | None = None, delete: bool = False) -> HTMLResponse:
    return show_one(screen, webhook, cursor, asked=delete)


def show_one(
    screen: Screen,
    webhook: str,
    cursor: str | None = None,
    *,
    asked: bool = False,
    made: WebhookCreated | None = None,
    error: TsukijiError | None = None,
) -> HTMLResponse:
    """Show a webhook; `asked`: to confirm its deletion; `made` has a new secret."""
    with screen.services.database.reading() as session:
        page = webhooks.page_deliveries(session, webhook, Window(LISTED, cursor, ("deliveries", webhook)))
        return screen.show(
            session,
            "webhook.html",
            current="webhooks",
            status=status_of(type(error)) if error else 200,
            webhook=records.webhook(webhooks.find(session, webhook)),
            deliveries=[records.delivery(row) for row in page.data],
            next=page.next_cursor,
            cursor=cursor,
            asked=asked,
            made=made,
            error=error,
        )


@router.post("/webhooks/{webhook}")
@needs("admin")
def act(webhook: str, screen: ScreenDep, fields: Fields) -> Response:
    """Do what the field `act` names; deletion redirects to the list."""
    name = fields.get("act", "")
    if name not in ACTS:
        raise Invalid(f"There is no act {name[:100]!r}.", hint=f"One of {', '.join(ACTS)}.")
    try:
        with screen.services.database.transaction() as session:
            made = ACTS[name](session, screen, webhook, fields)
    except TsukijiError as error:
        if name == "delete":
            raise
        return show_one(screen, webhook, error=error)
    if made is not None:
        return show_one(screen, webhook, made=made)
    return RedirectResponse("/webhooks" if name == "delete" else f"/webhooks/{webhook}", 303)


def test(session: Session, _screen: Screen, webhook: str, _fields: dict[str, str]) -> None:
    submit.test(session, webhook)


def rotate(session: Session, _screen: Screen, webhook: str, _fields: dict[str, str]) -> WebhookCreated:
    return records.created_webhook(webhooks.rotate(session, webhook, 24))


def replay(session: Session, _screen: Screen, webhook: str, fields: dict[str, str]) -> None:
    submit.replay(session, webhook, fields.get("delivery"))


def enable(session: Session, screen: Screen, webhook: str, _fields: dict[str, str]) -> None:
    submit.update(session, screen.services, webhook, WebhookUpdate(enabled=True))


def disable(session: Session, screen: Screen, webhook: str, _fields: dict[str, str]) -> None:
    submit.update(session, screen.services, webhook, WebhookUpdate(enabled=False))


def delete(session: Session, _screen: Screen, webhook: str, _fields: dict[str, str]) -> None:
    webhooks.remove(session, webhook)


ACTS: Final[dict[str, Callable[[Session, Screen, str, dict[str, str]], WebhookCreated | None]]] = {
    "test": test,
    "rotate": rotate,
    "replay": replay,
    "enable": enable,
    "disable": disable,
    "delete": delete,
}
