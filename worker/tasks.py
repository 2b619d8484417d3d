"""The single Celery task of a worker: its queue has work; the rows say which."""

import threading
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import celery
import structlog
from celery.signals import worker_ready

from db.models import Job
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel import log
from tsukiji.kernel.queue import create_app, task_name
from tsukiji.kernel.settings import Settings
from worker import memory
from worker.inference.predict_rpc import PredictServer
from worker.lease import Lease
from worker.runner import CHUNK, Acts, work_next
from worker.services import Services, open_services
from worker.shutdown import stopping

if TYPE_CHECKING:
    from worker.inference.model_cache import ModelCache

TASK_SECONDS = 20
"""After this long a worker notifies itself and returns, so that Celery can handle its signals."""


def register(settings: Settings, queue: Queue, server: PredictServer | None = None) -> celery.Celery:
    """Return the Celery application with the task of one queue; an inference worker may serve the predict RPC too."""
    app = create_app(settings)
    process = Process(settings, queue, server)
    worker_ready.connect(process.start, weak=False)
    app.task(name=task_name(queue))(process.work)
    return app


class Process:
    """Lazily created objects of a worker process."""

    def __init__(self, settings: Settings, queue: Queue, server: PredictServer | None) -> None:
        self._settings = settings
        self._queue = queue
        self._server = server
        self._making = threading.RLock()

    def work(self) -> None:
        """Work as long as something is due."""
        structlog.contextvars.clear_contextvars()
        until = time.monotonic() + TASK_SECONDS
        while work_next(self.services, self._queue, self.acts):
            grown = memory.retire_if_grown(self._settings.jobs.worker_memory_mb)
            if grown or stopping.is_set() or time.monotonic() > until:
                self.services.notifier.notify(self._queue)
                return

    def start(self, **_: Any) -> None:
        """Look for waiting work, and import torch before the first work needs it.

        Runs in a thread, so that the first messages do not wait for it.
        """
        threading.Thread(target=self._start, name="start", daemon=True).start()

    def _start(self) -> None:
        if self._queue == Queue.INFER and self.acts and self._server:
            from worker.inference.micro_batcher import MicroBatcher  # noqa: PLC0415 - torch, which only this worker has
            from worker.inference.similar_pictures import SimilarPictures  # noqa: PLC0415 - torch again

            self._server.serve(MicroBatcher(self.services, self._models).ask, SimilarPictures(self.services).ask)
        self.services.notifier.notify(self._queue)
        if self._queue == Queue.INFER and self.acts:
            self._models.prepare()

    @property
    def services(self) -> Services:
        with self._making:  # start and first task may run concurrently
            return self._services

    @property
    def acts(self) -> Acts:
        """Return the function for each kind of work in this queue."""
        with self._making:
            return self._acts

    @cached_property
    def _services(self) -> Services:
        log.configure(self._settings.log, f"worker-{self._queue}")
        return open_services(self._settings)

    @cached_property
    def _acts(self) -> Acts:
        # Imported here, because each worker needs only the libraries of its own queue: torch, scipy and others take
        # a hundred megabytes each.
        match self._queue:
            case Queue.TRAIN:
                from worker.jobs import trainings  # noqa: PLC0415 - the libraries of this queue only

                return {JobKind.TRAINING: trainings.run}
            case Queue.INTAKE:
                from worker.jobs import analyses, batches, exports, imports  # noqa: PLC0415 - the libraries of this queue only

                return {
                    JobKind.IMPORT: imports.run,
                    JobKind.BATCH: batches.run,
                    JobKind.EVALUATION: evaluate,
                    JobKind.EXPORT: exports.run,
                    JobKind.ANALYSIS: analyses.run,
                    JobKind.SUGGESTION: suggest,
                }
            case Queue.INFER:
                from worker.inference.chunks import classify  # noqa: PLC0415 - the libraries of this queue only

                return {CHUNK: partial(classify, self._models)}

    @cached_property
    def _models(self) -> "ModelCache":
        from worker.inference.model_cache import ModelCache  # noqa: PLC0415 - torch, which only this worker has

        return ModelCache(self.services)


def evaluate(services: Services, job: Job, lease: Lease) -> None:
    from worker.jobs import evaluations  # noqa: PLC0415 - scikit-learn, which the other work does without

    evaluations.run(services, job, lease)


def suggest(services: Services, job: Job, lease: Lease) -> None:
    from worker.jobs import suggestions  # noqa: PLC0415 - SciPy, a quarter of the time that a worker takes to start

    suggestions.run(services, job, lease)
