"""Revoking keys so that somebody can still call afterwards. Knows no HTTP."""

from db import keys
from db.models import ApiKey
from db.session import Session
from tsukiji.errors import Conflict


def revoke(session: Session, key: str, caller: ApiKey, *, own: bool = False, created: bool = False) -> None:
    """Revoke a key by its id or prefix, with `created` also those that were created with it, and so on.

    Raises:
        NotFound
        Conflict: it is the last key, or the caller's own key without `own`.
    """
    chosen = keys.lineage(session, key) if created else [keys.find(session, key)]
    check_revocable(keys.lock_valid(session), chosen, caller, own=own)
    for row in chosen:
        keys.revoke(session, row.id)


def check_revocable(valid: set[str], chosen: list[ApiKey], caller: ApiKey, *, own: bool) -> None:
    ids = {row.id for row in chosen}
    if caller.id in ids and not own:
        raise Conflict(
            "This key sends the request, or signed this browser in.", hint="Add ?own=true to revoke it nevertheless."
        )
    if not valid - ids:
        raise Conflict(
            "No valid key would be left.",
            hint="Create another key first, or use `tsukiji keys revoke KEY` where the service runs.",
        )
