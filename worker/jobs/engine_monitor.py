"""Follows an engine for its job: progress, epochs and checkpoints into rows, signals of the row to the engine."""

import time
from typing import Any, assert_never

import structlog

from db import blobs
from db.jobs import jobs, leases
from db.models import Job
from db.session import Session
from training.events import Alive, Checkpoint, Done, Epoch, Event, Failed, Log, Looked, Phase, Progress
from tsukiji import errors
from tsukiji.errors import InternalError, TrainingCrashed, TsukijiError, WorkStalled
from worker import memory
from worker.device_turn import DeviceTurn
from worker.inputs.input_files import discard
from worker.jobs.engine import Engine
from worker.lease import Lease, Stale, renew
from worker.services import Services

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.2
WEIGH_SECONDS = 2.0
WRITE_SECONDS = 1.0
"""Progress is written at most this often."""


class EngineMonitor:
    """Follows a running engine: writes its events to the row, and sends the row's signals to the engine."""

    def __init__(
        self, services: Services, job: Job, lease: Lease, engine: Engine, turn: DeviceTurn | None = None
    ) -> None:
        self._services, self._job, self._lease, self._engine, self._turn = services, job, lease, engine, turn
        self._heard = time.monotonic()
        self._written = self._weighed = 0.0
        self._detail: dict[str, Any] = {}
        self._epochs: list[dict[str, Any]] = []
        """Finished, but not yet in a stored checkpoint."""
        self._finishing = False
        self._error: Failed | None = None
        self._checkpoint = job.checkpoint_sha256

    def follow(self) -> None:
        """Return when the engine has finished.

        Raises:
            Stopped: the user cancelled, the lease is lost, or this worker stops.
            TsukijiError: why the training failed.
        """
        for event in self._engine.events(TICK_SECONDS):
            self._pass_signals()
            self._share_device()
            self._look_after(silent=event is None)
            if event is not None:
                self._take(event)
        if self._error:
            raise named(self._error)
        if self._engine.returncode != 0:
            tail = self._engine.tail
            raise TrainingCrashed(
                f"It ended with status {self._engine.returncode}: {tail[-1] if tail else ''}", log=tail
            )
        for epoch in self._epochs:  # no checkpoint followed: `quick` writes none
            self._record("metric", epoch)

    def _take(self, event: Event) -> None:
        match event:
            case Phase():
                self._on_phase(event)
            case Progress():
                self._on_progress(event)
            case Looked():
                self._write(completed=event.completed, total=event.total)
            case Epoch():
                self._on_epoch(event)
            case Checkpoint():
                self._on_checkpoint(event)
            case Log():
                self._record("log", event.model_dump(exclude={"type"}))
            case Failed():
                self._error = event
            case Alive() | Done():  # nothing to do: the process ends by itself
                pass
            case _:
                assert_never(event)

    def _pass_signals(self) -> None:
        self._lease.check()
        if self._lease.signals.finish and not self._finishing:
            self._finishing = True
            self._engine.order("finish")

    def _share_device(self) -> None:
        """Let batches have their turn: the engine waits between two steps."""
        if self._turn is None:
            return
        if self._turn.held and self._turn.is_over:
            self._engine.order("pause")
            self._turn.give_back()
        elif not self._turn.held and self._turn.take():
            self._engine.order("resume")
        if not self._turn.held:
            self._heard = time.monotonic()

    def _look_after(self, *, silent: bool) -> None:
        """Raise if the engine hangs, or exceeds its memory limit, before the system's OOM killer acts."""
        settings, now = self._services.settings.jobs, time.monotonic()
        if not silent:
            self._heard = now
        if now - self._heard > settings.stall_seconds:
            raise WorkStalled(f"The training made no progress for {settings.stall_seconds:g} s.")
        if now - self._weighed > WEIGH_SECONDS:
            self._weighed = now
            memory.check(self._engine.pid, settings.training_memory_mb)

    def _write(self, **values: Any) -> None:
        job, settings = self._job, self._services.settings.jobs
        self._services.retry_while_unavailable(lambda session: renew(session, job, settings, **values))
        self._written = time.monotonic()

    def _record(self, name: str, data: dict[str, Any]) -> None:
        job, worker = self._job, self._services.worker

        def write(session: Session) -> None:
            if leases.signals(session, job).lost:
                raise Stale
            jobs.record(session, job.id, name, data, attempt=job.attempt, worker=worker)

        self._services.retry_while_unavailable(write)

    def _on_phase(self, event: Phase) -> None:
        self._write(phase=event.name)

    def _on_progress(self, event: Progress) -> None:
        self._detail |= event.model_dump(exclude={"type"})
        if time.monotonic() - self._written >= WRITE_SECONDS:
            done = event.epoch - 1 + event.batch / max(1, event.batches)
            self._write(completed=done, eta_seconds=event.eta_seconds, detail=self._detail, phase="training")

    def _on_epoch(self, event: Epoch) -> None:
        """Record an epoch; it counts as finished once its checkpoint is stored, or the next attempt would repeat it."""
        self._detail |= event.model_dump(include={"accuracy", "mean_average_precision", "epoch"}, exclude_none=True)
        self._epochs.append(event.model_dump(exclude={"type"}))

    def _on_checkpoint(self, event: Checkpoint) -> None:
        """Store the newest checkpoint where any worker can find it, together with its epoch's metrics."""
        try:
            blob = self._services.store.put(event.path)
        except FileNotFoundError:
            return  # the engine is ahead and has pruned it: a newer one, with these metrics too, will follow
        job, worker, settings = self._job, self._services.worker, self._services.settings.jobs
        progress = {
            "completed": event.epoch,
            "detail": self._detail,
            "checkpoint_sha256": blob.sha256,
            "max_attempts": job.attempt + settings.max_attempts,  # it made progress: reset the count
        }

        def write(session: Session) -> None:
            blobs.keep(session, [(blob.sha256, blob.size)], made=True)
            renew(session, job, settings, **progress)
            for epoch in self._epochs:
                jobs.record(session, job.id, "metric", epoch, attempt=job.attempt, worker=worker)

        self._services.retry_while_unavailable(write)
        self._epochs = []
        older, self._checkpoint = self._checkpoint, blob.sha256
        if older != blob.sha256:
            discard(self._services, older)


def named(problem: Failed) -> TsukijiError:
    """Return the engine's error as the class of its code; an unexpected one is retried."""
    if problem.code == InternalError.code:
        return TrainingCrashed(problem.detail)
    known = {
        kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TsukijiError)
    }
    return known.get(problem.code, TrainingCrashed)(problem.detail, hint=problem.hint, **(problem.model_extra or {}))
