"""Submission of batches and predictions: rows in one transaction, then a notification."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from api.http.bodies import Form, file_name, read_file
from api.http.errors import invalid_field, validated
from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room, create, expect_room
from api.submit.guarantees import promised, with_alias
from api.submit.uploads import check_bytes, whole
from db import aliases, blobs, quotas, registry
from db.clock import now
from db.curation import datasets
from db.jobs import batches, cluster_batches
from db.jobs.requests import (
    ArchiveInput,
    BatchRequest,
    DatasetInput,
    FilesInput,
    Input,
    ManifestInput,
    Output,
    SourceInput,
)
from db.jobs.scheduling import workers_to_wake
from db.models import ApiKey, Job, Model
from db.session import Session
from tsukiji.errors import ImageTooManyBytes, TsukijiError
from tsukiji.ingest.outputs import check_allowed
from tsukiji.ingest.sources import find_allowed
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.storage import Blob
from tsukiji.types import BatchCreate, BatchInput, BatchOptions, Kind
from tsukiji.types.batches import LIKELIEST

PREDICTION_PRIORITY = 5
FIELDS = {
    "model",
    "top_k",
    "threshold",
    "min_known",
    "target_error",
    "confidence",
    "prediction_set",
    "tags",
    "heatmap",
    "priority",
    "deadline_seconds",
    "retention_days",
}
"""Form members that are options, not files."""


@dataclass(frozen=True)
class Item:
    """A file to classify: its blob, or its error."""

    custom_id: str
    blob: Blob | None
    error: TsukijiError | None = None

    @property
    def row(self) -> dict[str, Any]:
        error = self.error and self.error.to_dict()
        return {"custom_id": self.custom_id, "sha256": self.blob and self.blob.sha256, "error": error}


@dataclass(frozen=True)
class Work:
    """The input of a batch or prediction: existing items, or something that a worker has to read: an archive, a
    manifest, a folder or prefix, a data set.
    """

    source: Input
    items: Sequence[Item] = ()
    upload: Blob | None = None
    output: Output | None = None

    @property
    def fingerprint(self) -> list[Any]:
        return [
            self.source.model_dump(exclude_unset=True),
            [item.row for item in self.items],
            self.upload and self.upload.sha256,
            *([self.output.model_dump()] if self.output else []),
        ]


def read_options(sent: Form, **fixed: str) -> BatchOptions:
    values: dict[str, Any] = {name: sent.one(name) for name in FIELDS if name in sent.fields}
    return validated(BatchOptions, values | fixed, "body")


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
        NotFound, QueueFull, QuotaExceeded
    """
    idle = 0

    def make(session: Session) -> str:
        nonlocal idle
        check_room(session, services, kind, caller)
        job = insert_batch(session, services, caller, options, work, kind)
        if work.items:
            quotas.check(session, caller, sent=len(work.items))
        idle = workers_to_wake(session, len(work.items)) if work.items else 0
        return job.id

    made = once.make(services, fingerprint_of([options.model_dump(), work.fingerprint]), make)
    if not made.replayed:
        services.notifier.notify(Queue.INFER if idle else Queue.INTAKE, idle or 1)
    return made


def retention_days(services: Services, options: BatchOptions, kind: JobKind) -> float | None:
    """Return the requested retention, or else the setting's; null if the setting may still change."""
    if options.retention_days is not None:
        return options.retention_days
    settings = services.settings.retention
    return (settings.prediction_days if kind == JobKind.PREDICTION else settings.batch_days) or None


def insert_batch(
    session: Session, services: Services, caller: ApiKey, options: BatchOptions, work: Work, kind: JobKind
) -> Job:
    """Insert a batch or a prediction; it is cut into chunks immediately if its items exist."""
    request, columns = described(session, services, options, work, kind)
    job = create(session, services, caller, kind, request, **columns)
    if work.output and work.output.runner == "ray":
        cluster_batches.begin(session, job, services.settings.jobs.lease_seconds)
    if work.items:
        add_items(session, job.id, work.items)
        settings = services.settings.jobs
        batches.finish_plan(session, job, len(work.items), settings.chunk_images, settings.max_attempts)
    return job


