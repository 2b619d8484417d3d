"""Projects: what belongs to one is, for the keys of another, as if it were not there (`db.views`)."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import audit
from db.models import DEFAULT_PROJECT, Project
from db.paging import Rows, Window, fetch
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id


def create(
    session: Session, name: str, requests_per_minute: int | None = None, pictures_per_day: int | None = None
) -> Project:
    """Insert a project.

    Raises:
        Conflict: the name is taken.
    """
    check_free(session, name)
    row = Project(
        id=new_id("prj"), name=name, requests_per_minute=requests_per_minute, pictures_per_day=pictures_per_day
    )
    session.add(row)
    session.flush()
    audit.about(session, row.id)
    return row


def check_free(session: Session, name: str) -> None:
    """Raises: Conflict."""
    if session.scalar(select(Project.id).where(Project.name == name)):
        raise Conflict(f"There is a project named {name!r} already.", hint="Choose another name.")


def find(session: Session, id_or_name: str) -> Project:
    """Return the project with this id, or else this name.

    Raises:
        NotFound
    """
    found = session.scalars(select(Project).where((Project.id == id_or_name) | (Project.name == id_or_name))).all()
    if not found:
        raise NotFound(f"There is no project {id_or_name!r}.")
    return min(found, key=lambda row: row.id != id_or_name)


def rename(session: Session, row: Project, name: str) -> None:
    """Raises: Conflict: the name is taken."""
    if name != row.name:
        check_free(session, name)
        row.name = name
        session.flush()


def page(session: Session, window: Window) -> Rows[Project]:
    return fetch(session, select(Project), Project.name, window)


def default(session: Session) -> Project:
    """Return the project that there always is."""
    return session.get_one(Project, DEFAULT_PROJECT)
