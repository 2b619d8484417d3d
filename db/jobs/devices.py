"""Turns on a device that workers of two queues share: a lease, and the request of the other queue for the next turn.

The queue that had the last turn does not take the next while the other waits, so that they alternate.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.clock import now
from db.models import SharedDevice
from tsukiji.jobs import Queue

REQUEST_SECONDS: Final = 5
"""A waiting worker asks again within this time."""


def take(session: Session, name: str, queue: Queue, worker: str, lease_seconds: float) -> float | None:
    """Take the device for a worker; returns the seconds of the turn before, None if it has to wait."""
    fresh = upsert(session, SharedDevice).values(name=name, queue=queue, seconds=0.0)
    session.execute(fresh.on_conflict_do_nothing())
    free = or_(SharedDevice.worker.is_(None), SharedDevice.worker == worker, SharedDevice.expires_at < now())
    held = {"queue": queue, "worker": worker, "expires_at": now(lease_seconds), "waiting": None, "waits_until": None}
    if change(session, name, free, or_(SharedDevice.queue != queue, unwanted(queue)), **held):
        return session.scalar(select(SharedDevice.seconds).where(SharedDevice.name == name))
    change(session, name, unwanted(queue), waiting=queue, waits_until=now(REQUEST_SECONDS))
    return None


def renew(session: Session, name: str, worker: str, lease_seconds: float) -> None:
    """Renew the lease of the worker that has the device."""
    change(session, name, SharedDevice.worker == worker, expires_at=now(lease_seconds))


def is_wanted(session: Session, name: str, queue: Queue) -> bool:
    """Return whether another queue waits for the device."""
    return session.scalar(select(SharedDevice.name).where(SharedDevice.name == name, ~unwanted(queue))) is not None


def give_back(session: Session, name: str, worker: str, seconds: float) -> None:
    """End a turn of these seconds."""
    change(session, name, SharedDevice.worker == worker, worker=None, expires_at=None, seconds=seconds)


def unwanted(queue: Queue) -> ColumnElement[bool]:
    """Return the condition that no other queue waits."""
    none_waits = or_(SharedDevice.waiting.is_(None), SharedDevice.waits_until < now())
    return or_(none_waits, SharedDevice.waiting == queue)


def change(session: Session, name: str, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Update the row if it meets the conditions; returns whether it did."""
    statement = update(SharedDevice).where(SharedDevice.name == name, *conditions).values(**values)
    return session.scalar(statement.returning(SharedDevice.name)) is not None
