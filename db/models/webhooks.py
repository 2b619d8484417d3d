"""Who is told, and what was sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.clock import now
from db.models.access import Owned
from db.models.base import Base, one_of


class Webhook(Owned, Base):
    """An address that is told of events. Its secret signs what is sent, so it is stored itself, not a hash of it."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(String(200), default="")
    events: Mapped[list[str]]
    """Names of events, or patterns, as `db.webhooks.wants` reads them."""
    secret: Mapped[str] = mapped_column(String(100))
    old_secret: Mapped[str | None] = mapped_column(String(100))
    """Signs as well until `old_secret_expires_at`, so that receivers can change to the new one in between."""
    old_secret_expires_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now())
    failing_since: Mapped[datetime | None]
    """The first failure since the last success."""
    disabled_at: Mapped[datetime | None]
    disabled_because: Mapped[str | None] = mapped_column(String(10))
    """`asked`, `failing` or `gone`."""


class WebhookDelivery(Base):
    """An event for one webhook: the outbox. It is inserted in the transaction that the event tells of."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "webhook_id", "status", "due_at"),
        Index("ix_webhook_deliveries_webhook", "webhook_id", "id"),
        Index("ix_webhook_deliveries_ended", "ended_at"),
        CheckConstraint(one_of("status", ("pending", "delivered", "failed")), name="status"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Sent as `webhook-id`: the same at every attempt."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(60))
    data: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(10), default="pending")
    attempt: Mapped[int] = mapped_column(default=0)
    """Counts claims, and fences the writing of their outcome."""
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts that failed, since the event or the last replay."""
    due_at: Mapped[datetime] = mapped_column(default=now())
    response_status: Mapped[int | None]
    """HTTP status of the last attempt; null without an answer."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    ended_at: Mapped[datetime | None]


class Alarm(Base):
    """A state that was told of when it began, and will be when it ends; no row: all is well."""

    __tablename__ = "alarms"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    raised_at: Mapped[datetime] = mapped_column(default=now())
