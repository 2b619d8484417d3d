"""Idempotency keys: the same request sent twice makes one thing. Written in the work's own transaction.

Source: draft-ietf-httpapi-idempotency-key-header, with AIP-155's answer: a replay gets the thing's current state.
"""

import hashlib
from collections.abc import Callable

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.clock import now
from db.models import IdempotencyKey
from tsukiji.errors import IdempotencyKeyReused

KEPT_HOURS = 24


def once(session: Session, scope: str | None, fingerprint: str, make: Callable[[], str]) -> tuple[str, bool]:
    """Make a thing once per scope; returns its id and whether this is a replay. No scope: make it.

    Two requests at the same moment: the primary key lets one commit, the other fails and is retried by its caller.

    Raises:
        IdempotencyKeyReused: the key came before with another payload.
    """
    made = replayed(session, scope, fingerprint)
    if made is not None:
        return made, True
    resource_id = make()
    if scope is None:
        return resource_id, False
    session.add(IdempotencyKey(scope=scope, fingerprint=fingerprint, resource_id=resource_id))
    session.flush()
    return resource_id, False


def replayed(session: Session, scope: str | None, fingerprint: str) -> str | None:
    """Return the id of what this request made before, if it did.

    Raises:
        IdempotencyKeyReused: the key came before with another payload.
    """
    row = None if scope is None else session.get(IdempotencyKey, scope)
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return row.resource_id


def is_known(session: Session, scope: str | None) -> bool:
    return scope is not None and session.get(IdempotencyKey, scope) is not None


def scope_of(*parts: str) -> str:
    """Hash the caller's key with who calls what."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def forget_old(session: Session) -> None:
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now(-3600 * KEPT_HOURS)))
