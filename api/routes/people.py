"""People who sign in by the OpenID provider, and invitations."""

from typing import Annotated

from fastapi import Query

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import people as serialize
from api.submit.people import change_role, invite, project_of, remove
from db import people
from tsukiji.types import Invitation, InvitationCreate, Page, Person, PersonUpdate

router = Router(tags=["people"])

Project = Annotated[str | None, Query(max_length=200, description="Id or name of a project; default: the caller's.")]


@router.get("/people")
@needs("admin")
def list_people(session: Reading, paging: PagingDep, caller: Caller, project: Project = None) -> Page[Person]:
    """List who signs in by the OpenID provider, newest first."""
    found = people.page(session, project_of(session, caller, project), paging.window(project))
    return paging.answer(found, lambda row: serialize.person(row, caller))


@router.patch("/people/{person}")
@needs("admin")
def update_person(
    person: str, body: PersonUpdate, session: Transaction, caller: Caller, project: Project = None
) -> Person:
    """Change a role, also of sessions that are open. A role that the provider's claim gives changes there."""
    place = project_of(session, caller, project)
    change_role(session, place, person, body.role, caller)
    return serialize.person(people.find(session, place, person), caller)


@router.delete("/people/{person}", status_code=204)
@needs("admin")
def remove_person(
    person: str,
    session: Transaction,
    caller: Caller,
    project: Project = None,
    own: Annotated[bool, Query(description="`true`: even if they send this request.")] = False,
    created: Annotated[bool, Query(description="`true`: also the keys and invitations that they made.")] = False,
) -> None:
    """Remove a person; their sessions end at once, and only a new invitation lets them in again. The last who may
    `admin` stays.
    """
    remove(session, project_of(session, caller, project), person, caller, own=own, created=created)


@router.get("/invitations")
@needs("admin")
def list_invitations(session: Reading, paging: PagingDep, caller: Caller, project: Project = None) -> Page[Invitation]:
    """List the invitations that were not accepted, newest first."""
    found = people.invitations(session, project_of(session, caller, project), paging.window(project))
    return paging.answer(found, serialize.invitation)


@router.post("/invitations", status_code=201)
@needs("admin")
def create_invitation(
    body: InvitationCreate, services: ServicesDep, session: Transaction, caller: Caller
) -> Invitation:
    """Invite an e-mail address, once: who signs in with it, verified by the provider, gets the role. Nothing is sent;
    tell them the address of the page.
    """
    return serialize.invitation(invite(session, body, caller, services.settings.oidc))


@router.delete("/invitations/{invitation}", status_code=204)
@needs("admin")
def delete_invitation(invitation: str, session: Transaction, caller: Caller, project: Project = None) -> None:
    """Withdraw an invitation."""
    people.withdraw(session, project_of(session, caller, project), invitation)
