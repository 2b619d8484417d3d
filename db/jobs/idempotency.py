"""Idempotency keys: a repeated request creates nothing new. Written in the transaction that creates the resource.

Source: draft-ietf-httpapi-idempotency-key-header; as in AIP-155, a replay returns the resource's current state.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from db.clock import now
from db.models import IdempotencyKey
from tsukiji.errors import IdempotencyKeyReused

KEPT_HOURS: Final = 24
SLICE: Final = 500


def once(session: Session, scope: str | None, fingerprint: str, make: Callable[[], str]) -> tuple[str, bool]:
    """Create a resource once per scope; returns its id and whether this is a replay. Without a scope, always create.

    Of two concurrent requests, the primary key lets one commit; the other fails and is retried by its caller.

    Raises:
        IdempotencyKeyReused: the key was used with another payload.
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
    """Return the id that an earlier identical request created, if there was one.

    Raises:
        IdempotencyKeyReused: the key was used with another payload.
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
    """Hash the client's key with the caller and the endpoint."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def forget_old(session: Session) -> int:
    """Delete up to `SLICE` old keys; returns how many."""
    old = select(IdempotencyKey.scope).where(IdempotencyKey.created_at < now(-3600 * KEPT_HOURS)).limit(SLICE)
    gone = delete(IdempotencyKey).where(IdempotencyKey.scope.in_(old)).execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(gone)).rowcount
