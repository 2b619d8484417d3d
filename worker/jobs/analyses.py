"""An analysis: each picture is measured and looked at once, then all are held against each other."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from db.curation import analyses
from db.curation.analyses import Picture
from db.jobs import jobs
from db.jobs.requests import AnalysisRequest
from db.models import Job
from db.session import Session
from training.embed_request import Survey, Surveyed, write_survey
from training.events import Phase
from training.random_projection import DIMENSIONS
from tsukiji.curation.analysis.similar import hash_views
from tsukiji.errors import (
    BackboneUnavailable,
    BlobCorrupt,
    BlobMissing,
    ImageError,
    InternalError,
    Invalid,
    TrainingCrashed,
    WeightsInvalid,
    WeightsUnavailable,
)
from tsukiji.kernel.cores import usable_cores
from tsukiji.vision.backbones import backbone_of, find_weights
from tsukiji.vision.decoding.decode import decoded
from tsukiji.vision.feature_cache import COMPACT, REGION, Kept, find_space, weights_key
from tsukiji.vision.miniature import miniature_of
from tsukiji.vision.phash import greys_of
from tsukiji.vision.quality import SIDE, measure
from worker.jobs.analysis_findings import FEATURE_KINDS, Seen, find_all
from worker.jobs.engine import Engine
from worker.jobs.trainings import Watch, local, vars_of
from worker.lease import Lease, Stale, renew
from worker.services import Services

log = structlog.get_logger(__name__)

COMMIT_PICTURES = 500
LOOKER = "training.embed"
UNBOUNDED = 2**62
"""Bytes of a file of features that goes with its job."""


def run(services: Services, job: Job, lease: Lease) -> None:
    """Measure what is new, look at it, and end the job in the transaction that writes what was found."""
    with services.attempt_folder(job) as folder:
        dataset_id = dataset_of(job)
        measure_new(services, job, dataset_id, lease)
        with services.database.reading() as session:
            pictures = analyses.pictures(session, dataset_id)
        seen, unavailable = look(services, job, lease, pictures, folder)
        tell(services, job, phase="comparing", completed=0, total=len(pictures))
        findings, prevalent = find_all(services, dataset_id, pictures, seen, lease.check)
        end(services, job, dataset_id, pictures, findings, prevalent, unavailable)


def dataset_of(job: Job) -> str:
    """Return the id of the data set; a job whose data set was deleted cannot go on."""
    if job.dataset_id is None:
        raise Invalid("The data set was deleted.")
    return job.dataset_id


# --- measures --------------------------------------------------------------------------------------------------------


def measure_new(services: Services, job: Job, dataset_id: str, lease: Lease) -> None:
    """Keep the measures of pictures that have none, a page at a time: an attempt that dies loses one page."""
    after, done = "", 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        while True:
            lease.check()
            with services.database.reading() as session:
                part = analyses.unmeasured(session, dataset_id, after, COMMIT_PICTURES)
            if not part:
                return
            rows = [row for row in pool.map(partial(measure_one, services), part) if row]
            after, done = part[-1][0], done + len(part)
            with services.database.transaction() as session:
                renew(session, job, services.settings.jobs, phase="measuring", completed=done, total=done)
                analyses.add_measures(session, rows)


def measure_one(services: Services, image: tuple[str, str]) -> dict[str, Any] | None:
    """Return the measures of an image (id, sha256); None where its picture cannot be had: that is no reason to stop."""
    image_id, sha256 = image
    try:
        with decoded(services.store.read(sha256), services.decode_limits, target_side=SIDE) as picture:
            greys, quality, miniature = greys_of(picture), measure(picture), miniature_of(picture)
    except (ImageError, BlobMissing, BlobCorrupt) as error:
        log.info("picture_left_out", image_id=image_id, error=error.detail)
        return None
    measures = {"image_id": image_id, **asdict(quality), "hashes": hash_views(greys[None])[0].tobytes()}
    return measures | {"miniature": miniature}


# --- features --------------------------------------------------------------------------------------------------------


def look(
    services: Services, job: Job, lease: Lease, pictures: Sequence[Picture], folder: Path
) -> tuple[Seen, list[dict[str, Any]]]:
    """Return what the backbone sees in the pictures, and what cannot be said because there is none."""
    tell(services, job, phase="looking", completed=0, total=len(pictures))
    kept = services.settings.cache_dir / "features.db" if services.settings.training.features_mb else folder / "kept.db"
    names = [picture.sha256 for picture in pictures]
    found = read_seen(services, job, kept, names)
    missing = [index for index, row in enumerate(found.vectors) if not row.any()]
    if not missing:
        return found, []
    try:
        check_weights(services, job)
        survey(services, job, lease, [names[index] for index in missing], kept, folder)
    except (WeightsUnavailable, WeightsInvalid, BackboneUnavailable) as error:
        return Seen.nothing(len(names)), [{"findings": list(FEATURE_KINDS), **error.to_dict()}]
    return read_seen(services, job, kept, names), []


def read_seen(services: Services, job: Job, kept: Path, names: Sequence[str]) -> Seen:
    """Return what is kept; a picture that nothing is kept of has zeros. No weights are read for that."""
    nothing = Seen.nothing(len(names))
    asked = AnalysisRequest.of(job)
    key = weights_key(asked.backbone, asked.image_size, services.settings.weights_dir)
    space = key and find_space(kept, key)
    if not space:
        return nothing
    file = Kept(kept, space, 0)
    vectors, regions = file.read(names, COMPACT, DIMENSIONS), file.read(names, REGION, 4)
    for index, name in enumerate(names):
        if name in vectors and name in regions:
            nothing.vectors[index], nothing.regions[index] = vectors[name], regions[name]
    return nothing


def check_weights(services: Services, job: Job) -> None:
    """Raise WeightsUnavailable where the engine, which takes seconds to start, could not but say the same."""
    backbone, weights = AnalysisRequest.of(job).backbone, services.settings.weights
    if not weights.download and find_weights(backbone_of(backbone), services.settings.weights_dir) is None:
        raise WeightsUnavailable(f"Neither the weights folder nor a cache has {backbone}, and downloads are off.")


def survey(services: Services, job: Job, lease: Lease, names: Sequence[str], kept: Path, folder: Path) -> None:
    """Let the backbone look at pictures (by sha256), in a process of its own."""
    settings = services.settings
    images = []
    for sha256 in names:
        lease.check()
        try:
            path = local(services, sha256, folder / "images" / sha256)
        except (BlobMissing, BlobCorrupt) as error:
            log.info("picture_left_out", error=error.detail)
            continue
        images.append(Surveyed(path=path, sha256=sha256))
    asked = AnalysisRequest.of(job)
    wish = Survey(
        backbone=asked.backbone,
        image_size=asked.image_size,
        images=images,
        features=kept,
        features_bytes=settings.training.features_mb * 2**20 or UNBOUNDED,
        weights_dir=settings.weights_dir,
        download=settings.weights.download,
        device=settings.training.device,
        limits=vars_of(services),
    )
    write_survey(folder, wish)
    with Engine(folder, settings.jobs.stop_seconds, settings.training.threads, LOOKER) as engine:
        try:
            Look(services, job, lease, engine).follow()
        except TrainingCrashed as error:  # it is no training, and its next attempt may go better
            raise InternalError(f"The engine process ended. {error.detail}") from error


class Look(Watch):
    """Follows the engine while it looks."""

    def _on_phase(self, event: Phase) -> None:
        """The job's phases are the analysis's own."""


# --- the rows --------------------------------------------------------------------------------------------------------


def tell(services: Services, job: Job, **progress: Any) -> None:
    with services.database.transaction() as session:
        renew(session, job, services.settings.jobs, **progress)


def end(
    services: Services,
    job: Job,
    dataset_id: str,
    pictures: Sequence[Picture],
    findings: list[dict[str, Any]],
    prevalent: dict[str, int],
    unavailable: list[dict[str, Any]],
) -> None:
    """Write what was found and end the job, both or neither."""
    kinds = [finding["kind"] for finding in findings]
    result = {
        "dataset_id": dataset_id,
        "images": len(pictures),
        "unreadable": sum(picture.hashes is None for picture in pictures),
        "findings": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "prevalent": prevalent,
        "unavailable": unavailable,
    }
    compared = [picture.id for picture in pictures if picture.hashes is not None and not picture.compared]

    def write(session: Session) -> None:
        if not jobs.finish(session, job, result):
            raise Stale
        analyses.replace(session, dataset_id, findings)
        analyses.mark_compared(session, compared)
        analyses.note(session, dataset_id, job.id, len(pictures), unavailable, prevalent)

    services.retry_while_unavailable(write)
