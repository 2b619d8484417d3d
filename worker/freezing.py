"""The first phase of a training: draws splits, and freezes the data set into a snapshot."""

from collections.abc import Mapping, Sequence
from typing import cast

import structlog

from db import registry
from db.curation import datasets
from db.curation.miniatures import miniatures_of
from db.jobs import jobs, leases
from db.jobs.requests import TrainingRequest
from db.models import Job
from db.session import Session
from tsukiji.curation.preflight import check_trainable
from tsukiji.curation.snapshots import dumps
from tsukiji.curation.splits import Draw, assign_splits
from tsukiji.errors import Invalid
from tsukiji.types import Split
from worker.lease import Lease, Stale
from worker.services import Services

FREEZING = "freezing"

log = structlog.get_logger(__name__)


def freeze(services: Services, job: Job, lease: Lease) -> Job:
    """Return the job with a snapshot: an earlier attempt's, or a new one of the data set.

    Raises:
        Invalid: the data set was deleted.
        DatasetTooSmall: with the drawn splits there is too little to train on.
        Stale: this attempt is not the newest any more.
    """
    if job.snapshot_id is not None:
        return job
    if job.dataset_id is None:
        raise Invalid("The data set was deleted.", hint="Create it again, and start another training.")
    dataset_id, request = job.dataset_id, TrainingRequest.of(job)
    lease_seconds = services.settings.jobs.lease_seconds
    services.retry_while_unavailable(lambda session: leases.beat(session, job, lease_seconds, phase=FREEZING))
    found = draw(services, dataset_id, request)
    warnings = check_trainable(found, services.settings.limits.class_min_images, request.dataset_name or dataset_id)
    lease.check()
    blob = services.store.put(dumps(found.items))
    leakage = found.leakage.model_dump()

    def write(session: Session) -> Job:
        current = jobs.find(session, job.id)
        if current.snapshot_id is None:  # otherwise a retry after a commit whose response was lost
            datasets.find(session, dataset_id)
            snapshot = registry.add_snapshot(session, dataset_id, blob.sha256, blob.size, len(found.items), leakage)
            datasets.keep_splits(session, dataset_id, found.drawn)
            asked = current.request | {"warnings": warnings}
            if not leases.hold(session, job, snapshot_id=snapshot.id, request=asked, phase=None):
                raise Stale
            session.refresh(current)
        return current

    frozen = services.retry_while_unavailable(write)
    log.info("dataset_frozen", images=len(found.items), snapshot_id=frozen.snapshot_id)
    return frozen


def draw(services: Services, dataset_id: str, request: TrainingRequest) -> Draw:
    """Return the labelled images of a data set, each with a split, keeping earlier ones unless `resplit`."""
    with services.database.reading() as session:
        images = datasets.labelled_images(session, dataset_id)
    kept = {image.id: cast("Split", image.drawn_split) for image in images if image.drawn_split}

    def read(image_ids: Sequence[str]) -> Mapping[str, bytes]:
        with services.database.reading() as session:
            return miniatures_of(session, image_ids)

    recipe = request.recipe
    return assign_splits(
        map(datasets.snapshot_item, images),
        valid_fraction=recipe.valid_fraction,
        seed=recipe.seed,
        drawn={} if request.resplit else kept,
        read=read,
    )
