"""The budget of stored bytes: webhooks are told once when it is exceeded, and once when it is kept again."""

from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import webhooks
from db.blobs import upsert
from db.models import DEFAULT_PROJECT, Alarm, Blob

ALARM: Final = "storage.over_budget"


def used_bytes(session: Session) -> int:
    """Return the bytes of everything in the store that rows know."""
    return int(session.scalar(select(func.coalesce(func.sum(Blob.bytes), 0))) or 0)


def check(session: Session, budget_bytes: int) -> str | None:
    """Compare the stored bytes with the budget (0: none); returns the event, if that changed."""
    used = used_bytes(session)
    data = {"used_bytes": used, "budget_bytes": budget_bytes}
    if budget_bytes and used > budget_bytes:
        raised = upsert(session, Alarm).values(name=ALARM).on_conflict_do_nothing().returning(Alarm.name)
        return tell(session, ALARM, data) if session.scalar(raised) else None
    cleared = delete(Alarm).where(Alarm.name == ALARM).returning(Alarm.name)
    return tell(session, "storage.within_budget", data) if session.scalar(cleared) else None


def tell(session: Session, event: str, data: dict[str, Any]) -> str:
    webhooks.emit(session, DEFAULT_PROJECT, event, lambda: data)
    return event
