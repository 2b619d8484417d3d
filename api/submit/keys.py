"""Revoking keys so that an administrator is left, and links for people. Knows no HTTP."""

from datetime import datetime

from api.http.access import require
from db import keys, people
from db.models import ApiKey
from db.session import Session
from tsukiji.errors import Conflict


def revoke(session: Session, key: str, caller: ApiKey, *, own: bool = False, created: bool = False) -> None:
    """Revoke a key by its id or prefix, with `created` also those that were created with it, and so on.

    Raises:
        NotFound
        Conflict: no key that may `admin` would be left in the caller's project, or it is the caller's own key without
            `own`.
    """
    revoke_all(session, keys.find(session, key), caller, own=own, created=created)


def revoke_all(session: Session, key: ApiKey, caller: ApiKey, *, own: bool, created: bool) -> None:
    """Revoke a key of a program or a person, with `created` also what was created with it, and invitations.

    Raises:
        Conflict
    """
    chosen = keys.lineage(session, key) if created else [key]
    check_revocable(keys.lock_admins(session, caller.project_id), chosen, caller, own=own)
    for row in chosen:
        keys.end(session, row)
    if created:
        people.withdraw_of(session, {row.id for row in chosen})


def check_revocable(admins: set[str], chosen: list[ApiKey], caller: ApiKey, *, own: bool) -> None:
    ids = {row.id for row in chosen}
    if caller.id in ids and not own:
        raise Conflict(
            "This key sends the request, or signed this browser in.", hint="Add ?own=true to revoke it nevertheless."
        )
    if not admins - ids:
        raise Conflict(
            "No valid key would be left that may `admin`.",
            hint="Create another key first, or use `tsukiji keys revoke KEY` where the service runs.",
        )


def create_link(session: Session, caller: ApiKey, key: str | None, minutes: float) -> tuple[str, datetime]:
    """Create a link that signs one browser in with the caller's key, or as an administrator with any.

    Raises:
        NotFound, ScopeMissing
        Conflict: the caller signs in by the provider, whose sessions end as it says.
    """
    if key is None:
        if caller.person_id:
            raise Conflict("People sign in by the provider.", hint="Open the page in the other browser, and sign in.")
        return keys.create_link(session, caller.id, minutes)
    require(caller, "admin")
    return keys.create_link(session, keys.find(session, key, valid=True).id, minutes)
