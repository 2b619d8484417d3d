"""Projects: the list, creating, renaming and deleting them, and their quotas. Administrators of one see that one."""

from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.errors import recognise, status_of, validated
from api.page.forms import Fields
from api.page.screen import Screen, ScreenDep
from api.serialize.projects import project as record
from api.submit.projects import remove, update
from db import projects
from db.paging import Window
from db.views import administers_service
from tsukiji.errors import Conflict, TsukijiError
from tsukiji.types import ProjectCreate, ProjectUpdate

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Word = Annotated[str | None, Query(max_length=200)]

LISTED: Final = 100
QUOTAS: Final = ("requests_per_minute", "pictures_per_day")
GIGABYTE: Final = 10**9


@router.get("/projects")
@needs("admin")
def show_projects(
    screen: ScreenDep,
    cursor: str | None = None,
    asked: Annotated[Word, Query(alias="change")] = None,
) -> HTMLResponse:
    return show(screen, cursor, asked)


def show(
    screen: Screen, cursor: str | None = None, asked: str | None = None, error: TsukijiError | None = None
) -> HTMLResponse:
    """Show the projects; one that is `asked` for with the forms that change it."""
    with screen.services.database.reading() as session:
        page = projects.page(session, Window(LISTED, cursor, ("projects",)))
        return screen.show(
            session,
            "projects.html",
            current="projects",
            status=status_of(type(error)) if error else 200,
            listed=[record(row) for row in page.data],
            asked=record(projects.find(session, asked)) if asked else None,
            administers=administers_service(screen.visitor),
            next=page.next_cursor,
            cursor=cursor,
            error=error,
        )


def request_of(fields: dict[str, str]) -> dict[str, Any]:
    quotas: dict[str, Any] = {name: fields.get(name) or None for name in QUOTAS}
    if gigabytes := fields.get("max_stored_gb"):
        with suppress(ValueError, OverflowError):  # the type says what is wrong with it
            gigabytes = str(round(float(gigabytes) * GIGABYTE))
    return {"name": fields.get("name"), "max_stored_bytes": gigabytes or None, **quotas}


@router.post("/projects")
@needs("admin", act="create_project", whole=True)
def create(screen: ScreenDep, fields: Fields) -> Response:
    try:
        body = validated(ProjectCreate, request_of(fields), "body")
        with screen.services.database.transaction() as session:
            projects.create(session, **body.model_dump())
    except (RequestValidationError, Conflict) as error:
        return show(screen, error=recognise(error))
    return RedirectResponse("/projects", 303)


@router.post("/projects/{project}")
@needs("admin", act="update_project", whole=True)
def change(project: str, screen: ScreenDep, fields: Fields) -> Response:
    try:
        body = validated(ProjectUpdate, request_of(fields), "body")
        with screen.services.database.transaction() as session:
            update(session, project, body)
    except (RequestValidationError, Conflict) as error:
        return show(screen, asked=project, error=recognise(error))
    return RedirectResponse("/projects", 303)


@router.post("/projects/{project}/delete")
@needs("admin", act="delete_project", whole=True)
def delete(project: str, screen: ScreenDep, fields: Fields) -> Response:
    """Delete a project with all that is in it: its name must be typed."""
    try:
        remove(screen.services, project, fields.get("confirm", ""))
    except Conflict as error:
        return show(screen, asked=project, error=error)
    return RedirectResponse("/projects", 303)
