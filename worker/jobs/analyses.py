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
from db.jobs.requests import FeaturesRequest
from db.models import Job
from db.session import Session
from training.random_projection import DIMENSIONS
from tsukiji.curation.analysis.similar import hash_views
from tsukiji.errors import (
    BackboneUnavailable,
    BlobCorrupt,
    BlobMissing,
    ImageError,
    Invalid,
    WeightsInvalid,
    WeightsUnavailable,
)
from tsukiji.kernel.cores import usable_cores
from tsukiji.vision.decoding.decode import decoded
from tsukiji.vision.feature_cache import COMPACT, REGION
from tsukiji.vision.miniature import miniature_of
from tsukiji.vision.phash import greys_of
from tsukiji.vision.quality import SIDE, measure
from worker.jobs.analysis_findings import FEATURE_KINDS, Seen, find_all
from worker.jobs.features import Features, Wanted
from worker.lease import Lease, Stale, renew
from worker.services import Services

log = structlog.get_logger(__name__)

COMMIT_PICTURES = 500


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
    features = Features(services, FeaturesRequest.of(job), folder)
    names = [picture.sha256 for picture in pictures]
    found = read_seen(features, names)
    missing = [Wanted(names[index]) for index, row in enumerate(found.vectors) if not row.any()]
    if not missing:
        return found, []
    try:
        features.compute(missing, job, lease)
    except (WeightsUnavailable, WeightsInvalid, BackboneUnavailable) as error:
        return Seen.nothing(len(names)), [{"findings": list(FEATURE_KINDS), **error.to_dict()}]
    return read_seen(features, names), []


def read_seen(features: Features, names: Sequence[str]) -> Seen:
    """Return what is kept; a picture that nothing is kept of has zeros."""
    nothing = Seen.nothing(len(names))
    vectors, regions = features.read(names, COMPACT, DIMENSIONS), features.read(names, REGION, 4)
    for index, name in enumerate(names):
        if name in vectors and name in regions:
            nothing.vectors[index], nothing.regions[index] = vectors[name], regions[name]
    return nothing


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
