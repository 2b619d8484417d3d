"""The dispatcher's daily reconciliation of the store, a second per tick, so that lost work is still found soon."""

import time
from collections.abc import Iterator
from typing import Final

import structlog

from db.reconciliation import Reconciliation, reconcile
from worker.services import Services

log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 600
EVERY_SECONDS: Final = 86_400
TICK_SECONDS: Final = 1
NAMED: Final = 10


class Round:
    """Repeated rounds; `advance` continues for a moment."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._due = time.monotonic() + FIRST_SECONDS
        self._pages: Iterator[Reconciliation] | None = None
        self._found = Reconciliation()

    def advance(self) -> None:
        """Raises errors of the store and the database; the round is then restarted after a while."""
        if self._pages is None:
            if time.monotonic() < self._due:
                return
            services = self._services
            self._pages = reconcile(services.database, services.store, services.settings.jobs.blob_grace_hours)
        pages, self._pages, self._due = self._pages, None, time.monotonic() + FIRST_SECONDS
        until = time.monotonic() + TICK_SECONDS
        for self._found in pages:
            if time.monotonic() > until:
                self._pages = pages
                return
        self._due = time.monotonic() + EVERY_SECONDS
        tell(self._found)


def tell(found: Reconciliation) -> None:
    log.info("store_reconciled", known=found.known, discarded=found.discarded, young=found.young)
    if found.missing or found.altered:
        log.error(
            "blobs_damaged",
            missing=len(found.missing),
            altered=len(found.altered),
            first=(found.missing + found.altered)[:NAMED],
            hint="`tsukiji admin verify` lists them; restore the store from a backup, or send the pictures again.",
        )
    if found.refused:
        log.error("store_unknown", detail=found.refused, hint="Run `tsukiji admin verify`.")
