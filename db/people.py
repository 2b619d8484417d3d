"""People whom the OpenID provider signs in: in each of their projects they have a key, whose scopes are their role.

Its secret was discarded, and so sessions, scopes, rates, the audit log and revocation are those of keys.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import audit, keys
from db.clock import now
from db.models import DEFAULT_PROJECT, ApiKey, Invitation, PageSession, Person
from db.paging import Rows, Window, fetch
from db.views import EVERYTHING
from tsukiji.errors import ClaimMissing, Conflict, EmailUnverified, NotFound, NotInvited, SignInError
from tsukiji.ids import new_id
from tsukiji.scopes import SCOPES_OF, Role

SHOWN_NAME: Final = 200
KEPT_DAYS: Final = 30
"""How long an expired invitation is listed."""


@dataclass(frozen=True)
class Identity:
    """A person as the provider's checked claims describe them.

    Attributes:
        issuer, subject: who they are; neither is ever given to someone else.
        email: folded; None if the provider does not say.
        verified: whether the provider knows that the address is theirs.
        role: what its claim says; None: nothing.
    """

    issuer: str
    subject: str
    email: str | None = None
    verified: bool = False
    name: str | None = None
    role: Role | None = None

    @property
    def shown(self) -> str:
        """What keys, and so the audit log, call them."""
        return (self.email or self.name or self.subject)[:SHOWN_NAME]


def fold(email: str) -> str:
    """Return an address as it is compared: ASCII in lower case, so that no other letter turns into one of these."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in email.strip())


def admit(session: Session, who: Identity) -> ApiKey | SignInError:
    """Return a valid key of a person who signs in: of the project where they were last, with the role it has now.

    The claim gives a role in the default project; invitations give one in theirs, and are used up. An error says why
    they have none; what they had is ended then, so it is for after the commit.
    """
    person = find_identity(session, who)
    invited = open_invitations(session, who)
    mine = {key.project_id: key for key in keys_of(session, person.id)} if person else {}
    lapsed = person is not None and person.claimed_role is not None and who.role is None
    if lapsed and (key := mine.pop(DEFAULT_PROJECT, None)):
        keys.end(session, key)
    offers: dict[str, tuple[str, str | None]] = {one.project_id: (one.role, one.created_by) for one in invited}
    if who.role and not (person and person.barred and DEFAULT_PROJECT not in offers):
        offers[DEFAULT_PROJECT] = (who.role, offers.get(DEFAULT_PROJECT, (None, None))[1])
    if person is None and not offers:
        return refusal(who)
    person = note(session, person, who, barred=bool(person and person.barred) and DEFAULT_PROJECT not in offers)
    for project, (role, by) in offers.items():
        mine[project] = give_role(session, person, project, role, by, who, mine.get(project))
    for invitation in invited:
        session.delete(invitation)
    for key in mine.values():
        change(key, name=who.shown)
    session.flush()
    if not mine:
        return refusal(who, lapsed=lapsed, removed=True)
    return max(mine.values(), key=lambda key: (key.last_used_at or key.created_at, key.id))


def give_role(
    session: Session, person: Person, project: str, role: str, by: str | None, who: Identity, key: ApiKey | None
) -> ApiKey:
    """Return the person's key of a project, with this role."""
    scopes = [*SCOPES_OF[cast("Role", role)]]
    if key is None:
        key = keys.create(session, who.shown, scopes, by, person_id=person.id, project_id=project)[0]
        audit.about(session, person.id)
    change(key, scopes=scopes)
    return key


def refusal(who: Identity, *, lapsed: bool = False, removed: bool = False) -> SignInError:
    """Return why someone is not let in."""
    if lapsed:
        return NotInvited(f"The provider no longer gives {who.shown} a role.")
    if removed:
        return NotInvited(f"{who.shown} was removed by an administrator.")
    if who.email is None:
        return ClaimMissing("The claim `email` is missing, so no invitation can be found.", claim="email")
    if not who.verified:
        return EmailUnverified(f"The provider does not say that {who.email} is verified.")
    return NotInvited(f"There is no invitation for {who.email} that is still open.")


def find_identity(session: Session, who: Identity) -> Person | None:
    mine = (Person.issuer == who.issuer, Person.subject == who.subject)
    return session.scalar(select(Person).where(*mine).with_for_update())


def note(session: Session, person: Person | None, who: Identity, *, barred: bool) -> Person:
    """Write down what the provider says of a person."""
    if person is None:
        person = Person(id=new_id("psn"), issuer=who.issuer, subject=who.subject)
        session.add(person)
    name = who.name and who.name[:SHOWN_NAME]
    change(person, email=who.email, name=name, claimed_role=who.role, barred=barred)
    session.flush()
    return person


def change(row: Person | ApiKey, **values: Any) -> None:
    """Set what differs: a transaction that changes nothing is not in the audit log."""
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def note_sign_in(session: Session, key: ApiKey) -> None:
    session.execute(update(Person).where(Person.id == key.person_id).values(signed_in_at=now()))


