"""People who sign in by the OpenID provider: the list, their roles, removing and inviting them; and their projects."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import ANY, needs
from api.http.errors import recognise, status_of, validated
from api.http.middleware import COOKIE
from api.page.forms import Fields
from api.page.screen import Screen, ScreenDep
from api.serialize import people as serialize
from api.submit.people import change_role, invite, remove
from db import keys, people
from db.paging import Window
from tsukiji.errors import Conflict, NotFound, TsukijiError
from tsukiji.scopes import ROLES, Role
from tsukiji.types import InvitationCreate, PersonUpdate

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Word = Annotated[str | None, Query(max_length=100)]

LISTED: Final = 100
LIFETIMES: Final = {"7": "in a week", "1": "tomorrow", "30": "in 30 days", "90": "in 90 days"}
MEANING: Final[dict[Role, str]] = {
    "viewer": "sees everything, and classifies pictures",
    "labeller": "also adds, labels and deletes pictures, imports and analyses",
    "editor": "also trains, evaluates, promotes, and deletes data sets and models",
    "admin": "everything, also keys, people, webhooks and the audit log",
}


@router.get("/people")
@needs("admin")
def show_people(
    screen: ScreenDep, cursor: str | None = None, asked: Annotated[Word, Query(alias="remove")] = None
) -> HTMLResponse:
    return show(screen, cursor, asked)


def show(
    screen: Screen, cursor: str | None = None, asked: str | None = None, error: TsukijiError | None = None
) -> HTMLResponse:
    """Show people and invitations; `asked` may be removed once that is confirmed."""
    project = screen.visitor.project_id
    oidc = screen.services.settings.oidc
    with screen.services.database.reading() as session:
        page = people.page(session, project, Window(LISTED, cursor, ("people",)))
        found = people.find(session, project, asked) if asked else None
        return screen.show(
            session,
            "people.html",
            current="people",
            status=status_of(type(error)) if error else 200,
            listed=[serialize.person(row, screen.visitor) for row in page.data],
            invitations=[
                serialize.invitation(row) for row in people.invitations(session, project, Window(LISTED)).data
            ],
            next=page.next_cursor,
            cursor=cursor,
            asked=serialize.person(found, screen.visitor) if found else None,
            created=[key for key in keys.lineage(session, found[1])[1:] if key.revoked_at is None] if found else [],
            error=error,
            provider=oidc.shown_name,
            now=datetime.now(UTC),
            roles=MEANING,
            lifetimes=LIFETIMES,
        )


@router.post("/people")
@needs("admin", act="create_invitation")
def create_invitation(screen: ScreenDep, fields: Fields) -> Response:
    asked: dict[str, Any] = {"email": fields.get("email"), "role": fields.get("role", ROLES[0])}
    try:
        body = validated(InvitationCreate, asked | {"expires_in_days": fields.get("expires", "7")}, "body")
        with screen.services.database.transaction() as session:
            invite(session, body, screen.visitor, screen.services.settings.oidc)
    except (RequestValidationError, Conflict) as error:
        return show(screen, error=recognise(error))
    return RedirectResponse("/people", 303)


@router.post("/people/{person}/role")
@needs("admin", act="update_person")
def update_person(person: str, screen: ScreenDep, fields: Fields) -> Response:
    try:
        body = validated(PersonUpdate, {"role": fields.get("role")}, "body")
        with screen.services.database.transaction() as session:
            change_role(session, screen.visitor.project_id, person, body.role, screen.visitor)
    except (RequestValidationError, Conflict) as error:
        return show(screen, error=recognise(error))
    return RedirectResponse("/people", 303)


@router.post("/people/{person}/remove")
@needs("admin")
def remove_person(person: str, screen: ScreenDep, fields: Fields) -> Response:
    own, created = "own" in fields, "created" in fields
    try:
        with screen.services.database.transaction() as session:
            remove(session, screen.visitor.project_id, person, screen.visitor, own=own, created=created)
    except Conflict as error:
        return show(screen, error=error)
    return RedirectResponse("/people", 303)


@router.post("/people/invitations/{invitation}/withdraw")
@needs("admin", act="delete_invitation")
def withdraw_invitation(invitation: str, screen: ScreenDep) -> Response:
    try:
        with screen.services.database.transaction() as session:
            people.withdraw(session, screen.visitor.project_id, invitation)
    except NotFound as error:
        return show(screen, error=error)
    return RedirectResponse("/people", 303)


@router.post("/project")
@needs(*ANY, audited=False)
def switch_project(request: Request, screen: ScreenDep, fields: Fields) -> Response:
    """Go on in another project of the person who is signed in."""
    with screen.services.database.transaction() as session:
        people.switch(session, request.cookies[COOKIE], screen.visitor, fields.get("project", ""))
    return RedirectResponse("/", 303)
