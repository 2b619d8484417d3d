"""`tsukiji webhooks`: addresses that are told of events."""

from typing import Annotated, Any

import typer

from tsukiji import types
from tsukiji.cli.options import Limit
from tsukiji.cli.output import FITS, AsJson, note, print_fields, print_json, print_records, suggest
from tsukiji.client import Client
from tsukiji.types.webhooks import ALL_EVENTS, DeliveryStatus

app = typer.Typer(no_args_is_help=True, help="Addresses that are told when jobs end and models are promoted.")

WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of a webhook, whk_...")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", help="An event or a kind: training.*, batch.failed, model.promoted; default: everything."),
]


def state_of(hook: types.Webhook) -> str:
    if not hook.enabled:
        return f"disabled ({hook.disabled_because})"
    return "failing" if hook.failing_since else "enabled"


WEBHOOK_COLUMNS = {
    "id": lambda hook: hook.id,
    "url": lambda hook: hook.url,
    "events": lambda hook: hook.events,
    "state": state_of,
    "description": lambda hook: hook.description,
}
DELIVERY_COLUMNS = {
    "id": lambda one: one.id,
    "event": lambda one: one.event,
    "status": lambda one: one.status,
    "attempts": lambda one: one.attempts,
    "answer": lambda one: one.response_status,
    "next attempt": lambda one: one.next_attempt_at,
    "created": lambda one: one.created_at,
    "error": lambda one: one.error,
}


@app.command("ls")
def list_webhooks(limit: Limit = None, as_json: AsJson = False) -> None:
    """List the webhooks, newest first."""
    with Client() as client:
        print_records(client.webhooks.list(), WEBHOOK_COLUMNS, as_json, limit, FITS)


@app.command("create")
def create_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent by POST.")],
    events: Events = None,
    description: Annotated[str, typer.Option("--description", help="A note for people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create a webhook and print its secret, only this once; without `--event` it is told of everything."""
    with Client() as client:
        made = client.webhooks.create(url, events or [ALL_EVENTS], description=description)
    show_secret(made, as_json)
    suggest("webhooks", "test", made.id)


@app.command("rm")
def delete_webhook(webhook: WebhookId) -> None:
    """Delete a webhook with its deliveries."""
    with Client() as client:
        client.webhooks.delete(webhook)
    note(f"deleted {webhook}")


@app.command("enable")
def enable_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Queue events for a webhook again."""
    with Client() as client:
        print_records([client.webhooks.update(webhook, enabled=True)], WEBHOOK_COLUMNS, as_json)


@app.command("disable")
def disable_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Queue no more events for a webhook, and give up those that wait."""
    with Client() as client:
        print_records([client.webhooks.update(webhook, enabled=False)], WEBHOOK_COLUMNS, as_json)


@app.command("rotate")
def rotate_secret(
    webhook: WebhookId,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, help="For so long the old secret signs as well.")
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Replace the secret, and print the new one, only this once."""
    with Client() as client:
        show_secret(client.webhooks.rotate(webhook, overlap_hours=overlap_hours), as_json)


@app.command("test")
def send_test(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Send a webhook the event webhook.test."""
    with Client() as client:
        print_records([client.webhooks.test(webhook)], DELIVERY_COLUMNS, as_json)
    suggest("webhooks", "deliveries", webhook)


@app.command("deliveries")
def list_deliveries(
    webhook: WebhookId,
    status: Annotated[DeliveryStatus | None, typer.Option("--status", help="Only this status; default: all.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List what was or will be sent, newest first."""
    with Client() as client:
        print_records(client.webhooks.deliveries(webhook, status=status), DELIVERY_COLUMNS, as_json, limit, FITS)


@app.command("replay")
def replay(
    webhook: WebhookId,
    delivery: Annotated[
        str | None, typer.Argument(metavar="[DELIVERY]", help="Id of a delivery, msg_...; by default all that failed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attempt a delivery again, or all that failed."""
    with Client() as client:
        if delivery:
            print_records([client.webhooks.replay(webhook, delivery)], DELIVERY_COLUMNS, as_json)
            return
        count = client.webhooks.replay_failed(webhook)
    if as_json:
        print_json({"deliveries": count})
    else:
        note(f"{count} deliveries will be attempted again")


def show_secret(made: types.WebhookCreated, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    fields: dict[str, Any] = {"id": made.id, "url": made.url, "events": made.events, "secret": made.secret}
    print_fields(fields | {"old secret until": made.old_secret_expires_at})
