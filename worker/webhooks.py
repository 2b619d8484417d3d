"""Delivers webhooks for the dispatcher: signed (Standard Webhooks), without redirects, retried with back-off.

Each webhook has threads of its own while it has something to send, a few at most: a receiver that is slow or down
delays no other. A thread holds one delivery at a time; all others are rows, so memory does not grow with the backlog.
"""

import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Final

import httpcore2
import httpx2
import structlog
from standardwebhooks import Webhook as Signer

from db import webhooks
from db.models import Webhook, WebhookDelivery
from db.session import DatabaseUnavailable, Session
from tsukiji import __version__
from tsukiji.errors import TsukijiError
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.settings import WebhookSettings
from tsukiji.kernel.web_guard import Resolve, header, open_pool, public_addresses, resolve
from tsukiji.kernel.webhook_urls import check_url, is_named
from worker.services import Services

log = structlog.get_logger(__name__)

THREADS: Final = 4
"""Deliveries to one webhook at a time."""
CLAIM_SECONDS: Final = 10
"""Beyond its timeout, for the claim of a delivery: a dispatcher that has not written the outcome by then is dead."""
JITTER: Final = 0.1
LONGEST_RETRY_AFTER: Final = 86400
GONE: Final = 410
SHOWN_ERROR: Final = 500


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: int | None = None
    """HTTP status; None without an answer."""
    error: str | None = None
    """None: the receiver took it."""
    retry_after: float = 0
    """Seconds that the receiver asked for."""


@dataclass
class Sender:
    """Sends signed requests to addresses that the settings allow."""

    settings: WebhookSettings
    resolve: Resolve = resolve
    dial: httpcore2.NetworkBackend = field(default_factory=httpcore2.SyncBackend)
    certificates: ssl.SSLContext | None = None

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return self.certificates or httpx2.create_ssl_context()

    def send(self, url: str, secrets: Sequence[str], delivery: WebhookDelivery) -> Outcome:
        """Make one attempt; never raises."""
        body = encode(delivery)
        try:
            place = check_url(url, self.settings.hosts)
            return self._post(place, body, sign(secrets, delivery.id, datetime.now(UTC), body))
        except TsukijiError as error:
            return Outcome(error=error.detail)
        except httpcore2.TimeoutException:
            return Outcome(error=f"No answer within {self.settings.seconds:g} s.")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, UnicodeError) as error:
            return Outcome(error=f"Could not be reached: {error or type(error).__name__}."[:SHOWN_ERROR])

    def _post(self, place: httpx2.URL, body: bytes, headers: dict[str, str]) -> Outcome:
        trusted = self._trusted  # made before the time runs
        deadline = time.monotonic() + self.settings.seconds
        host, port = place.raw_host.decode(), place.port or (443 if place.scheme == "https" else 80)
        find = self.resolve if is_named(place, self.settings.hosts) else self._resolve_public
        addresses = find(host, port)
        url = httpcore2.URL(scheme=place.raw_scheme, host=place.raw_host, port=port, target=place.raw_path)
        with (
            open_pool(addresses, self.dial, trusted, deadline) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
        ):
            return read_outcome(response)  # its body is not read

    def _resolve_public(self, host: str, port: int) -> Sequence[str]:
        return public_addresses(self.resolve, host, port)


def read_outcome(response: httpcore2.Response) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Outcome(status)
    why = "redirects are not followed" if 300 <= status < 400 else "only 2xx counts as received"
    return Outcome(status, f"It answered {status}; {why}.", read_retry_after(header(response, b"retry-after")))


def read_retry_after(text: str) -> float:
    """Return the seconds of a Retry-After header, up to a day; 0 if there is none that can be read."""
    try:
        seconds = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(seconds, 0), LONGEST_RETRY_AFTER)


def encode(delivery: WebhookDelivery) -> bytes:
    """Return the body: the same bytes at every attempt."""
    body = {"type": delivery.event, "timestamp": delivery.created_at.isoformat(), "data": delivery.data}
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers, with one signature for each secret."""
    signatures = [Signer(secret).sign(message_id, at, body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"tsukiji/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class Deliverer:
    """Starts threads for webhooks that have something to send."""

    def __init__(self, services: Services, sender: Sender | None = None) -> None:
        self._services = services
        self._settings = services.settings.webhooks
        self._sender = sender or Sender(self._settings)
        self._threads: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start_due(self) -> None:
        """Start threads, as many as each webhook may have, for all that is due."""
        with self._services.database.reading() as session:
            due = webhooks.due(session, THREADS)
        for webhook_id, count in due.items():
            with self._lock:
                more = min(count, THREADS - self._threads[webhook_id])
                self._threads[webhook_id] += more
            for _ in range(more):
                threading.Thread(target=self._work, args=(webhook_id,), name="webhook", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Start nothing more, and give running attempts some time; those that are cut off are made again later."""
        self._stop.set()
        until = time.monotonic() + seconds
        while self.running() and time.monotonic() < until:
            time.sleep(0.02)

    def running(self) -> int:
        with self._lock:
            return self._threads.total()

    def _work(self, webhook_id: str) -> None:
        try:
            while not self._stop.is_set() and self._deliver_next(webhook_id):
                pass
        except DatabaseUnavailable as error:
            log.warning("webhook_failed", webhook_id=webhook_id, error=str(error.orig))
        except Exception as error:
            log.warning("webhook_failed", webhook_id=webhook_id, exc_info=error)
        finally:
            with self._lock:
                self._threads[webhook_id] -= 1
                if not self._threads[webhook_id]:
                    del self._threads[webhook_id]

    def _deliver_next(self, webhook_id: str) -> bool:
        """Make one attempt; False if nothing is due."""
        with self._services.database.transaction() as session:
            claimed = webhooks.claim(session, webhook_id, self._settings.seconds + CLAIM_SECONDS)
            secrets = webhooks.signing_secrets(session, claimed[0]) if claimed else []
        if claimed is None:
            return False
        hook, delivery = claimed
        outcome = self._sender.send(hook.url, secrets, delivery)
        self._services.retry_while_unavailable(lambda session: self._settle(session, hook, delivery, outcome))
        meters().webhook_attempts.labels("failed" if outcome.error else "delivered").inc()
        told = {"webhook_id": hook.id, "delivery_id": delivery.id, "attempt": delivery.attempt}
        log.info("webhook_attempted", webhook_event=delivery.event, status=outcome.status, error=outcome.error, **told)
        return True

    def _settle(self, session: Session, hook: Webhook, delivery: WebhookDelivery, outcome: Outcome) -> None:
        if outcome.error is None:
            webhooks.succeed(session, delivery, outcome.status or 0)
            return
        again_in = self._next_attempt(delivery, outcome)
        webhooks.fail(session, delivery, outcome.status, outcome.error, again_in)
        if outcome.status == GONE:
            webhooks.disable(session, hook.id, "gone")
        elif again_in is None:
            webhooks.disable_failing(session, hook.id, self._settings.disable_hours)

    def _next_attempt(self, delivery: WebhookDelivery, outcome: Outcome) -> float | None:
        """Return the seconds until the next attempt; None: this was the last."""
        schedule = self._settings.retry_seconds
        if delivery.failures >= len(schedule):
            return None
        jitter = random.uniform(1, 1 + JITTER)  # noqa: S311 - not for security
        return max(schedule[delivery.failures] * jitter, outcome.retry_after)
