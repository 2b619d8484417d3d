"""Webhooks and their outbox. An event is inserted for each webhook that wants it, in the transaction it tells of.

A delivery is claimed by pushing `due_at` to when the claim is given up, and `attempt` fences its outcome: if a
dispatcher dies while it sends, the delivery falls due again. So each event arrives at least once.
"""

import base64
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, Select, delete, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.bulk import insert_rows
from db.clock import now
from db.models import Webhook, WebhookDelivery
from db.paging import Rows, Window, fetch
from tsukiji.errors import NotFound
from tsukiji.ids import new_id
from tsukiji.types.webhooks import ALL_EVENTS

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - not a secret, but how one begins
SECRET_BYTES: Final = 32
SLICE: Final = 500
PENDING: Final = (WebhookDelivery.status == "pending",)

# --- events ----------------------------------------------------------------------------------------------------------


def emit(
    session: Session, project: str | ColumnElement[str], event: str, describe: Callable[[], dict[str, Any]]
) -> None:
    """Queue an event for each enabled webhook of a project that wants it; `describe` is called only if there is one."""
    mine = (Webhook.project_id == project, Webhook.disabled_at.is_(None))
    enabled = select(Webhook).where(*mine).order_by(Webhook.id)
    # Locked against deletion alone: a row that refers to a webhook just deleted would undo the transaction.
    hooks = session.scalars(enabled.with_for_update(read=True, key_share=True)).all()
    wanted = [hook.id for hook in hooks if wants(hook.events, event)]
    if wanted:
        queue(session, wanted, event, describe())


def queue(session: Session, webhook_ids: Sequence[str], event: str, data: dict[str, Any]) -> list[str]:
    """Insert a delivery for each of these webhooks; returns their ids."""
    rows = [{"id": new_id("msg"), "webhook_id": one, "event": event, "data": data} for one in webhook_ids]
    insert_rows(session, WebhookDelivery, rows)
    return [str(row["id"]) for row in rows]


def wants(patterns: Sequence[str], event: str) -> bool:
    """Does one of the patterns mean this event? `*` means all, `training.*` all of trainings."""
    return not {ALL_EVENTS, event, f"{event.partition('.')[0]}.*"}.isdisjoint(patterns)


# --- webhooks --------------------------------------------------------------------------------------------------------


def make_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def create(session: Session, url: str, events: list[str], description: str = "", by: str | None = None) -> Webhook:
    row = Webhook(
        id=new_id("whk"), url=url, events=events, description=description, secret=make_secret(), created_by=by
    )
    session.add(row)
    session.flush()
    audit.about(session, row.id)
    return row


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Webhook)) or 0


def page(session: Session, window: Window) -> Rows[Webhook]:
    """Newest first."""
    return fetch(session, select(Webhook), Webhook.id, window, newest=True)


def find(session: Session, webhook_id: str, *, lock: bool = False) -> Webhook:
    """Return the webhook; with `lock`, no other transaction changes it until this one ends.

    Raises:
        NotFound
    """
    row = session.get(Webhook, webhook_id, populate_existing=True, with_for_update=lock or None)
    if row is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.")
    return row


def change(session: Session, webhook_id: str, **values: Any) -> Webhook:
    """Set columns.

    Raises:
        NotFound
    """
    session.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values))
    return find(session, webhook_id)


def enable(session: Session, webhook_id: str) -> Webhook:
    """Queue events for it again, from now on.

    Raises:
        NotFound
    """
    return change(session, webhook_id, disabled_at=None, disabled_because=None, failing_since=None)


def disable(session: Session, webhook_id: str, because: str) -> Webhook:
    """Queue no more events for it, and give up those that wait; they can be replayed.

    Raises:
        NotFound
    """
    find(session, webhook_id, lock=True)
    waiting = update(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, *PENDING)
    error = func.coalesce(WebhookDelivery.error, "The webhook was disabled.")
    session.execute(waiting.values(status="failed", ended_at=now(), error=error))
    at = func.coalesce(Webhook.disabled_at, now())
    return change(session, webhook_id, disabled_at=at, disabled_because=because)


def rotate(session: Session, webhook_id: str, overlap_hours: float) -> Webhook:
    """Replace the secret; the old one signs as well for so long.

    Raises:
        NotFound
    """
    old = find(session, webhook_id, lock=True).secret if overlap_hours else None
    expires = now(3600 * overlap_hours) if overlap_hours else None
    return change(session, webhook_id, secret=make_secret(), old_secret=old, old_secret_expires_at=expires)


def remove(session: Session, webhook_id: str) -> None:
    """Delete it with its deliveries.

    Raises:
        NotFound
    """
    session.delete(find(session, webhook_id))
    session.flush()


# --- deliveries ------------------------------------------------------------------------------------------------------


def page_deliveries(
    session: Session, webhook_id: str, window: Window, status: str | None = None
) -> Rows[WebhookDelivery]:
    """Newest first.

    Raises:
        NotFound: there is no such webhook.
    """
    find(session, webhook_id)
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    return fetch(session, query, WebhookDelivery.id, window, newest=True)


