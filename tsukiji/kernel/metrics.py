"""What programs count for Prometheus. Each process writes into files of its own, in one folder of the machine.

Any reader of the folder sees all processes: the API's `/metrics`, or a worker's own port (`serve`). A process takes the
first free place of its role, and continues the counters of the one that had it before, so that the number of files is
that of the processes that ever ran at the same time. What rows can tell is not counted here, but read from them
(`api.metrics`).
"""

import fcntl
import os
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector

from tsukiji.kernel.settings import Settings

log = structlog.get_logger(__name__)

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
RESERVED_BYTES: Final = {"counter": 2**18, "histogram": 2**20, "gauge_livesum": 2**16, "gauge_livemax": 2**16}
"""Of a process's files by kind; more than they come to hold."""
LIVE: Final = "gauge_live*_{}.db"

_place: IO[str] | None = None
"""The lock that this process holds on its place, for as long as it lives."""


class Meters:
    """All metrics of processes. Labels have few values: no ids, no names that users choose."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.http_requests = self._counter(
            "http_requests_total", "Requests answered, by route.", ("route", "method", "status")
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds", "Time until the answer was sent, by route.", FAST, ("route",)
        )
        self.jobs_ended = self._counter("jobs_ended_total", "Jobs that ended, by kind and how.", ("kind", "status"))
        self.job_wait_seconds = self._histogram(
            "job_wait_seconds", "Time in the queue until a job was first claimed, by kind.", SLOW, ("kind",)
        )
        self.images_classified = self._counter(
            "images_classified_total", "Pictures of batches and predictions, by result.", ("result",)
        )
        self.images_imported = self._counter("images_imported_total", "Files of imports, by verdict.", ("result",))
        self.decode_seconds = self._histogram("decode_seconds", "Decoding and resizing one picture to classify.", FAST)
        self.forward_seconds = self._histogram("forward_seconds", "One forward pass of a network.", FAST)
        self.forward_images = self._counter("forward_images_total", "Pictures in forward passes.")
        self.write_seconds = self._histogram("write_seconds", "Writing the predictions of one chunk.", FAST)
        self.model_cache = self._counter(
            "model_cache_requests_total", "Requests for a model by a worker: loaded already (hit) or not.", ("result",)
        )
        self.model_load_seconds = self._histogram("model_load_seconds", "Loading a model into memory.", SLOW)
        self.models_loaded_bytes = self._gauge("models_loaded_bytes", "Memory of loaded models.")
        self.feature_cache = self._counter(
            "feature_cache_lookups_total", "Pictures looked up in the feature cache.", ("result",)
        )
        self.leases_lost = self._counter(
            "leases_lost_total", "Leases that ended before their work: expired, taken or stalled.", ("reason",)
        )
        self.webhook_attempts = self._counter(
            "webhook_attempts_total", "Attempts to deliver a webhook, by result.", ("result",)
        )
        self.gpu_memory_bytes = self._gauge(
            "gpu_memory_bytes", "Memory of GPUs that workers use, by state.", ("device", "state"), mode="livemax"
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"tsukiji_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"tsukiji_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = (), mode: Any = "livesum") -> Gauge:
        return Gauge(f"tsukiji_{name}", text, labels, registry=self.registry, multiprocess_mode=mode)


@cache
def meters() -> Meters:
    """Return this process's metrics; before `configure` they are in memory only."""
    return Meters()


def folder_of(settings: Settings) -> Path:
    return settings.cache_dir / "metrics"


def configure(settings: Settings, role: str) -> None:
    """Write metrics into the machine's folder from now on, if that is possible; before the first call of `meters`."""
    global _place
    folder = folder_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _place, name = take_place(folder, role)
        forget_gauges(folder, name)
        reserve(folder, name)
    except OSError as error:
        log.warning("metrics_unavailable", folder=str(folder), error=str(error))
        return
    os.environ[FOLDER_VARIABLE] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: name)
    meters.cache_clear()


def take_place(folder: Path, role: str) -> tuple[IO[str], str]:
    """Return the lock and the name of the first place of a role that no living process has."""
    for number in count():
        name = f"{role}-{number}"
        lock = (folder / f"{name}.lock").open("w")
        if is_free(lock):
            return lock, name
        lock.close()
    raise AssertionError


def reserve(folder: Path, name: str) -> None:
    """Fill the files with zeros: a full disk is an OSError now, but kills a process that writes to its memory map.

    Raises:
        OSError
    """
    for kind, size in RESERVED_BYTES.items():
        with (folder / f"{kind}_{name}.db").open("ab") as file:
            file.write(bytes(max(0, size - file.tell())))


def is_free(lock: IO[str]) -> bool:
    """Take a lock if nothing holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def forget_gauges(folder: Path, name: str) -> None:
    """Delete the gauges of a place: they say how a process is, which is no more."""
    for path in folder.glob(LIVE.format(name)):
        path.unlink(missing_ok=True)


def forget_dead(folder: Path) -> None:
    """Delete the gauges of all processes that have died."""
    for path in folder.glob("*.lock"):
        with path.open("w") as lock:
            if is_free(lock):
                forget_gauges(folder, path.stem)


class Processes:
    """A collector of all processes' metrics: those in the folder, or without one those of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Any]:
        if os.environ.get(FOLDER_VARIABLE) != str(self._folder):
            yield from meters().registry.collect()
            return
        forget_dead(self._folder)
        yield from MultiProcessCollector(None, str(self._folder)).collect()


def serve(settings: Settings) -> None:
    """Let Prometheus read the folder at `TSUKIJI_METRICS_PORT`, if one is set and no other process serves it."""
    if not settings.metrics.port:
        return
    registry = CollectorRegistry()
    registry.register(Processes(folder_of(settings)))
    try:
        start_http_server(settings.metrics.port, settings.metrics.host, registry)
    except OSError as error:
        log.info("metrics_port_taken", port=settings.metrics.port, error=str(error))
