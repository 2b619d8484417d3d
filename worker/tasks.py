"""The tasks by name. Each is one call: a message says which row to look at, and nothing more."""

import threading
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any

import celery
import structlog
from celery.signals import worker_ready

from tsukiji import log
from tsukiji.jobs import QUEUE_OF, Queue, Task
from tsukiji.queue import create_app
from tsukiji.settings import Settings
from worker import batches, exports, imports, memory, trainings
from worker.claimed import work
from worker.services import Services, open_services


def register(settings: Settings, queue: Queue) -> celery.Celery:
    """Return the Celery application with the tasks of one queue."""
    app = create_app(settings)
    process = Process(settings, queue)
    if queue == Queue.INFER:
        worker_ready.connect(process.warm_up, weak=False)
    acts = {
        Task.TRAINING: process.train,
        Task.IMPORT: process.import_archive,
        Task.BATCH: process.plan_batch,
        Task.CHUNK: process.classify,
        Task.EVALUATION: process.evaluate,
        Task.EXPORT: process.export,
    }
    for task, act in acts.items():
        if QUEUE_OF[task] == queue:
            app.task(name=task.value)(as_task(act, settings))
    return app


def as_task(act: Callable[[str], None], settings: Settings) -> Callable[[str], None]:
    def run(row_id: str) -> None:
        structlog.contextvars.clear_contextvars()
        act(row_id)
        memory.retire_if_grown(settings.jobs.worker_memory_mb)

    return run


class Process:
    """What a worker process makes once, when it is first needed."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._settings = settings
        self._queue = queue

    @cached_property
    def services(self) -> Services:
        log.configure(self._settings.log, f"worker-{self._queue}")
        return open_services(self._settings)

    @cached_property
    def _chunks(self) -> Any:
        return import_module("worker.chunks")  # imports torch, which only the inference worker has

    def warm_up(self, **_: Any) -> None:
        """Import torch before the first task needs it, without keeping the first messages waiting."""
        threading.Thread(target=lambda: self._chunks, name="warm-up", daemon=True).start()

    @cached_property
    def _models(self) -> Any:
        return self._chunks.ModelCache(self.services)

    def train(self, job_id: str) -> None:
        work(self.services, job_id, trainings.run)

    def import_archive(self, job_id: str) -> None:
        work(self.services, job_id, imports.run)

    def plan_batch(self, job_id: str) -> None:
        work(self.services, job_id, batches.plan)

    def evaluate(self, job_id: str) -> None:
        # Imports scikit-learn, which the other work does without.
        work(self.services, job_id, import_module("worker.evaluations").run)

    def export(self, job_id: str) -> None:
        work(self.services, job_id, exports.run)

    def classify(self, chunk_id: str) -> None:
        self._chunks.run(self.services, self._models, chunk_id)
