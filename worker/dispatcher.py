"""The dispatcher makes sure that no row is forgotten. Any number may run; compare-and-set resolves conflicts."""

import math
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from db import audit, blobs, quotas, rates, storage_budget, webhooks
from db.jobs import idempotency, jobs, leases, scheduling, uploads, workers
from db.predictions import retention
from db.session import Session
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.storage import Incoming
from worker.jobs.part_listing import list_ended
from worker.services import Services
from worker.store_reconciliation import Round
from worker.webhooks import Deliverer

log = structlog.get_logger(__name__)

BATCHES = frozenset({JobKind.BATCH})
UNCLAIMED_SECONDS = 5
"""If work is due for this long although a worker is idle, workers are notified again."""
HOUSEKEEPING_SECONDS = 600
PURGE_SECONDS = 1
"""Time per tick for deleting results: a batch of a million takes several ticks, so lost work is still found soon."""
SWEEPS = 20
"""Slices of each kind per housekeeping, of at most 500 rows each."""


def dispatch(services: Services, stop: threading.Event) -> None:
    """Tick until stopped. A database outage costs ticks, but does not stop the dispatcher."""
    housekeeping, round_, renotifier = time.monotonic(), Round(services), Renotifier(services)
    deliverer = Deliverer(services)
    while not stop.wait(services.settings.jobs.tick_seconds):
        try:
            expire(services)
            recover(services)
            renotifier.notify()
            deliverer.start_due()
            purge(services)
            list_ended(services)
            round_.advance()
            if time.monotonic() - housekeeping > HOUSEKEEPING_SECONDS:
                clean(services)
                housekeeping = time.monotonic()
        except Exception as error:
            log.warning("tick_failed", exc_info=error)
    deliverer.stop(services.settings.jobs.stop_seconds)


def expire(services: Services) -> None:
    """End jobs past their deadline."""
    with services.database.reading() as session:
        late = jobs.overdue(session)
    for job in late:
        with services.database.transaction() as session:
            if jobs.expire(session, job):
                log.warning("job_expired", job_id=job.id, deadline=str(job.deadline_at))


def recover(services: Services) -> None:
    """Requeue or end work with expired leases, each in its own transaction, so that one bad row blocks no other."""
    with services.database.transaction() as session:
        if shortened := leases.shorten(session, services.settings.jobs.lease_seconds):
            log.warning("clock_set_back", leases=shortened)
    with services.database.reading() as session:
        silent = leases.expired(session)
    for work in silent:
        with services.database.transaction() as session:
            became = leases.recover(session, work)
        log.warning("lease_expired", work=work.id, worker=work.lease_owner, now=became)
        if became:
            meters().leases_lost.labels("expired").inc()


class Renotifier:
    """Notifies workers again of due work while workers of its queue are idle: a message was lost, or its worker died.

    Busy workers look for more work anyway.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._notified: dict[str, float] = {}
        """When workers were last notified of due work, by its id."""

    def notify(self) -> None:
        services, now = self._services, time.monotonic()
        notified: dict[str, float] = {}
        with services.database.reading() as session:
            idle = workers.idle(session, 2 * services.settings.jobs.beat_seconds)
            due = {queue: scheduling.waiting(session, queue, idle.get(queue, 0)) for queue in Queue if idle.get(queue)}
        for queue, names in due.items():
            unclaimed = [name for name in names if now - self._notified.get(name, -math.inf) >= UNCLAIMED_SECONDS]
            notified |= {name: self._notified[name] for name in names if name in self._notified}
            if unclaimed and services.notifier.notify(queue, len(unclaimed)):
                log.info("bell_rung", queue=queue, times=len(unclaimed))
                notified |= dict.fromkeys(unclaimed, now)
        self._notified = notified


def purge(services: Services) -> None:
    """Delete expired results, a slice per transaction."""
    until = time.monotonic() + PURGE_SECONDS
    while time.monotonic() < until:
        with services.database.reading() as session:
            job = retention.next_due(session)
        if job is None:
            return
        with services.database.transaction() as session:
            retention.close(session, job, "retention")
        left = True
        while left and time.monotonic() < until:
            with services.database.transaction() as session:
                left = retention.delete_slice(session, job.id)
        if not left:
            log.info("results_deleted", job_id=job.id)


def clean(services: Services) -> None:
    """Expire old results, uploads, deliveries and audit entries; delete unreferenced bytes and old idempotency keys."""
    clean_uploads(services)
    check_budget(services)
    settings = services.settings.retention
    for kinds, days in (
        (BATCHES, settings.batch_days),
        (retention.KINDS - BATCHES, settings.prediction_days),
        (retention.IMPORTS, settings.import_days),
    ):
        if days:
            in_slices(services, partial(retention.give_up, kinds=kinds, days=days), retention.SLICE_JOBS)
    in_slices(services, idempotency.forget_old, idempotency.SLICE)
    in_slices(services, partial(webhooks.forget, days=settings.webhook_days), webhooks.SLICE)
    if settings.audit_days:
        in_slices(services, partial(audit.forget, days=settings.audit_days), audit.SLICE)
    with services.database.transaction() as session:
        quotas.forget_old(session)
        rates.forget_old(session)
    for _ in range(SWEEPS):
        if not sweep(services):
            return


def in_slices(services: Services, act: Callable[[Session], int], size: int) -> None:
    """Repeat an act, a transaction each, until it finds less than a slice; the rest follows in ten minutes."""
    for _ in range(SWEEPS):
        with services.database.transaction() as session:
            if act(session) < size:
                return


def check_budget(services: Services) -> None:
    """Tell webhooks if the store has come to hold more than its budget, or no longer does."""
    budget = int(services.settings.storage.budget_gb * 10**9)
    with services.database.transaction() as session:
        event = storage_budget.check(session, budget)
    if event:
        log.warning("budget_crossed", webhook_event=event, budget_bytes=budget)


def sweep(services: Services) -> int:
    """Delete some unreferenced bytes; returns how many.

    Bytes that are stored concurrently are left to the store's reconciliation, in case no row follows.
    """
    hours = services.settings.jobs.blob_grace_hours
    with services.database.transaction() as session:
        garbage = blobs.sweep(session, hours)
    for sha256 in garbage:
        with services.database.reading() as session:
            kept = blobs.is_kept(session, sha256)
        if not kept:
            services.store.discard(sha256, hours)
    if garbage:
        log.info("blobs_swept", blobs=len(garbage))
    return len(garbage)


def clean_uploads(services: Services) -> None:
    """Delete expired uploads: the parts first, so that the row remains until they are gone."""
    with services.database.reading() as session:
        late = uploads.expired(session)
    for upload in late:
        services.store.drop(Incoming(upload.id, upload.token))
        with services.database.transaction() as session:
            uploads.remove(session, upload.id)
    if late:
        log.info("uploads_expired", uploads=len(late))
