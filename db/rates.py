"""Rates of requests, of each key and project, shared by all API processes: a leaky bucket as one number (GCRA).

A row is written for each request of a key or project that has a rate, and for no other.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import case, delete, select
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.clock import epoch
from db.models import Rate

WINDOW_SECONDS: Final = 60


@dataclass(frozen=True)
class Allowance:
    """What a key, or all keys of a project, have left.

    Attributes:
        name: of the policy.
        quota: requests, or pictures, in a window.
        window: in seconds.
        left: how many may be sent at once now.
        full_in: seconds until there is the whole quota again.
        wait: seconds until the next one may be sent; 0: now.
    """

    name: str
    quota: int
    window: int
    left: int
    full_in: float
    wait: float = 0


def take(session: Session, owner: str, quota: int, name: str = "requests") -> Allowance:
    """Count a request of a key or project that may send `quota` in a window; one that must wait is not counted."""
    each, now = WINDOW_SECONDS / quota, epoch()
    row = upsert(session, Rate).values(owner=owner, full_at=now + each)
    later = case((Rate.full_at > now, Rate.full_at), else_=now) + each
    counted = row.on_conflict_do_update(
        index_elements=[Rate.owner], set_={"full_at": later}, where=Rate.full_at + each <= now + WINDOW_SECONDS
    )
    used = session.scalar(counted.returning(Rate.full_at - now))
    wait = 0.0
    if used is None:
        used = session.scalar(select(Rate.full_at - now).where(Rate.owner == owner)) or 0.0
        wait = max(used + each - WINDOW_SECONDS, 1e-3)
    used = round(used, 3)
    left = max(0, int((WINDOW_SECONDS - used) / each + 1e-3))
    return Allowance(name, quota, WINDOW_SECONDS, left, used, wait)


def forget_old(session: Session) -> None:
    """Delete the rows of those who have their whole quota."""
    session.execute(delete(Rate).where(Rate.full_at < epoch()), execution_options={"synchronize_session": False})
