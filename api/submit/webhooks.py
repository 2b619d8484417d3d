"""Requests about webhooks to rows; a program's and the page's alike. Knows no HTTP."""

from api.services import Services
from db import webhooks
from db.models import Webhook
from db.session import Session
from tsukiji.errors import TooManyWebhooks, WebhookDisabled
from tsukiji.kernel.webhook_urls import check_url
from tsukiji.types import WebhookCreate, WebhookUpdate
from tsukiji.types.webhooks import TEST_EVENT


def create(session: Session, services: Services, body: WebhookCreate, by: str) -> Webhook:
    """Insert a webhook.

    Raises:
        WebhookUrlNotAllowed, TooManyWebhooks
    """
    settings = services.settings
    check_url(body.url, settings.webhooks.hosts)
    if webhooks.count(session) >= settings.limits.webhooks:
        raise TooManyWebhooks(f"At most {settings.limits.webhooks} are allowed.")
    return webhooks.create(session, body.url, list(body.events), body.description, by)


def update(session: Session, services: Services, webhook_id: str, body: WebhookUpdate) -> Webhook:
    """Change what was sent.

    Raises:
        NotFound, WebhookUrlNotAllowed
    """
    if body.url is not None:
        check_url(body.url, services.settings.webhooks.hosts)
    values = {name: value for name, value in body.model_dump(exclude={"enabled"}).items() if value is not None}
    row = webhooks.change(session, webhook_id, **values) if values else webhooks.find(session, webhook_id)
    if body.enabled is None or body.enabled == (row.disabled_at is None):
        return row
    return webhooks.enable(session, webhook_id) if body.enabled else webhooks.disable(session, webhook_id, "asked")


def find_enabled(session: Session, webhook_id: str) -> Webhook:
    """Return a webhook to which something is to be sent.

    Raises:
        NotFound
        WebhookDisabled
    """
    row = webhooks.find(session, webhook_id, lock=True)
    if row.disabled_at is not None:
        raise WebhookDisabled(f"The webhook {webhook_id!r} is disabled ({row.disabled_because}).")
    return row


def test(session: Session, webhook_id: str) -> str:
    """Queue an event for this webhook alone; returns the delivery's id.

    Raises:
        NotFound, WebhookDisabled
    """
    find_enabled(session, webhook_id)
    return webhooks.queue(session, [webhook_id], TEST_EVENT, {"webhook_id": webhook_id})[0]


def replay(session: Session, webhook_id: str, delivery_id: str | None = None) -> int:
    """Queue a delivery once more, or all that failed; returns how many.

    Raises:
        NotFound, WebhookDisabled
    """
    find_enabled(session, webhook_id)
    if delivery_id is not None:
        webhooks.find_delivery(session, webhook_id, delivery_id)
    return webhooks.replay(session, webhook_id, delivery_id)
