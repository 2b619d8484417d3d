"""A training: the snapshot's pictures and the recipe go into the engine, a registered model comes out."""

import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import structlog

from db import blobs, registry
from db.jobs import jobs, leases
from db.jobs.requests import TrainingRequest
from db.models import Evaluation, Job, Model
from db.session import Session
from training.events import Alive, Checkpoint, Done, Epoch, Event, Failed, Log, Looked, Phase, Progress
from training.run import PACKAGE_FOLDER, REPORT_FILE, RUN_FILE, Picture, Report, Run
from tsukiji import errors
from tsukiji.curation import snapshots
from tsukiji.curation.groups import group
from tsukiji.errors import BlobCorrupt, BlobMissing, InternalError, TrainingCrashed, TsukijiError, WorkStalled
from tsukiji.ids import new_id
from tsukiji.ingest.packages.keeping import keep
from tsukiji.jobs import Queue
from tsukiji.types import Leakage, Metrics
from tsukiji.vision.drift import read_held_out
from worker import memory
from worker.device_turn import DeviceTurn
from worker.freezing import freeze
from worker.inputs.input_files import discard
from worker.jobs.engine import Engine
from worker.lease import Lease, Stale, renew
from worker.services import Services

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.2
WEIGH_SECONDS = 2.0
WRITE_SECONDS = 1.0
"""Progress is written at most this often."""


def run(services: Services, job: Job, lease: Lease) -> None:
    """Train, and end the job in the transaction that registers the model."""
    with services.attempt_folder(job) as folder:
        job = freeze(services, job, lease)
        job_run = prepare(services, job, folder, lease)
        settings = services.settings
        turn = DeviceTurn(services, Queue.TRAIN, lease)
        with turn, Engine(folder, settings.jobs.stop_seconds, settings.training.threads) as engine:
            EngineMonitor(services, job, lease, engine, turn).follow()
        register(services, job, job_run, folder)


def prepare(services: Services, job: Job, folder: Path, lease: Lease) -> Run:
    """Write `run.json`, with every picture as a local file, and the last checkpoint if there is one."""
    with services.database.reading() as session:
        snapshot = registry.find_snapshot(session, job.snapshot_id or "")
    settings, asked = services.settings, TrainingRequest.of(job)
    items = snapshots.loads(services.store.read(snapshot.sha256))
    job_run = Run(
        recipe=asked.recipe,
        kind=asked.kind,
        model_id=new_id("mdl"),
        model_name=asked.name,
        images=[
            picture(services, item, folder, lease, unit) for item, unit in zip(items, units_of(items), strict=True)
        ],
        unknown=unknown_pictures(services, asked.unknown_snapshot, folder, lease),
        snapshot_sha256=snapshot.sha256,
        leakage=Leakage.model_validate(snapshot.leakage) if snapshot.leakage else None,
        weights_dir=settings.weights_dir,
        download=settings.weights.download,
        device=settings.training.device,
        engine=settings.inference.engine,
        precision="float32" if asked.recipe.precision == "float32" else settings.inference.precision,
        cache=settings.cache_dir,
        threads=settings.training.threads,
        workers=settings.training.workers,
        limits=vars_of(services),
        features=settings.cache_dir / "features.db" if settings.training.features_mb else None,
        features_bytes=settings.training.features_mb * 2**20,
        resume=checkpoint_of(services, job, folder / "resume"),
    )
    (folder / RUN_FILE).write_text(job_run.model_dump_json(), encoding="utf-8")
    return job_run


def unknown_pictures(services: Services, snapshot_id: str | None, folder: Path, lease: Lease) -> list[Picture]:
    """Return the user's images of other things, for measuring "none of these"."""
    if snapshot_id is None:
        return []
    with services.database.reading() as session:
        snapshot = registry.find_snapshot(session, snapshot_id)
    return [picture(services, item, folder, lease) for item in snapshots.loads(services.store.read(snapshot.sha256))]


def checkpoint_of(services: Services, job: Job, target: Path) -> Path | None:
    """Copy the last checkpoint to `target`; a missing or damaged one costs its epochs, not the training."""
    if job.checkpoint_sha256 is None:
        return None
    try:
        services.store.fetch(job.checkpoint_sha256, target)
    except (BlobMissing, BlobCorrupt) as error:
        log.warning("checkpoint_unusable", error=error.detail)
        return None
    return target


def vars_of(services: Services) -> dict[str, Any]:
    limits = services.decode_limits
    return {name: getattr(limits, name) for name in limits.__dataclass_fields__}


def units_of(items: Sequence[snapshots.SnapshotItem]) -> list[int]:
    """Return for each item a number that those that belong together share; near-duplicates by their hashes alone."""
    numbers = [0] * len(items)
    for number, unit in enumerate(group(items).units):
        for position in unit:
            numbers[position] = number
    return numbers


