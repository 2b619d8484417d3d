"""Heartbeats of workers, shown by `/v1/info` and `tsukiji doctor`."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from db.jobs import workers
from db.session import Database, DatabaseUnavailable
from tsukiji.jobs import Queue
from tsukiji.kernel.predict_rpc import RpcAddress
from tsukiji.kernel.settings import Settings
from tsukiji.vision.engines.speeds import recall
from worker.inference.pretrained_weights import AvailableWeights

LEAVE_SECONDS = 2

log = structlog.get_logger(__name__)


def announce(
    settings: Settings,
    worker: str,
    queue: str,
    device: str | None,
    address: RpcAddress | None = None,
    available: AvailableWeights | None = None,
) -> Callable[[], None]:
    """Report in the background until the returned function is called, which also removes the worker from the list."""
    stop = threading.Event()
    arguments = (settings, worker, queue, device, address, available, stop)
    thread = threading.Thread(target=_report, args=arguments, name="presence", daemon=True)
    thread.start()

    def leave() -> None:
        stop.set()
        thread.join(LEAVE_SECONDS)

    return leave


def _report(
    settings: Settings,
    worker: str,
    queue: str,
    device: str | None,
    address: RpcAddress | None,
    available: AvailableWeights | None,
    stop: threading.Event,
) -> None:
    database = Database(settings)
    while True:
        try:
            with database.transaction() as session:
                weights = available.weights() if available else None
                workers.report(session, worker, queue, device, address, weights, speeds_of(settings, queue))
        except DatabaseUnavailable as error:
            log.warning("presence_failed", error=str(error.orig))
        if available and available.probe():
            continue  # report what was found immediately
        if stop.wait(settings.jobs.beat_seconds):
            break
    with suppress(DatabaseUnavailable), database.transaction() as session:
        workers.leave(session, worker)
    database.close()


def speeds_of(settings: Settings, queue: str) -> list[dict[str, Any]] | None:
    """Return what is known about the engines of an inference worker's machine."""
    return [one.model_dump() for one in recall(settings.cache_dir)] if queue == Queue.INFER else None
