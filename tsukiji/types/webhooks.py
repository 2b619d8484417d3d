"""Webhooks: which events there are, who is told of them, and how that went."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from tsukiji.jobs import JobKind
from tsukiji.types.base import Answer, Request

ENDS: Final = ("succeeded", "failed", "cancelled", "expired")
TEST_EVENT: Final = "webhook.test"
"""Sent on request, to any webhook."""
EVENTS: Final = (
    *(f"{kind}.{end}" for kind in JobKind if kind != JobKind.PREDICTION for end in ENDS),
    "batch.guarantee_broken",
    "model.promoted",
    "model.drift",
    "storage.over_budget",
    "storage.within_budget",
)
"""Of predictions there may be hundreds in a second: they are told of where they were asked for."""
ALL_EVENTS: Final = "*"
PATTERNS: Final = (ALL_EVENTS, *dict.fromkeys(f"{event.partition('.')[0]}.*" for event in EVENTS), *EVENTS)
"""What a webhook may ask for."""


def check_pattern(pattern: str) -> str:
    """Raise ValueError if no event has this name."""
    if pattern not in PATTERNS:
        raise ValueError(f"there is no event {pattern[:100]!r}; for instance `*`, `training.*` or `training.succeeded`")
    return pattern


def check_scheme(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("starts with neither https:// nor http://")
    return url


Pattern = Annotated[str, Field(max_length=60, examples=["training.*"]), AfterValidator(check_pattern)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=len(PATTERNS))]
Address = Annotated[
    str, Field(max_length=2000, examples=["https://hooks.example.com/tsukiji"]), AfterValidator(check_scheme)
]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class WebhookCreate(Request):
    url: Address
    events: Patterns = [ALL_EVENTS]
    """`*`: all; `training.*`: all ends of trainings; or names of events."""
    description: Description = ""


class WebhookUpdate(Request):
    """Only the members that are sent are changed."""

    url: Address | None = None
    events: Patterns | None = None
    description: Description | None = None
    enabled: bool | None = None


class WebhookRotate(Request):
    overlap_hours: float = Field(24, ge=0, le=24 * 30)
    """For so long the old secret signs as well."""


class Webhook(Answer):
    """An address that is told of events. Its secret is shown once, when it is made."""

    object: Literal["webhook"] = "webhook"
    id: str
    url: str
    description: str = ""
    events: list[str]
    enabled: bool
    disabled_at: datetime | None = None
    disabled_because: str | None = None
    """`asked`; `failing`: every delivery failed for days; `gone`: the receiver answered 410."""
    failing_since: datetime | None = None
    """The first failed attempt since the last one that succeeded."""
    old_secret_expires_at: datetime | None = None
    created_at: datetime
    created_by: str | None = None
    links: dict[str, str] = {}


class WebhookCreated(Webhook):
    secret: str
    """`whsec_...`, shown this once: the receiver verifies signatures with it."""


class WebhookDelivery(Answer):
    """An event for one webhook. Its id is sent as `webhook-id`, the same at every attempt."""

    object: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    webhook_id: str
    event: str
    data: dict[str, Any]
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    ended_at: datetime | None = None
    response_status: int | None = None
    """HTTP status of the last attempt; null without an answer."""
    error: str | None = None
    """Why the last attempt failed."""
    links: dict[str, str] = {}


class Replayed(Answer):
    """How many deliveries will be attempted again."""

    deliveries: int
