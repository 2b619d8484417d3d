"""Webhooks: addresses that the service tells of events."""

from collections.abc import Sequence

from tsukiji import types
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path
from tsukiji.types.webhooks import ALL_EVENTS, DeliveryStatus


class Webhooks(Resource):
    async def create(
        self, url: str, events: Sequence[str] = (ALL_EVENTS,), *, description: str = ""
    ) -> types.WebhookCreated:
        """Create a webhook; its `secret` is shown this once.

        Args:
            url: an http or https address that answers 2xx to a POST.
            events: `*`, or patterns and names such as `training.*` and `model.promoted`.
            description: a note for people.
        """
        body = {"url": url, "events": list(events), "description": description}
        return await self._transport.fetch(types.WebhookCreated, "POST", path("webhooks"), json=body)

    def list(self, *, page_size: int | None = None) -> AsyncPaged[types.Webhook]:
        """List all webhooks, newest first, without secrets."""
        return self._transport.paged(path("webhooks"), types.Webhook.model_validate, limit=page_size)

    async def get(self, webhook: str | Identified) -> types.Webhook:
        return await self._transport.fetch(types.Webhook, "GET", path("webhooks", id_of(webhook)))

    async def update(
        self,
        webhook: str | Identified,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> types.Webhook:
        """Change what is given. While a webhook is disabled, no events are queued for it."""
        given = {"url": url, "events": events and list(events), "description": description, "enabled": enabled}
        body = {name: value for name, value in given.items() if value is not None}
        return await self._transport.fetch(types.Webhook, "PATCH", path("webhooks", id_of(webhook)), json=body)

    async def delete(self, webhook: str | Identified) -> None:
        """Delete it with its deliveries."""
        await self._transport.request("DELETE", path("webhooks", id_of(webhook)))

    async def rotate(self, webhook: str | Identified, *, overlap_hours: float = 24) -> types.WebhookCreated:
        """Replace the secret; for `overlap_hours` the old one signs as well."""
        place, body = path("webhooks", id_of(webhook), "rotate"), {"overlap_hours": overlap_hours}
        return await self._transport.fetch(types.WebhookCreated, "POST", place, json=body)

    async def test(self, webhook: str | Identified) -> types.WebhookDelivery:
        """Send it the event `webhook.test`; returns the delivery, which `delivery` reads again."""
        place = path("webhooks", id_of(webhook), "test")
        return await self._transport.fetch(types.WebhookDelivery, "POST", place)

    def deliveries(
        self, webhook: str | Identified, *, status: DeliveryStatus | None = None, page_size: int | None = None
    ) -> AsyncPaged[types.WebhookDelivery]:
        """List what was or will be sent, newest first; `status`: only `pending`, `delivered` or `failed` ones."""
        place = path("webhooks", id_of(webhook), "deliveries")
        return self._transport.paged(place, types.WebhookDelivery.model_validate, status=status, limit=page_size)

    async def delivery(self, webhook: str | Identified, delivery: str | Identified) -> types.WebhookDelivery:
        place = path("webhooks", id_of(webhook), "deliveries", id_of(delivery))
        return await self._transport.fetch(types.WebhookDelivery, "GET", place)

    async def replay(self, webhook: str | Identified, delivery: str | Identified) -> types.WebhookDelivery:
        """Attempt a delivery again, also one that succeeded; its id stays the same.

        Raises:
            ConflictError: the webhook is disabled.
        """
        place = path("webhooks", id_of(webhook), "deliveries", id_of(delivery), "replay")
        return await self._transport.fetch(types.WebhookDelivery, "POST", place)

    async def replay_failed(self, webhook: str | Identified) -> int:
        """Attempt all failed deliveries again; returns how many.

        Raises:
            ConflictError: the webhook is disabled.
        """
        place = path("webhooks", id_of(webhook), "replay")
        return (await self._transport.fetch(types.Replayed, "POST", place)).deliveries
