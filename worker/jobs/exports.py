"""An export: converts a model's package to another format, in a process of its own."""

from pathlib import Path

import structlog

from db.jobs import exports, jobs
from db.jobs.requests import ExportRequest
from db.models import Job
from db.session import Session
from training.conversion import Conversion, read_facts, target_of, write_request
from tsukiji.errors import BlobCorrupt, BlobMissing, InternalError, ModelGone, TrainingCrashed
from worker.inference.model_packages import fetch_package
from worker.jobs.engine import Engine
from worker.jobs.engine_monitor import EngineMonitor
from worker.jobs.trainings import local, vars_of
from worker.lease import Lease, Stale
from worker.services import Services

log = structlog.get_logger(__name__)

COMPARED_IMAGES = 200
CONVERTER = "training.convert"


def run(services: Services, job: Job, lease: Lease) -> None:
    """Convert, and end the job in the transaction that registers the file."""
    with services.attempt_folder(job) as folder:
        conversion = prepare(services, job, folder, lease)
        settings = services.settings
        with Engine(folder, settings.jobs.stop_seconds, settings.training.threads, CONVERTER) as engine:
            try:
                EngineMonitor(services, job, lease, engine).follow()
            except TrainingCrashed as error:  # it is no training, and a retry may succeed
                raise InternalError(f"The converter process ended. {error.detail}") from error
        register(services, job, conversion, folder)


def prepare(services: Services, job: Job, folder: Path, lease: Lease) -> Conversion:
    """Write the request, with the package and the pictures as local files."""
    model_id = model_of(job)
    fetch_package(services, model_id, folder / "package")
    conversion = Conversion(
        format=ExportRequest.of(job).format,
        package=folder / "package",
        images=held_out_images(services, model_id, folder, lease),
        limits=vars_of(services),
    )
    write_request(folder, conversion)
    return conversion


def model_of(job: Job) -> str:
    """Return the model's id; fails if the model was deleted."""
    if job.model_id is None:
        raise ModelGone(f"The model {ExportRequest.of(job).model} was deleted.")
    return job.model_id


def held_out_images(services: Services, model_id: str, folder: Path, lease: Lease) -> list[Path]:
    """Return held-out pictures of the model, an even selection; those deleted since are left out."""
    with services.database.reading() as session:
        hashes = exports.held_out(session, model_id)
    step = max(1, -(-len(hashes) // COMPARED_IMAGES))
    found = []
    for sha256 in hashes[::step]:
        lease.check()
        try:
            found.append(local(services, sha256, folder / "images" / sha256))
        except (BlobMissing, BlobCorrupt) as error:
            log.info("picture_left_out", error=error.detail)
    return found


def register(services: Services, job: Job, conversion: Conversion, folder: Path) -> None:
    """Store the file, then end the job and record the export, in one transaction."""
    blob = services.store.put(target_of(folder, conversion))
    facts = read_facts(folder)
    model_id = model_of(job)
    result = {"model_id": model_id, "format": conversion.format, "sha256": blob.sha256, "bytes": blob.size, **facts}

    def end(session: Session) -> None:
        if not jobs.finish(session, job, result):
            raise Stale
        exports.put(session, model_id, conversion.format, blob.sha256, blob.size, facts)

    services.retry_while_unavailable(end)
