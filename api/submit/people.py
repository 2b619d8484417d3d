"""Changing who may come in, so that an administrator is left. Knows no HTTP."""

from api.submit.keys import check_revocable, revoke_all
from db import keys, people, projects
from db.models import DEFAULT_PROJECT, ApiKey, Invitation
from db.session import Session
from tsukiji.errors import Conflict, ProviderNotSet
from tsukiji.kernel.settings import OidcSettings
from tsukiji.scopes import Role
from tsukiji.types import InvitationCreate


def project_of(session: Session, caller: ApiKey, named: str | None) -> str:
    """Return the id of the project that is meant: the caller's own, or one that they see.

    Raises:
        NotFound
    """
    return caller.project_id if named is None else projects.find(session, named).id


def invite(session: Session, body: InvitationCreate, caller: ApiKey, provider: OidcSettings) -> Invitation:
    """Invite an e-mail address.

    Raises:
        ProviderNotSet: there is no provider that could say whose address it is.
        NotFound: there is no such project.
        Conflict: the person is there already.
    """
    if not provider.issuer:
        raise ProviderNotSet("An invitation is for those who sign in by an OpenID provider, and there is none.")
    project = project_of(session, caller, body.project)
    return people.invite(session, project, body.email, body.role, body.expires_in_days, caller.id)


def change_role(session: Session, project: str, person_id: str, role: Role, caller: ApiKey) -> None:
    """Give a person another role in a project.

    Raises:
        NotFound
        Conflict: no administrator would be left, it is the caller, or the provider says which role they have.
    """
    admins = keys.lock_admins(session, caller.project_id)
    person, key = people.find(session, project, person_id)
    if key.id == caller.id:
        raise Conflict("This is your own role.", hint="Ask another administrator to change it.")
    if role != "admin":
        check_revocable(admins, [key], caller, own=True)
    people.change_role(session, person, key, role)


def remove(
    session: Session, project: str, person_id: str, caller: ApiKey, *, own: bool = False, created: bool = False
) -> None:
    """End what a person may in a project, and their sessions there, with `created` also the keys that they made.

    Raises:
        NotFound
        Conflict: no administrator would be left, or it is the caller without `own`.
    """
    person, key = people.find(session, project, person_id)
    revoke_all(session, key, caller, own=own, created=created)
    if project == DEFAULT_PROJECT:
        people.bar(session, person)
