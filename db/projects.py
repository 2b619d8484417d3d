"""Projects: what belongs to one is, for the keys of another, as if it were not there (`db.views`)."""

from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.clock import now
from db.curation import datasets
from db.models import (
    DEFAULT_PROJECT,
    Alias,
    AliasMove,
    ApiKey,
    Dataset,
    Invitation,
    Job,
    Model,
    PageSession,
    Project,
    QueueTurn,
    Rate,
    SignInLink,
    Snapshot,
    Upload,
    Usage,
    Webhook,
)
from db.paging import Rows, Window, fetch
from db.predictions import retention
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id
from tsukiji.jobs import ACTIVE

SLICE_JOBS: Final = 100
SMALL: Final = 16
"""Most items of a job that is deleted together with others."""
UNSYNCED: Final[dict[str, Any]] = {"synchronize_session": False}


def create(session: Session, name: str, **quotas: int | None) -> Project:
    """Insert a project.

    Args:
        session: of the transaction.
        name: no other project has it.
        quotas: `requests_per_minute`, `pictures_per_day` and `max_stored_bytes`; none by default.

    Raises:
        Conflict: the name is taken.
    """
    check_free(session, name)
    row = Project(id=new_id("prj"), name=name, **quotas)
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


# --- deletion --------------------------------------------------------------------------------------------------------


def check_deletable(row: Project) -> None:
    """Raises: Conflict."""
    if row.id == DEFAULT_PROJECT:
        raise Conflict("The default project cannot be deleted.", hint="Delete what is in it instead.")


def contents(session: Session) -> dict[str, int]:
    """Return how much the project that the session sees has of each kind of thing; empty: nothing."""
    counts = {
        table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
        for table in (Dataset, Model, Job, Upload, Webhook)
    }
    return {name: count for name, count in counts.items() if count}


def active_jobs(session: Session) -> list[str]:
    return list(session.scalars(select(Job.id).where(Job.status.in_(ACTIVE))))


def uploads_of(session: Session) -> list[Upload]:
    return list(session.scalars(select(Upload)))


def revoke_keys(session: Session, project_id: str) -> None:
    """Revoke all keys of a project, and end their page sessions."""
    mine = select(ApiKey.id).where(ApiKey.project_id == project_id)
    for table in (PageSession, SignInLink):
        session.execute(delete(table).where(table.key_id.in_(mine)), execution_options=UNSYNCED)
    usable = update(ApiKey).where(ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None))
    session.execute(usable.values(revoked_at=now()), execution_options=UNSYNCED)


def delete_slice(session: Session, project_id: str) -> bool:
    """Delete a part of what is in a project, but its keys; False when nothing was left."""
    found = session.execute(select(Job.id, Job.items_total).where(Job.project_id == project_id).limit(SLICE_JOBS)).all()
    if small := [row.id for row in found if row.items_total <= SMALL]:
        session.execute(delete(Job).where(Job.id.in_(small)), execution_options=UNSYNCED)
        return True
    if found:
        if not retention.delete_slice(session, found[0].id):
            session.execute(delete(Job).where(Job.id == found[0].id), execution_options=UNSYNCED)
        return True
    dataset_id = session.scalar(select(Dataset.id).where(Dataset.project_id == project_id).limit(1))
    if dataset_id is not None:
        datasets.remove(session, dataset_id)
        return True
    for table in (Alias, AliasMove, Model, Snapshot, Webhook, Invitation):
        session.execute(delete(table).where(table.project_id == project_id), execution_options=UNSYNCED)
    return False


def remove(session: Session, project_id: str) -> None:
    """Delete an empty project with its keys and counters. Its audit entries stay.

    Raises:
        RowExists: something was added meanwhile.
    """
    mine = select(ApiKey.id).where(ApiKey.project_id == project_id)
    for owner in (Usage.owner, Rate.owner, QueueTurn.key_id):
        gone = delete(owner.class_).where((owner == project_id) | owner.in_(mine))
        session.execute(gone, execution_options=UNSYNCED)
    session.execute(delete(ApiKey).where(ApiKey.project_id == project_id), execution_options=UNSYNCED)
    session.execute(delete(Project).where(Project.id == project_id), execution_options=UNSYNCED)
