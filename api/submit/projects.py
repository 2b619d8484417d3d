"""Changes of projects; a program's and the page's alike. Knows no HTTP."""

from api.services import Services
from api.submit import uploads
from db import projects
from db.jobs import jobs
from db.models import Project
from db.session import Database, Session
from tsukiji.errors import JobNotDone, ProjectNotEmpty
from tsukiji.types import ProjectUpdate


def update(session: Session, project: str, body: ProjectUpdate) -> Project:
    """Change what was sent.

    Raises:
        NotFound
        Conflict: the name is taken.
    """
    row = projects.find(session, project)
    values = body.model_dump(exclude_unset=True)
    name = values.pop("name", None)
    if name is not None:
        projects.rename(session, row, name)
    if "max_stored_bytes" in values:
        row.stored_bytes = None  # while there was no quota, nothing was counted
    for column, value in values.items():
        setattr(row, column, value)
    session.flush()
    return row


def remove(services: Services, project: str, confirm: str | None = None) -> None:
    """Delete a project: first its keys, so that nothing is added to it, then what is in it, in slices.

    If that is interrupted, the same call continues it.

    Raises:
        NotFound
        Conflict: it is the default project.
        ProjectNotEmpty: there is something in it, and `confirm` is not its name.
        JobNotDone: jobs of it are being cancelled.
    """
    with services.database.reading() as session:
        row = projects.find(session, project)
    projects.check_deletable(row)
    inside = services.inside(row.id)
    with inside.database.reading() as session:
        counts = projects.contents(session)
    if counts and confirm != row.name:
        listed = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
        raise ProjectNotEmpty(f"In the project {row.name!r} there are {listed}.", contents=counts)
    with services.database.transaction() as session:
        projects.revoke_keys(session, row.id)
    stop_jobs(inside.database, row)
    with inside.database.reading() as session:
        begun = projects.uploads_of(session)
    for upload in begun:
        uploads.remove(inside, upload)
    while clear(inside.database, row.id):
        pass
    with services.database.transaction() as session:
        projects.remove(session, row.id)


def stop_jobs(inside: Database, row: Project) -> None:
    """Request the cancellation of all jobs.

    Raises:
        JobNotDone: some have not ended yet.
    """
    with inside.reading() as session:
        active = projects.active_jobs(session)
    for job_id in active:
        with inside.transaction() as session:
            jobs.request_cancel(session, job_id)
    with inside.reading() as session:
        left = len(projects.active_jobs(session))
    if left:
        detail = f"{left} jobs of the project {row.name!r} are being cancelled."
        raise JobNotDone(detail, hint="Its keys are revoked. Repeat the request when the jobs have ended.")


def clear(inside: Database, project_id: str) -> bool:
    with inside.transaction() as session:
        return projects.delete_slice(session, project_id)