def find_delivery(session: Session, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    """Return a delivery of this webhook.

    Raises:
        NotFound
    """
    row = session.get(WebhookDelivery, delivery_id, populate_existing=True)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound(f"The webhook {webhook_id!r} has no delivery {delivery_id!r}.")
    return row


def replay(session: Session, webhook_id: str, delivery_id: str | None = None) -> int:
    """Queue a delivery once more, or all that failed; returns how many."""
    mine = update(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    chosen = mine.where(
        WebhookDelivery.id == delivery_id if delivery_id is not None else WebhookDelivery.status == "failed"
    )
    again = {"status": "pending", "failures": 0, "due_at": now(), "ended_at": None}
    return cast("CursorResult[Any]", session.execute(chosen.values(**again))).rowcount


# --- the dispatcher --------------------------------------------------------------------------------------------------


def due(session: Session, most: int) -> dict[str, int]:
    """Return how many deliveries each enabled webhook has to attempt, counted up to `most`; only those with some."""
    enabled = select(Webhook.id).where(Webhook.disabled_at.is_(None))
    counts = {hook: len(session.scalars(first_due(hook).limit(most)).all()) for hook in session.scalars(enabled).all()}
    return {hook: found for hook, found in counts.items() if found}


def first_due(webhook_id: str) -> Select[str]:
    """Return the webhook's deliveries to attempt, longest due first."""
    mine = (WebhookDelivery.webhook_id == webhook_id, *PENDING, WebhookDelivery.due_at <= now())
    return select(WebhookDelivery.id).where(*mine).order_by(WebhookDelivery.due_at)


def claim(session: Session, webhook_id: str, seconds: float) -> tuple[Webhook, WebhookDelivery] | None:
    """Claim the webhook's delivery that has been due longest, for so long; None if there is none, or it is disabled."""
    first = session.scalar(first_due(webhook_id).limit(1).with_for_update(skip_locked=True))
    hook = session.get(Webhook, webhook_id, populate_existing=True)
    if first is None or hook is None or hook.disabled_at is not None:
        return None
    claimed = {"attempt": WebhookDelivery.attempt + 1, "due_at": now(seconds)}
    session.execute(update(WebhookDelivery).where(WebhookDelivery.id == first).values(**claimed))
    return hook, session.get_one(WebhookDelivery, first, populate_existing=True)


def signing_secrets(session: Session, hook: Webhook) -> list[str]:
    """Return the secrets that sign at present, the new one first."""
    valid = select(Webhook.old_secret).where(Webhook.id == hook.id, Webhook.old_secret_expires_at > now())
    old = session.scalar(valid)
    return [hook.secret, *([old] if old else [])]


def settle(session: Session, delivery: WebhookDelivery, **values: Any) -> bool:
    """Write the outcome of this attempt; False if it is not the newest, or the delivery ended meanwhile.

    The webhook's row is locked first, as `disable` does: the other order could deadlock.
    """
    session.execute(select(Webhook.id).where(Webhook.id == delivery.webhook_id).with_for_update())
    mine = (WebhookDelivery.id == delivery.id, WebhookDelivery.attempt == delivery.attempt, *PENDING)
    written = session.execute(update(WebhookDelivery).where(*mine).values(**values))
    return cast("CursorResult[Any]", written).rowcount == 1


def succeed(session: Session, delivery: WebhookDelivery, status: int) -> None:
    """Record that the receiver took it."""
    if settle(session, delivery, status="delivered", ended_at=now(), response_status=status, error=None):
        failing = (Webhook.id == delivery.webhook_id, Webhook.failing_since.is_not(None))
        session.execute(update(Webhook).where(*failing).values(failing_since=None))


def fail(session: Session, delivery: WebhookDelivery, status: int | None, error: str, again_in: float | None) -> None:
    """Record that an attempt failed, and in how many seconds the next one is due; None: it was the last."""
    values: dict[str, Any] = {"failures": WebhookDelivery.failures + 1, "response_status": status, "error": error}
    later = {"due_at": now(again_in)} if again_in is not None else {"status": "failed", "ended_at": now()}
    if settle(session, delivery, **values, **later):
        change(session, delivery.webhook_id, failing_since=func.coalesce(Webhook.failing_since, now()))


def disable_failing(session: Session, webhook_id: str, hours: float) -> bool:
    """Disable a webhook that has been failing for so long; returns whether it was."""
    late = (Webhook.id == webhook_id, Webhook.failing_since < now(-3600 * hours), Webhook.disabled_at.is_(None))
    if session.scalar(select(Webhook.id).where(*late)) is None:
        return False
    disable(session, webhook_id, "failing")
    return True


def forget(session: Session, days: float) -> int:
    """Delete some deliveries that ended so long ago; returns how many."""
    old = select(WebhookDelivery.id).where(WebhookDelivery.ended_at < now(-86400 * days)).limit(SLICE)
    gone = delete(WebhookDelivery).where(WebhookDelivery.id.in_(old))
    return cast("CursorResult[Any]", session.execute(gone)).rowcount