def picture(
    services: Services, item: snapshots.SnapshotItem, folder: Path, lease: Lease, unit: int | None = None
) -> Picture:
    lease.check()
    path = local(services, item.sha256, folder / "images" / item.sha256)
    return Picture(
        path=path,
        label=item.label,
        split=item.split or "train",
        sha256=item.sha256,
        name=item.name,
        image_id=item.image_id,
        crop=item.crop,
        unit=unit,
    )


def local(services: Services, sha256: str, target: Path) -> Path:
    """Return the store's own file if it has one, else a copy at `target`."""
    if path := services.store.local_path(sha256):
        return path
    target.parent.mkdir(parents=True, exist_ok=True)
    services.store.fetch(sha256, target)
    return target


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


def register(services: Services, job: Job, job_run: Run, folder: Path) -> None:
    """Store the package, then end the job and insert the model with its evaluation, all or nothing."""
    report = Report.model_validate_json((folder / REPORT_FILE).read_bytes())
    files = keep(services.store, folder / PACKAGE_FOLDER)
    held_out = read_held_out(folder / PACKAGE_FOLDER)
    evaluation_id = new_id("evl")
    result = {
        "model_id": job_run.model_id,
        "evaluation_id": evaluation_id,
        "accuracy": report.metrics.accuracy,
        **mean_average_precision(report.metrics),
        "suspected_labels": len(report.suspects),
        "learning_rate": report.learning_rate,
        "weights_source": report.weights_source,
        "epochs": len(report.history),
        "finished_early": report.finished_early,
        "device": report.device,
        "seconds": report.seconds,
        "warnings": TrainingRequest.of(job).warnings,
    }

    def end(session: Session) -> str | None:
        current = jobs.find(session, job.id)
        checkpoint = current.checkpoint_sha256  # read it before the end clears it
        if not jobs.finish(session, job, result):
            raise Stale
        session.refresh(current)  # its data set may have been deleted meanwhile
        model = model_of(current, job_run, report, sum(blob.size for blob in files.values()))
        model.held_out = None if held_out is None else held_out.model_dump()
        registry.add_model(session, model, {name: (blob.sha256, blob.size) for name, blob in files.items()})
        evaluation = Evaluation(
            id=evaluation_id,
            model_id=model.id,
            dataset_id=current.dataset_id,
            snapshot_id=current.snapshot_id,
            split="valid",
            metrics=report.metrics.model_dump(),
        )
        registry.add_evaluation(session, evaluation, items_of(job_run, report))
        registry.add_suspects(session, model.id, suspects_of(job_run, report))
        return checkpoint

    discard(services, services.retry_while_unavailable(end))


def mean_average_precision(metrics: Metrics) -> dict[str, float | None]:
    """Return it by its name; empty for single-label models."""
    several = metrics.multi_label
    return {"mean_average_precision": several.mean_average_precision} if several else {}


def model_of(job: Job, job_run: Run, report: Report, size: int) -> Model:
    return Model(
        id=job_run.model_id,
        name=job_run.model_name,
        dataset_id=job.dataset_id,
        snapshot_id=job.snapshot_id,
        training_id=job.id,
        backbone=job_run.recipe.backbone,
        kind=job_run.kind,
        label_names=report.metrics.label_names,
        recipe=job_run.recipe.model_dump(),
        accuracy=report.metrics.accuracy,
        weights_source=report.weights_source,
        versions=report.versions,
        bytes=size,
    )


def items_of(job_run: Run, report: Report) -> list[dict[str, Any]]:
    """Return the evaluation's rows."""
    rows = []
    for seq, item in enumerate(report.items):
        image = job_run.images[item.index]
        rows.append(
            {
                "seq": seq,
                "image_id": image.image_id,
                "name": image.name,
                "sha256": image.sha256,
                "true_label": image.label,
                "predicted_label": item.predicted,
                "score": item.score,
                "loss": item.loss,
                "known_score": item.known_score,
                "probabilities": array("f", item.probabilities).tobytes(),
            }
        )
    return rows


def suspects_of(job_run: Run, report: Report) -> list[dict[str, Any]]:
    """Return rows of the images whose labels may be wrong."""
    rows = []
    for rank, found in enumerate(report.suspects, 1):
        image = job_run.images[found.index]
        rows.append(
            {
                "rank": rank,
                "image_id": image.image_id,
                "name": image.name,
                "sha256": image.sha256,
                "split": image.split,
                "label": image.label,
                "suggested_label": found.suggested_label,
                "score": found.score,
            }
        )
    return rows
