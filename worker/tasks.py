"""The tasks by name. Each is one call: a message says which row to look at, and nothing more."""

import threading
import time
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
from worker import analyses, batches, exports, imports, memory, trainings
from worker.claimed import work
from worker.lane import Lane
from worker.services import Services, open_services
from worker.stopping import stopping

TASK_SECONDS = 20


def register(settings: Settings, queue: Queue, lane: Lane | None = None) -> celery.Celery:
    """Return the Celery application with the tasks of one queue; an inference worker may have a lane beside it."""
    app = create_app(settings)
    process = Process(settings, queue, lane)
    if queue == Queue.INFER:
        worker_ready.connect(process.warm_up, weak=False)
    acts = {
        Task.TRAINING: process.train,
        Task.IMPORT: process.import_archive,
        Task.BATCH: process.plan_batch,
        Task.CHUNK: process.classify,
        Task.EVALUATION: process.evaluate,
        Task.EXPORT: process.export,
        Task.ANALYSIS: process.analyse,
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

    def __init__(self, settings: Settings, queue: Queue, lane: Lane | None) -> None:
        self._settings = settings
        self._queue = queue
        self._lane = lane
        self._making = threading.RLock()

    @property
    def services(self) -> Services:
        with self._making:  # the warming up and the first task may come at the same moment
            return self._services

    @cached_property
    def _services(self) -> Services:
        log.configure(self._settings.log, f"worker-{self._queue}")
        return open_services(self._settings)

    @cached_property
    def _chunks(self) -> Any:
        return import_module("worker.chunks")  # imports torch, which only the inference worker has

    def warm_up(self, **_: Any) -> None:
        """Import torch before the first task needs it, and look for work that waits for a worker like this one.

        In a thread, so that the first messages do not wait for it.
        """

        def warm_up() -> None:
            models = self._models
            if self._lane:
                self._lane.serve(import_module("worker.questions").Questions(self.services, models).ask)
            self.services.wakeups.send(Task.CHUNK, "start")

        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()

    @property
    def _models(self) -> Any:
        with self._making:
            return self._cache

    @cached_property
    def _cache(self) -> Any:
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

    def analyse(self, job_id: str) -> None:
        work(self.services, job_id, analyses.run)

    def classify(self, row_id: str) -> None:
        """Take chunks as long as there are any: the message says that there is work, not which.

        After a while a message goes out for the rest, so that Celery gets its turn, too.
        """
        until = time.monotonic() + TASK_SECONDS
        while self._chunks.run(self.services, self._models, row_id):
            if stopping.is_set() or time.monotonic() > until:
                self.services.wakeups.send(Task.CHUNK, "next")
                return
