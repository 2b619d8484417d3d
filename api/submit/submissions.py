"""Starting work: rows in one transaction, wake-ups after it. Knows no HTTP."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from api.http.errors import invalid_field
from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.backbones import settle
from api.submit.uploads import whole
from db import blobs, registry
from db.clock import now
from db.curation import datasets
from db.models import ApiKey, Job
from db.session import Session
from db.work import batches, jobs
from db.work.requests import (
    ArchiveInput,
    BatchRequest,
    DatasetInput,
    Input,
    JobRequest,
    ManifestInput,
    SourceInput,
    TrainingRequest,
)
from db.work.scheduling import workers_to_wake
from tsukiji.curation.preflight import check_counts
from tsukiji.curation.snapshots import SnapshotItem, dumps
from tsukiji.errors import ImageTooManyBytes, QueueFull, TooLarge, TsukijiError
from tsukiji.ingest.sources import find_allowed
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.storage import Blob
from tsukiji.types import BatchInput, BatchOptions, Kind, TrainingCreate
from tsukiji.types.batches import LIKELIEST

PREDICTION_PRIORITY = 5
UNKNOWN_IMAGES = 2000
"""So many are enough to measure a rate."""
LIMIT_OF = {
    JobKind.TRAINING: "trainings",
    JobKind.BATCH: "batches",
    JobKind.PREDICTION: "batches",
    JobKind.IMPORT: "imports",
    JobKind.EVALUATION: "batches",
    JobKind.EXPORT: "imports",
    JobKind.ANALYSIS: "imports",
}


@dataclass(frozen=True)
class Item:
    """A file that is to be classified: its blob, or why there is none."""

    custom_id: str
    blob: Blob | None
    error: TsukijiError | None = None

    @property
    def row(self) -> dict[str, Any]:
        error = self.error and self.error.to_dict()
        return {"custom_id": self.custom_id, "sha256": self.blob and self.blob.sha256, "error": error}


@dataclass(frozen=True)
class Work:
    """What a batch or prediction reads: items that are here already, or what a worker has to look into: an
    archive, a manifest, a folder or prefix, a data set.
    """

    source: Input
    items: Sequence[Item] = ()
    upload: Blob | None = None

    @property
    def fingerprint(self) -> list[Any]:
        return [
            self.source.model_dump(exclude_unset=True),
            [item.row for item in self.items],
            self.upload and self.upload.sha256,
        ]


# --- trainings -------------------------------------------------------------------------------------------------------


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
        services.wakeups.ring(Queue.TRAIN)
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
        raise invalid_field("#/unknown", "this data set is the one to learn from; give one of other things")
    if not images:
        raise invalid_field("#/unknown", "this data set has no images")
    items = [
        SnapshotItem(image.id, image.sha256, image.name, image.label or "unknown", crop=image.crop) for image in images
    ]
    return UnknownImages(dataset.id, services.store.put(dumps(items)), len(items))


# --- batches and predictions -----------------------------------------------------------------------------------------


def start_batch(
    services: Services,
    caller: ApiKey,
    once: Once,
    options: BatchOptions,
    work: Work,
    kind: JobKind = JobKind.BATCH,
) -> Made:
    """Queue a batch, or a prediction: a small one that goes first. Files are cut into chunks here, others by a worker.

    Raises:
        NotFound, QueueFull
    """
    idle = 0

    def make(session: Session) -> str:
        nonlocal idle
        check_room(session, services, kind, caller)
        job = insert_batch(session, services, caller, options, work, kind)
        idle = workers_to_wake(session, len(work.items)) if work.items else 0
        return job.id

    made = once.make(services, fingerprint_of([options.model_dump(), work.fingerprint]), make)
    if not made.replayed:
        services.wakeups.ring(Queue.INFER if idle else Queue.INTAKE, idle or 1)
    return made


def retention_days(services: Services, options: BatchOptions, kind: JobKind) -> float | None:
    """Return how long results are kept: as asked, else as the settings say; null where these may yet come to say."""
    if options.retention_days is not None:
        return options.retention_days
    settings = services.settings.retention
    return (settings.prediction_days if kind == JobKind.PREDICTION else settings.batch_days) or None


def insert_batch(
    session: Session, services: Services, caller: ApiKey, options: BatchOptions, work: Work, kind: JobKind
) -> Job:
    """Insert a batch or a prediction; it is cut into chunks at once if its items are here."""
    request, columns = described(session, services, options, work, kind)
    job = create(session, services, caller, kind, request, **columns)
    if work.items:
        add_items(session, job.id, work.items)
        settings = services.settings.jobs
        batches.finish_plan(session, job, len(work.items), settings.chunk_images, settings.max_attempts)
    return job


def described(
    session: Session, services: Services, options: BatchOptions, work: Work, kind: JobKind
) -> tuple[BatchRequest, dict[str, Any]]:
    """Return what a batch or prediction asks for, and the other columns of its job.

    Raises:
        NotFound: there is no such model.
        Invalid: it does not know the label that a heatmap is wanted of.
    """
    model = registry.find_model(session, options.model)
    check_heatmap(options, model.label_names)
    request = BatchRequest(
        model=model.id,
        model_name=model.name,
        kind=cast("Kind", model.kind),
        label_names=model.label_names,
        top_k=options.top_k,
        threshold=options.threshold,
        min_known=options.min_known,
        retention_days=options.retention_days,
        tags=options.tags,
        heatmap=options.heatmap,
        input=work.source,
    )
    columns: dict[str, Any] = {"model_id": model.id, "meta": options.metadata}
    columns["dataset_id"] = work.source.dataset if isinstance(work.source, DatasetInput) else None
    columns["deadline_at"] = now(options.deadline_seconds or 3600 * services.settings.jobs.batch_hours)
    if work.upload:
        blobs.keep(session, [(work.upload.sha256, work.upload.size)])
        columns["upload_sha256"] = work.upload.sha256
    columns["retention_days"] = retention_days(services, options, kind)
    columns["priority"] = priority_of(kind, options)
    columns["unit"] = "images"
    return request, columns


def check_heatmap(options: BatchOptions, label_names: Sequence[str]) -> None:
    """Raise Invalid where a heatmap of a label is wanted that the model does not know."""
    if options.heatmap is None or options.heatmap == LIKELIEST or options.heatmap in label_names:
        return
    known = ", ".join(repr(label) for label in label_names[:100])
    raise invalid_field(
        "#/heatmap", f"the model knows no label {options.heatmap!r}; give `{LIKELIEST}` or one of {known}"
    )


def priority_of(kind: JobKind, options: BatchOptions) -> int:
    return PREDICTION_PRIORITY if kind == JobKind.PREDICTION else options.priority


def add_items(session: Session, job_id: str, items: Sequence[Item]) -> None:
    blobs.keep(session, [(item.blob.sha256, item.blob.size) for item in items if item.blob])
    batches.add_items(session, job_id, [item.row for item in items])


def work_of(services: Services, source: BatchInput) -> Work:
    """Return the work that is named in JSON.

    Raises:
        NotFound, UploadIncomplete, TooLarge, SourceNotAllowed
    """
    if source.source is not None:
        find_allowed(source.source, services.settings.sources.allowed)
        return Work(SourceInput(type="source", source=source.source))
    if source.manifest is not None:
        upload, blob = whole(services, source.manifest)
        check_bytes(blob, services.settings.limits.manifest_bytes, "manifest")
        return Work(ManifestInput(type="manifest", filename=upload.name, upload=upload.id), upload=blob)
    if source.upload is not None:
        upload, blob = whole(services, source.upload)
        named = {"encoding": source.encoding} if source.encoding else {}
        return Work(ArchiveInput(type="archive", filename=upload.name, upload=upload.id, **named), upload=blob)
    with services.database.reading() as session:
        dataset = datasets.find(session, source.dataset or "")
    return Work(DatasetInput(type="dataset", dataset=dataset.id, split=source.split))


def check_bytes(blob: Blob, allowed: int, name: str) -> None:
    """Raise TooLarge over the limit."""
    if blob.size > allowed:
        raise TooLarge(f"The {name} has {blob.size:,} bytes; at most {allowed:,} are taken.")


def keep_item(services: Services, custom_id: str, data: bytes) -> Item:
    """Keep one file's bytes; one that is too large becomes an item with its reason. Workers look inside."""
    largest = services.settings.limits.image_bytes
    if len(data) > largest:
        return Item(custom_id, None, ImageTooManyBytes(f"More than {largest:,} bytes."))
    return Item(custom_id, services.store.put(data))


