"""Revoking keys so that an administrator is left, and links for people. Knows no HTTP."""

from datetime import datetime

from api.http.access import require
from db import keys
from db.models import ApiKey
from db.session import Session
from tsukiji.errors import Conflict


def revoke(session: Session, key: str, caller: ApiKey, *, own: bool = False, created: bool = False) -> None:
    """Revoke a key by its id or prefix, with `created` also those that were created with it, and so on.

    Raises:
        NotFound
        Conflict: no key with the scope `admin` would be left, or it is the caller's own key without `own`.
    """
    chosen = keys.lineage(session, key) if created else [keys.find(session, key)]
    check_revocable(keys.lock_admins(session), chosen, caller, own=own)
    for row in chosen:
        keys.revoke(session, row.id)


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
    """
    if key is None:
        return keys.create_link(session, caller.id, minutes)
    require(caller, "admin")
    return keys.create_link(session, keys.find(session, key, valid=True).id, minutes)
