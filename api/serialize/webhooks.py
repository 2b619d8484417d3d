"""Webhooks in responses: the secret only once, when it is made."""

from api.serialize.records import columns
from db import models as rows
from tsukiji import types


def webhook(row: rows.Webhook) -> types.Webhook:
    place = f"/v1/webhooks/{row.id}"
    known = {name: value for name, value in columns(row).items() if name in types.Webhook.model_fields}
    links = {"self": place, "deliveries": f"{place}/deliveries", "test": f"{place}/test"}
    return types.Webhook.model_validate(known | {"enabled": row.disabled_at is None, "links": links})


def created_webhook(row: rows.Webhook) -> types.WebhookCreated:
    return types.WebhookCreated.model_validate(webhook(row).model_dump() | {"secret": row.secret})


def delivery(row: rows.WebhookDelivery) -> types.WebhookDelivery:
    place = f"/v1/webhooks/{row.webhook_id}/deliveries/{row.id}"
    known = {name: value for name, value in columns(row).items() if name in types.WebhookDelivery.model_fields}
    told = {
        "attempts": row.attempt,
        "next_attempt_at": row.due_at if row.status == "pending" else None,
        "links": {"self": place, "replay": f"{place}/replay"},
    }
    return types.WebhookDelivery.model_validate(known | told)
