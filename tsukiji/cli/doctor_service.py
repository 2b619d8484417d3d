"""What `tsukiji doctor` looks at over HTTP: the service, the way to it, the key, workers, waiting work, webhooks."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2
from pydantic import ValidationError

from tsukiji import __version__, types
from tsukiji.cli.outcomes import describe, key_hint
from tsukiji.client import APIError, AuthenticationError, Client, PermissionDeniedError
from tsukiji.types.diagnoses import Diagnosis, fine, problem, warning

SECONDS: Final = 5
SILENT_SECONDS: Final = 60
ROLES: Final = ("train", "infer", "intake", "dispatcher")
SKEW_SECONDS: Final = 60
SOON_DAYS: Final = 14
STUCK_MINUTES: Final = 10
UPLOAD_BYTES: Final = 2 * 2**20
"""More than the 1 MiB that nginx lets pass by default."""
NOWHERE: Final = "/v1/datasets/doctor/imports"
LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


def service() -> Iterator[Diagnosis]:
    """Look at the service, and where it answers at the rest."""
    try:
        client = Client(timeout=SECONDS, max_retries=0)
    except ValueError as error:
        yield problem("service", str(error), "Set TSUKIJI_URL to an address such as http://127.0.0.1:8000.")
        return
    with client:
        try:
            info = client.info()
        except AuthenticationError as error:
            yield fine("service", client.url)
            yield problem("key", error.detail, key_hint())
            return
        except (APIError, ValidationError, ValueError) as error:
            detail, _, hint = describe(error).partition("\n")
            yield Diagnosis(check="service", ok=False, detail=detail, hint=way_to(client.url, hint))
            return
        yield fine("service", f"{client.url}, version {info.version}")
        yield from versions(info)
        yield key(client)
        yield workers(info)
        yield from queue(client)
        yield from webhooks(client)
        yield from connection(client.url)


def way_to(url: str, hint: str) -> str:
    """Return what may be wrong with an address that leads to no service; `hint` is what the error says."""
    if urlsplit(url).path.rstrip("/").endswith("/v1"):
        return "TSUKIJI_URL is the address without /v1."
    return hint or "Is TSUKIJI_URL the address of a Tsukiji service?"


def versions(info: types.Info) -> Iterator[Diagnosis]:
    if info.version != __version__:
        detail = f"the service has {info.version}, this program {__version__}"
        yield warning("versions", detail, f"Install {info.version} here, or upgrade the service.")
    others = sorted({f"{one.queue} {one.version}" for one in info.workers if one.version not in (None, info.version)})
    if others:
        detail = f"the API has {info.version}, of the workers {', '.join(others)}"
        yield warning("versions", detail, "Stop all programs, and start all from one version: a job may need both.")


def key(client: Client) -> Diagnosis:
    with suppress(APIError, ValidationError):
        own = client.keys.get_own()
        if own.expires_at and own.expires_at - datetime.now(UTC) < timedelta(days=SOON_DAYS):
            hint = f"`tsukiji keys rotate {own.prefix}` where the service runs, or create another."
            return warning("key", f"accepted, but it expires on {own.expires_at:%d %b %Y}", hint)
    return fine("key", "accepted")


def workers(info: types.Info) -> Diagnosis:
    """Each role needs a program that was heard of within a minute."""
    now = datetime.now(UTC)
    awake = [worker for worker in info.workers if (now - worker.seen_at).total_seconds() < SILENT_SECONDS]
    served = {queue for worker in awake for queue in worker.queue.split(",")}
    missing = [queue for queue in ROLES if queue not in served]
    detail = ", ".join(f"{worker.queue} on {worker.device or 'cpu'}{fastest(worker)}" for worker in awake) or "none"
    if missing:
        return problem(
            "workers", detail, f"There is no {' and no '.join(missing)}; start one, or all with `tsukiji up`."
        )
    return fine("workers", detail)


def fastest(worker: types.WorkerInfo) -> str:
    """Return what a worker's processor is fastest with, if it was measured."""
    if not worker.engines:
        return ""
    best = worker.engines[0]
    return f" ({best.engine} {best.precision}, {best.images_per_second:.0f} images/s a core)"


