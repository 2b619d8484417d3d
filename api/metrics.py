"""`/metrics` for Prometheus: what the processes of this machine count, and what rows and disks tell when asked."""

import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily

from db import metrics, storage_budget
from db.session import Database
from tsukiji import __version__
from tsukiji.kernel.metrics import Processes, folder_of
from tsukiji.kernel.settings import Settings

SUM_SECONDS: Final = 60
"""The sum of all stored bytes reads a row for each picture, so it is made no more often."""
DRIFT_SECONDS: Final = 24 * 60 * 60


class State:
    """A collector of what can be read: queues, jobs, webhooks, bytes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._summed = -float(SUM_SECONDS)
        self._stored = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield gauge("build_info", "Version of the API.", ("version",), {(__version__,): 1})
        with self._database.reading() as session:
            queues = metrics.queues(session)
            active = metrics.active_jobs(session)
            pending, failing = metrics.pending_deliveries(session), metrics.failing_webhooks(session)
            strange = metrics.strange_batches(session, DRIFT_SECONDS)
            if time.monotonic() - self._summed >= SUM_SECONDS:
                self._stored, self._summed = storage_budget.used_bytes(session), time.monotonic()
        by_queue = partial(by_label, "queue")
        yield by_queue("queue_depth", "Jobs or chunks that wait.", {q: s.depth for q, s in queues.items()})
        oldest = {q: s.oldest_seconds for q, s in queues.items()}
        yield by_queue("queue_oldest_seconds", "Age of the oldest that waits.", oldest)
        yield by_queue("workers", "Workers that reported lately.", {q: s.workers for q, s in queues.items()})
        yield gauge(
            "jobs_active", "Unfinished jobs.", ("kind", "status"), {(kind, status): n for kind, status, n in active}
        )
        yield gauge("webhook_deliveries_pending", "Deliveries that wait.", (), {(): pending})
        yield gauge("webhooks_failing", "Webhooks that fail, or were disabled because they did.", (), {(): failing})
        yield gauge("drift_batches", "Batches of the last day that differ from held-out pictures.", (), {(): strange})
        yield gauge("stored_bytes", "Bytes in the store.", (), {(): self._stored})
        budget = self._settings.storage.budget_gb * 10**9
        yield gauge("storage_budget_bytes", "Their budget; 0: none.", (), {(): budget})
        disks = {name: usage for name, path in self._folders().items() if (usage := usage_of(path))}
        by_folder = partial(by_label, "folder")
        yield by_folder("disk_free_bytes", "Free space of a folder's disk.", {one: u.free for one, u in disks.items()})
        yield by_folder("disk_total_bytes", "Size of a folder's disk.", {one: u.total for one, u in disks.items()})

    def _folders(self) -> dict[str, Path]:
        settings = self._settings
        scheme, _, place = settings.storage_url.partition("://")
        store = {"store": Path(place)} if scheme == "file" else {}
        return store | {"cache": settings.cache_dir, "data": settings.data.dir}


def usage_of(path: Path) -> Any:
    """Return the disk's usage; None if the folder does not exist."""
    try:
        return shutil.disk_usage(path)
    except OSError:
        return None


def by_label(label: str, name: str, text: str, samples: Mapping[Any, float]) -> GaugeMetricFamily:
    return gauge(name, text, (label,), {(value,): number for value, number in samples.items()})


def gauge(name: str, text: str, labels: tuple[str, ...], samples: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tsukiji_{name}", text, labels=labels)
    for values, value in samples.items():
        family.add_metric(list(values), value)
    return family


def registry_of(database: Database, settings: Settings) -> CollectorRegistry:
    """Return what `/metrics` shows."""
    registry = CollectorRegistry()
    registry.register(Processes(folder_of(settings)))
    registry.register(State(database, settings))
    return registry
