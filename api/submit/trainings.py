"""Submission of trainings: a job in one transaction, then a notification. Knows no HTTP."""

from dataclasses import dataclass
from typing import Any, cast

from api.http.errors import invalid_field
from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room, create
from api.submit.backbones import settle
from db import registry
from db.curation import datasets
from db.jobs.requests import (
    TrainingRequest,
)
from db.models import ApiKey
from db.session import Session
from tsukiji.curation.preflight import check_counts
from tsukiji.curation.snapshots import SnapshotItem, dumps
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.storage import Blob
from tsukiji.types import Kind, TrainingCreate

UNKNOWN_IMAGES = 2000
"""Enough to measure a rate."""


def start_training(services: Services, caller: ApiKey, once: Once, body: TrainingCreate) -> Made:
    """Queue a training. A worker draws splits and freezes the data set, which takes long where images are many.

    What can be told by counting labels is refused here.

    Raises:
        NotFound, DatasetTooSmall, QueueFull
    """
    fingerprint = fingerprint_of(body.model_dump())
    if made := once.found(services, fingerprint):
        return made
    with services.database.reading() as session:
        check_room(session, services, JobKind.TRAINING, caller)
        recipe, chosen = settle(session, services, body.recipe)
        asked = datasets.find(session, body.dataset)
        counts = datasets.count_labelled(session, asked.id)
    warnings = check_counts(counts, services.settings.limits.class_min_images, asked.name)
    unknown = None if body.unknown is None else freeze_unknown(services, body.unknown, asked.id)

    def make(session: Session) -> str:
        check_room(session, services, JobKind.TRAINING, caller)
        dataset = datasets.find(session, asked.id)
        further: dict[str, Any] = {"backbone_choice": chosen} if chosen else {}
        if unknown:
            further |= {"unknown": unknown.dataset_id, "unknown_snapshot": unknown.add(session)}
        request = TrainingRequest(
            dataset=dataset.id,
            dataset_name=dataset.name,
            kind=cast("Kind", dataset.kind),
            recipe=recipe,
            name=body.name or dataset.name,
            resplit=body.resplit,
            warnings=warnings,
            **further,
        )
        columns = {"dataset_id": dataset.id, "unit": "epochs", "total": recipe.epochs, "meta": body.metadata}
        return create(session, services, caller, JobKind.TRAINING, request, **columns).id

    made = once.make(services, fingerprint, make)
    if not made.replayed:
        services.notifier.notify(Queue.TRAIN)
    return made


@dataclass(frozen=True)
class UnknownImages:
    """Images of other things, to measure "none of these" on."""

    dataset_id: str
    blob: Blob
    images: int

    def add(self, session: Session) -> str:
        """Insert them as a snapshot, and return its id."""
        return registry.add_snapshot(session, self.dataset_id, self.blob.sha256, self.blob.size, self.images).id


def freeze_unknown(services: Services, name: str, dataset_id: str) -> UnknownImages:
    """Freeze a data set of other things; labelled or not, its images are all taken for one kind.

    Raises:
        NotFound: there is none of this id or name.
        Invalid: it has no images, or is the one that is learnt from.
    """
    with services.database.reading() as session:
        dataset = datasets.find(session, name)
        images = datasets.all_images(session, dataset.id, UNKNOWN_IMAGES)
    if dataset.id == dataset_id:
        raise invalid_field("#/unknown", "this is the training data set; use one of other things")
    if not images:
        raise invalid_field("#/unknown", "this data set has no images")
    items = [
        SnapshotItem(image.id, image.sha256, image.name, image.label or "unknown", crop=image.crop) for image in images
    ]
    return UnknownImages(dataset.id, services.store.put(dumps(items)), len(items))
