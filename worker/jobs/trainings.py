"""A training: the snapshot's pictures and the recipe go into the engine, a registered model comes out."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from db import registry
from db.jobs import jobs
from db.jobs.requests import TrainingRequest
from db.models import Evaluation, Job, Model
from db.session import Session
from training.run import PACKAGE_FOLDER, REPORT_FILE, RUN_FILE, Picture, Report, Run
from tsukiji.curation import snapshots
from tsukiji.curation.groups import group
from tsukiji.errors import BlobCorrupt, BlobMissing
from tsukiji.ids import new_id
from tsukiji.ingest.packages.keeping import keep
from tsukiji.jobs import Queue
from tsukiji.types import Leakage, Metrics
from tsukiji.vision.drift import read_held_out
from worker.device_turn import DeviceTurn
from worker.freezing import freeze
from worker.inputs.input_files import discard
from worker.jobs.engine import Engine
from worker.jobs.engine_monitor import EngineMonitor
from worker.lease import Lease, Stale
from worker.services import Services

log = structlog.get_logger(__name__)


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
