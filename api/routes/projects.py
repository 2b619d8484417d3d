"""Projects: what belongs to one is, for the keys of another, as if it were not there."""

from typing import Annotated

from fastapi import Query, Response

from api.http.access import needs
from api.http.dependencies import Reading, ServicesDep, Transaction
from api.http.idempotency import OnceDep, fingerprint_of
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize.projects import project as record
from api.submit.projects import remove, update
from db import projects
from tsukiji.types import Page, Project, ProjectCreate, ProjectUpdate

router = Router(prefix="/projects", tags=["projects"])


@router.get("")
@needs("admin")
def list_projects(session: Reading, paging: PagingDep) -> Page[Project]:
    """List the projects by name; keys of other projects than the default one see their own."""
    return paging.answer(projects.page(session, paging.window()), record)


@router.post("", status_code=201)
@needs("admin", whole=True)
def create_project(body: ProjectCreate, services: ServicesDep, once: OnceDep, response: Response) -> Project:
    """Create an empty project; `POST /v1/keys` with `project` creates its first key."""
    made = once.make(
        services, fingerprint_of(body.model_dump()), lambda session: projects.create(session, **body.model_dump()).id
    )
    response.headers.update({"location": f"/v1/projects/{made.id}", **made.headers})
    with services.database.reading() as session:
        return record(projects.find(session, made.id))


@router.get("/{project}")
@needs("admin")
def get_project(project: str, session: Reading) -> Project:
    """Get a project by id or name."""
    return record(projects.find(session, project))


@router.patch("/{project}")
@needs("admin", whole=True)
def update_project(project: str, body: ProjectUpdate, session: Transaction) -> Project:
    """Rename a project, or change its quotas; null removes one."""
    return record(update(session, project, body))


@router.delete("/{project}", status_code=204)
@needs("admin", whole=True)
def delete_project(
    project: str,
    services: ServicesDep,
    confirm: Annotated[str | None, Query(description="Its name: delete it with all that is in it.")] = None,
) -> None:
    """Delete a project with its keys. If there is anything else in it, `confirm` must be its name; unfinished jobs are
    cancelled first.
    """
    remove(services, project, confirm)