def described(
    session: Session, services: Services, options: BatchOptions, work: Work, kind: JobKind
) -> tuple[BatchRequest, dict[str, Any]]:
    """Return the request of a batch or prediction, and the other columns of its job.

    Raises:
        NotFound: the model does not exist.
        Invalid: the model does not know the label of the requested heatmap, or cannot promise anything.
        GuaranteeUnmet: its held-out images do not allow what is asked for.
    """
    model = registry.find_model(session, options.model)
    options = with_alias(options, aliases.named(session, options.model))
    check_heatmap(options, model.label_names)
    if work.output and work.output.runner == "ray" and options.target_error is not None:
        raise invalid_field("#/target_error", "a cluster's program decides by a `threshold`; give one instead")
    output = {"output": work.output} if work.output else {}
    request = request_of(model, options, work.source, promised(session, model, options) | output)
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


def request_of(model: Model, options: BatchOptions, source: Input, promises: dict[str, Any]) -> BatchRequest:
    """Return the request as a row has it; `promises` are those of `api.submit.guarantees`, and further members."""
    values = {
        "model": model.id,
        "model_name": model.name,
        "kind": cast("Kind", model.kind),
        "label_names": model.label_names,
        "top_k": options.top_k,
        "threshold": options.threshold,
        "min_known": options.min_known,
        "retention_days": options.retention_days,
        "tags": options.tags,
        "heatmap": options.heatmap,
        "input": source,
    }
    return BatchRequest(**(values | promises))


def check_heatmap(options: BatchOptions, label_names: Sequence[str]) -> None:
    """Raise Invalid if a heatmap of an unknown label is requested."""
    if options.heatmap is None or options.heatmap == LIKELIEST or options.heatmap in label_names:
        return
    known = ", ".join(repr(label) for label in label_names[:100])
    raise invalid_field("#/heatmap", f"the model has no label {options.heatmap!r}; use `{LIKELIEST}` or one of {known}")


def priority_of(kind: JobKind, options: BatchOptions) -> int:
    return PREDICTION_PRIORITY if kind == JobKind.PREDICTION else options.priority


def add_items(session: Session, job_id: str, items: Sequence[Item]) -> None:
    blobs.keep(session, [(item.blob.sha256, item.blob.size) for item in items if item.blob])
    batches.add_items(session, job_id, [item.row for item in items])


def ordered(services: Services, body: BatchCreate) -> Work:
    """Return the work of a batch described in JSON, with where its results go.

    Raises:
        NotFound, UploadIncomplete, TooLarge, SourceNotAllowed, OutputNotAllowed
    """
    work = work_of(services, body.input)
    if body.output is None:
        return work
    if body.output.url is not None:
        check_allowed(services.settings, body.output.url)
    runner = {} if body.runner == "service" else {"runner": body.runner}
    return replace(work, output=Output.model_validate(body.output.model_dump(exclude_none=True) | runner))


def work_of(services: Services, source: BatchInput) -> Work:
    """Return the work described in JSON.

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


def items_of(
    services: Services, files: Sequence[tuple[str, bytes]], keep: Callable[[Sequence[bytes]], list[Blob]]
) -> list[Item]:
    """Return an item for each file (custom_id, bytes), which `keep` stores. Workers decode them.

    One that is too large becomes an item with its error.
    """
    largest = services.settings.limits.image_bytes
    kept = iter(keep([data for _, data in files if len(data) <= largest]))
    error = ImageTooManyBytes(f"More than {largest:,} bytes.")
    return [Item(name, next(kept)) if len(data) <= largest else Item(name, None, error) for name, data in files]


def check_early(services: Services, caller: ApiKey, once: Once, options: BatchOptions) -> None:
    """Check what can be checked before large uploads.

    Raises:
        NotFound, Invalid, QueueFull
    """
    with services.database.reading() as session:
        check_heatmap(options, registry.find_model(session, options.model).label_names)
        expect_room(session, services, once, JobKind.BATCH, caller)


def keep_files(services: Services, sent: Form) -> Work:
    names = [file_name(upload, number) for number, upload in enumerate(sent.files)]
    custom_ids = sent.fields.get("custom_ids") or names
    if len(custom_ids) != len(names):
        raise invalid_field("#/custom_ids", f"{len(custom_ids)} for {len(names)} files; send one for each")
    check_unique(custom_ids)
    largest = services.settings.limits.image_bytes
    files = [(name, read_file(file, largest)) for name, file in zip(custom_ids, sent.files, strict=True)]
    return Work(FilesInput(type="files"), items_of(services, files, services.store.put_many))


def check_unique(custom_ids: Sequence[str]) -> None:
    """Raise Invalid, listing duplicates: results could not be distinguished."""
    twice = sorted(name for name, count in Counter(custom_ids).items() if count > 1)
    if twice:
        listed = ", ".join(repr(name) for name in twice[:20])
        raise invalid_field("#/custom_ids", f"duplicates: {listed}")