def keys_of(session: Session, person_id: str) -> list[ApiKey]:
    """Return the valid keys of a person, one for each project that they are in, by the projects' names."""
    mine = select(ApiKey).where(ApiKey.person_id == person_id, *keys.usable())
    return sorted(session.scalars(mine.execution_options(**EVERYTHING)), key=lambda key: key.project.name)


def switch(session: Session, token: str, key: ApiKey, project: str) -> None:
    """Let a page session of a person go on in another of their projects.

    Raises:
        NotFound: they are in no such project.
    """
    mine = keys_of(session, key.person_id) if key.person_id else []
    other = next((one for one in mine if one.project_id == project), None)
    if other is None:
        raise NotFound(f"There is no project {project!r}.")
    mine_now = update(PageSession).where(PageSession.hash == keys.digest(token))
    session.execute(mine_now.values(key_id=other.id))


def page(session: Session, project: str, window: Window) -> Rows[tuple[Person, ApiKey]]:
    """Return the people of a project with their keys, newest first, without those who were removed."""
    here = (ApiKey.project_id == project, *keys.usable())
    query = select(Person).where(Person.id.in_(select(ApiKey.person_id).where(*here)))
    found = fetch(session, query, Person.id, window, newest=True)
    mine = select(ApiKey).where(ApiKey.person_id.in_([one.id for one in found.data]), *here)
    of = {key.person_id: key for key in session.scalars(mine)}
    return Rows([(one, of[one.id]) for one in found.data], found.next_cursor)


def find(session: Session, project: str, person_id: str) -> tuple[Person, ApiKey]:
    """Return a person of a project with their key.

    Raises:
        NotFound: there is no such person, or they were removed.
    """
    mine = (ApiKey.person_id == person_id, ApiKey.project_id == project, *keys.usable())
    person, key = session.get(Person, person_id), session.scalar(select(ApiKey).where(*mine))
    if person is None or key is None:
        raise NotFound(f"There is no person {person_id!r}.")
    return person, key


def change_role(session: Session, person: Person, key: ApiKey, role: Role) -> None:
    """Give a person another role; what they have open follows at once.

    Raises:
        Conflict: the provider says which role they have.
    """
    if person.claimed_role not in (None, role) and key.project_id == DEFAULT_PROJECT:
        raise Conflict(
            f"The provider's claim makes {key.name} {person.claimed_role}.",
            hint="Change their groups at the provider; the role follows when they sign in.",
        )
    change(key, scopes=[*SCOPES_OF[role]])
    session.flush()


def bar(session: Session, person: Person) -> None:
    """Let the claim alone no longer bring a person who is removed into the default project."""
    change(person, barred=True)
    session.flush()


def invite(session: Session, project: str, email: str, role: Role, days: float, by: str) -> Invitation:
    """Invite an e-mail address into a project; an earlier invitation is replaced.

    Raises:
        Conflict: someone with this address is there already.
    """
    email = fold(email)
    there = select(ApiKey.id).join(Person, Person.id == ApiKey.person_id)
    if session.scalar(there.where(Person.email == email, ApiKey.project_id == project, *keys.usable()).limit(1)):
        raise Conflict(
            f"{email} is here already.", hint="Change their role instead: `tsukiji people role PERSON ROLE`."
        )
    mine = (Invitation.email == email) & (Invitation.project_id == project)
    session.execute(delete(Invitation).where(mine | (Invitation.expires_at < now(-86400 * KEPT_DAYS))))
    facts = {"project_id": project, "email": email, "role": role, "created_by": by}
    row = Invitation(id=new_id("inv"), expires_at=now(86400 * days), **facts)
    session.add(row)
    session.flush()
    session.refresh(row)
    audit.about(session, row.id)
    return row


def open_invitations(session: Session, who: Identity) -> list[Invitation]:
    """Return the open invitations of a person's verified address, at most one for each project."""
    if who.email is None or not who.verified:
        return []
    mine = (Invitation.email == who.email, Invitation.expires_at > now())
    return list(session.scalars(select(Invitation).where(*mine).with_for_update()))


def invitations(session: Session, project: str, window: Window) -> Rows[Invitation]:
    """Newest first, expired ones too."""
    here = select(Invitation).where(Invitation.project_id == project)
    return fetch(session, here, Invitation.id, window, newest=True)


def withdraw(session: Session, project: str, invitation_id: str) -> None:
    """Raises: NotFound."""
    mine = (Invitation.id == invitation_id, Invitation.project_id == project)
    if session.scalar(delete(Invitation).where(*mine).returning(Invitation.id)) is None:
        raise NotFound(f"There is no invitation {invitation_id!r}.")


def withdraw_of(session: Session, key_ids: Collection[str]) -> None:
    """Withdraw what was invited with these keys."""
    session.execute(delete(Invitation).where(Invitation.created_by.in_(key_ids)))
