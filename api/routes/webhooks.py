"""Webhooks: addresses that are told of events, and how that went."""

from typing import Annotated

from fastapi import Query

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import webhooks as records
from api.submit import webhooks as submit
from db import webhooks
from tsukiji.types import (
    Page,
    Replayed,
    Webhook,
    WebhookCreate,
    WebhookCreated,
    WebhookDelivery,
    WebhookRotate,
    WebhookUpdate,
)
from tsukiji.types.webhooks import DeliveryStatus

router = Router(prefix="/webhooks", tags=["webhooks"])


@router.get("")
@needs("admin")
def list_webhooks(session: Reading, paging: PagingDep) -> Page[Webhook]:
    """List the webhooks, newest first, without their secrets."""
    return paging.answer(webhooks.page(session, paging.window()), records.webhook)


@router.post("", status_code=201)
@needs("admin")
def create_webhook(body: WebhookCreate, services: ServicesDep, session: Transaction, caller: Caller) -> WebhookCreated:
    """Create a webhook; its `secret`, which verifies what it is sent, is shown this once."""
    return records.created_webhook(submit.create(session, services, body, caller.id))


@router.get("/{webhook}")
@needs("admin")
def get_webhook(webhook: str, session: Reading) -> Webhook:
    """Get a webhook: whether it is enabled, and since when it fails."""
    return records.webhook(webhooks.find(session, webhook))


@router.patch("/{webhook}")
@needs("admin")
def update_webhook(webhook: str, body: WebhookUpdate, services: ServicesDep, session: Transaction) -> Webhook:
    """Change address, events or description; disable or enable it. While disabled, no events are queued for it."""
    return records.webhook(submit.update(session, services, webhook, body))


@router.delete("/{webhook}", status_code=204)
@needs("admin")
def delete_webhook(webhook: str, session: Transaction) -> None:
    """Delete it with its deliveries."""
    webhooks.remove(session, webhook)


@router.post("/{webhook}/rotate")
@needs("admin")
def rotate_webhook_secret(webhook: str, body: WebhookRotate, session: Transaction) -> WebhookCreated:
    """Replace the secret. Until `old_secret_expires_at` each request has a signature by either."""
    return records.created_webhook(webhooks.rotate(session, webhook, body.overlap_hours))


@router.post("/{webhook}/test", status_code=202)
@needs("admin")
def test_webhook(webhook: str, session: Transaction) -> WebhookDelivery:
    """Send it the event `webhook.test`, whatever it asked for; the delivery shows how that goes."""
    return records.delivery(webhooks.find_delivery(session, webhook, submit.test(session, webhook)))


@router.post("/{webhook}/replay", status_code=202)
@needs("admin")
def replay_failed_deliveries(webhook: str, session: Transaction) -> Replayed:
    """Attempt all failed deliveries again."""
    return Replayed(deliveries=submit.replay(session, webhook))


@router.get("/{webhook}/deliveries")
@needs("admin")
def list_webhook_deliveries(
    webhook: str,
    session: Reading,
    paging: PagingDep,
    status: Annotated[DeliveryStatus | None, Query(description="Only those of this status.")] = None,
) -> Page[WebhookDelivery]:
    """List what was or will be sent, newest first."""
    return paging.answer(webhooks.page_deliveries(session, webhook, paging.window(status), status), records.delivery)


@router.get("/{webhook}/deliveries/{delivery}")
@needs("admin")
def get_webhook_delivery(webhook: str, delivery: str, session: Reading) -> WebhookDelivery:
    """Get a delivery: attempts, the last answer, when the next attempt is due."""
    return records.delivery(webhooks.find_delivery(session, webhook, delivery))


@router.post("/{webhook}/deliveries/{delivery}/replay", status_code=202)
@needs("admin")
def replay_webhook_delivery(webhook: str, delivery: str, session: Transaction) -> WebhookDelivery:
    """Attempt a delivery again, also one that succeeded; it has the same `webhook-id`."""
    submit.replay(session, webhook, delivery)
    return records.delivery(webhooks.find_delivery(session, webhook, delivery))