def queue(client: Client) -> Iterator[Diagnosis]:
    """Work that has waited long although nothing runs is stuck."""
    with suppress(APIError, ValidationError):
        waiting = list(client.jobs.list(status="queued")[:200])
        running = list(client.jobs.list(status="running")[:1])
        oldest = min((job.created_at for job in waiting), default=None)
        if oldest and not running and datetime.now(UTC) - oldest > timedelta(minutes=STUCK_MINUTES):
            hint = "Are workers and dispatcher running, and do they use the same database? Their logs tell more."
            yield problem("queue", f"{len(waiting)} jobs wait, since {oldest:%d %b %H:%M} UTC, and none runs", hint)


def webhooks(client: Client) -> Iterator[Diagnosis]:
    """Only administrators see them."""
    with suppress(APIError, PermissionDeniedError, ValidationError):
        for hook in client.webhooks.list():
            if hook.disabled_because in {"failing", "gone"}:
                hint = f"Mend the receiver, then `tsukiji webhooks enable {hook.id}` and replay."
                yield warning("webhooks", f"{hook.url} was disabled: {hook.disabled_because}", hint)
            elif hook.failing_since:
                hint = f"`tsukiji webhooks deliveries {hook.id}` says why."
                yield warning("webhooks", f"{hook.url} has been failing since {hook.failing_since:%d %b %H:%M}", hint)


# --- what lies between -----------------------------------------------------------------------------------------------


def connection(url: str) -> Iterator[Diagnosis]:
    """Look at clock, TLS and proxies, with requests of our own."""
    host = urlsplit(url).hostname or ""
    if not url.startswith("https://") and host not in LOOPBACK:
        hint = "The key and pictures are readable on the way: use https://, by the service itself or a proxy."
        yield warning("tls", f"{url} is not encrypted", hint)
    secret = os.environ.get("TSUKIJI_API_KEY", "")
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    with httpx2.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=host not in LOOPBACK) as http:
        yield from clock(http)
        yield from events(http)
        yield from uploads(http)


def clock(http: httpx2.Client) -> Iterator[Diagnosis]:
    with suppress(httpx2.HTTPError, KeyError, TypeError, ValueError):
        theirs = parsedate_to_datetime(http.get("/livez").headers["date"])
        skew = abs((datetime.now(UTC) - theirs).total_seconds())
        if skew > SKEW_SECONDS:
            yield warning("clock", f"this machine and the service differ by {skew:.0f} s", "Set both clocks by NTP.")


def events(http: httpx2.Client) -> Iterator[Diagnosis]:
    """A stream of events begins at once; a proxy that collects answers holds it back."""
    late = problem(
        "events",
        f"no event arrives within {SECONDS} s: a proxy holds the stream back",
        "Switch buffering off for the proxy: `proxy_buffering off` of nginx, with HTTP/1.1 to the service.",
    )
    try:
        with http.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                return
            next(answer.iter_bytes(), b"")
            yield fine("events", "begin at once")
    except httpx2.TimeoutException:
        yield late
    except httpx2.HTTPError:
        return


def uploads(http: httpx2.Client) -> Iterator[Diagnosis]:
    """Send more than a proxy lets pass by default, to where nothing is: the service itself answers with a problem."""
    cut = problem(
        "uploads",
        f"a request of {UPLOAD_BYTES // 2**20} MiB does not reach the service: a proxy refuses it",
        "Raise the proxy's limit: `client_max_body_size 0` of nginx; the service has limits of its own.",
    )
    try:
        answer = http.post(NOWHERE, content=bytes(UPLOAD_BYTES), headers={"Content-Type": "application/zip"})
    except httpx2.HTTPError:
        yield cut
        return
    ours = answer.headers.get("content-type", "").startswith("application/problem+json")
    if answer.status_code == 413 and not ours:
        yield cut
    else:
        yield fine("uploads", f"{UPLOAD_BYTES // 2**20} MiB reach the service")