def check_unique(custom_ids: Sequence[str]) -> None:
    """Raise Invalid, listing what stands there twice: results could not be told apart."""
    twice = sorted(name for name, count in Counter(custom_ids).items() if count > 1)
    if twice:
        listed = ", ".join(repr(name) for name in twice[:20])
        raise invalid_field("#/custom_ids", f"each may occur once; these occur more often: {listed}")


# --- what they share -------------------------------------------------------------------------------------------------


def create(
    session: Session, services: Services, caller: ApiKey, kind: JobKind, request: JobRequest, **columns: Any
) -> Job:
    attempts = services.settings.jobs.max_attempts
    return jobs.create(session, kind, request=request, max_attempts=attempts, created_by=caller.id, **columns)


def expect_room(session: Session, services: Services, once: Once, kind: JobKind, caller: ApiKey) -> None:
    """Raise QueueFull before bytes travel and are kept, unless the answer is a job that this request made before.

    What is kept and then refused has no row, and lies in the store until its reconciliation.
    """
    if not once.is_known(session):
        check_room(session, services, kind, caller)


def check_room(session: Session, services: Services, kind: JobKind, caller: ApiKey) -> None:
    """Raise QueueFull where this key, or all together, have too many unfinished jobs of the kind.

    The error's extra members say how many there are (`unfinished`, `limit`), and where the caller's oldest one stands
    (`oldest`, and `position`: how many of the kind start before it).
    """
    limits, name = services.settings.limits, LIMIT_OF[kind]
    mine, all_keys = jobs.count_active(session, kind, caller.id), jobs.count_active(session, kind)
    for who, count, limit in (
        ("This key has", mine, getattr(limits, f"queued_{name}")),
        ("All keys together have", all_keys, getattr(limits, f"all_queued_{name}")),
    ):
        if count >= limit:
            oldest = jobs.oldest_active(session, kind, caller.id)
            raise QueueFull(
                f"{who} {count} unfinished jobs of the kind {kind}; at most {limit} are allowed.",
                unfinished=count,
                limit=limit,
                oldest=oldest and oldest.id,
                position=oldest and jobs.queue_position(session, oldest),
            )
