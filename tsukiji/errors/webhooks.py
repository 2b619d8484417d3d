"""Errors of webhooks."""

from tsukiji.errors.requests import Conflict, Invalid


class WebhookUrlNotAllowed(Invalid):
    code = "webhook_url_not_allowed"
    title = "Webhooks may not be sent to this address"
    hint = "TSUKIJI_WEBHOOKS_HOSTS lists the allowed hosts; the service's operator sets it."


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    title = "The webhook is disabled"
    hint = "Enable it first: PATCH /v1/webhooks/{webhook} with enabled, or `tsukiji webhooks enable WEBHOOK`."


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    title = "There are too many webhooks"
    hint = "Delete one, or let the operator raise TSUKIJI_LIMIT_WEBHOOKS."
