"""The input of a batch as a stream of items: an archive, a folder or prefix, a manifest, or a data set."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from db import blobs, registry
from db.curation import datasets
from db.jobs.requests import (
    ArchiveInput,
    BatchRequest,
    ClassificationRequest,
    DatasetInput,
    FilesInput,
    ManifestInput,
    SourceInput,
)
from db.models import Image, Job
from db.paging import Window
from db.session import Database, Session
from tsukiji.curation import snapshots
from tsukiji.errors import ImageTooManyBytes, ImageUnknown, Invalid, TsukijiError
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.manifests import Line, read_lines
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.kernel.pipeline import in_order
from tsukiji.kernel.storage.blobs import read_pieces
from tsukiji.labels import label_folder
from worker.inputs.input_files import local_archive, opened
from worker.inputs.sanitize import kept
from worker.services import Services

PAGE = 1000
NOTHING: dict[str, Any] = {"sha256": None, "bytes": 0, "error": None, "true_label": None}
IMAGE_PREFIX, HASH_PREFIX = "img_", "sha256:"

Item = dict[str, Any]
"""Columns of a `BatchItem`, and the `bytes` of its blob."""


def items_of(services: Services, job: Job, passed: SkippedFiles) -> Iterator[Item]:
    """Yield an item for every image; unreadable ones carry their error, and other files are counted."""
    match BatchRequest.of(job).input:
        case ArchiveInput() as archive:
            return from_files(services, job, passed, encoding=archive.encoding)
        case SourceInput() as named:
            return from_files(services, job, passed, source=named.source)
        case ManifestInput():
            return from_manifest(services, job)
        case DatasetInput() as dataset:
            return from_dataset(services, job, dataset)
        case FilesInput():
            raise Invalid("The files of this job were sent with its request.")


# --- files -----------------------------------------------------------------------------------------------------------


def from_files(
    services: Services, job: Job, passed: SkippedFiles, *, source: str | None = None, encoding: str | None = None
) -> Iterator[Item]:
    """Yield an item for every file of the job's archive, folder or prefix."""
    with opened(services, job, source, encoding) as files:
        read = (read_entry(entry) for entry in files(passed))
        with closing(in_order(read, lambda found: keep_read(services, *found), lambda found: len(found[1]))) as items:
            yield from items


def read_entry(entry: Entry) -> tuple[Item, bytes]:
    """Read one file. An archive is a stream: one thread reads it in order."""
    item = {**NOTHING, "custom_id": kept(entry.name)}
    try:
        return item, entry.read()
    except TsukijiError as error:
        return refuse(item, error), b""


def keep_read(services: Services, item: Item, data: bytes) -> Item:
    return item if item["error"] else keep(services, item, lambda: data)


def keep(services: Services, known: Item, read: Callable[[], bytes]) -> Item:
    """Store an image's bytes and return its item; an error affects only this one."""
    item = {**NOTHING, **known}
    try:
        blob = services.store.put(read())
    except TsukijiError as error:
        return refuse(item, error)
    return item | {"sha256": blob.sha256, "bytes": blob.size}


def refuse(item: Item, error: TsukijiError) -> Item:
    if error.retriable:  # the store is full or down, so not the image's fault
        raise error
    return item | {"error": kept(error.to_dict())}


# --- a manifest ------------------------------------------------------------------------------------------------------


def from_manifest(services: Services, job: Job) -> Iterator[Item]:
    """Yield an item for every line. Errors carry the line's number."""
    theirs = services.seen_by_caller(job)
    with local_archive(services, job) as path, path.open("rb") as file:
        lines = read_lines(read_pieces(file))
        while part := list(itertools.islice(lines, PAGE)):
            known = look_up(theirs.database, part)
            with closing(in_order(part, partial(resolve, theirs, known=known), lambda _: 0)) as items:
                yield from items


def look_up(database: Database, lines: list[Line]) -> dict[str, Item]:
    """Return what the database knows about images named by id or hash, by that name.

    A key that sees only a part of the service can name only images of that part.
    """
    names = [line.request.image for line in lines if line.request]
    ids = [name for name in names if name.startswith(IMAGE_PREFIX)]
    hashes = [name.removeprefix(HASH_PREFIX) for name in names if name.startswith(HASH_PREFIX)]
    with database.reading() as session:
        images = list(datasets.images_of(session, ids))
        seen = datasets.seen_hashes(session, hashes) if database.view else hashes
        sizes = list(blobs.sizes_of(session, seen))
    known = {
        image.id: {
            "sha256": image.sha256,
            "bytes": image.bytes,
            "error": None,
            "true_label": image.label,
            "crop": image.crop,
        }
        for image in images
    }
    stored = {"error": None, "true_label": None}
    return known | {f"{HASH_PREFIX}{sha256}": {"sha256": sha256, "bytes": size, **stored} for sha256, size in sizes}


def resolve(services: Services, line: Line, *, known: dict[str, Item]) -> Item:
    line_request = line.request
    if line_request is None:
        return refused(line, line.error)
    if "://" in line_request.image:
        found = keep(services, {}, lambda: read_url(services, line_request.image))
        if found["error"]:
            found["error"] |= {"line": line.number}
    elif line_request.image in known:
        found = known[line_request.image]
    else:
        return refused(line, ImageUnknown(f"Line {line.number}: there is no image {line_request.image[:200]!r}."))
    return found | {"custom_id": line.custom_id, "true_label": line_request.true_label or found["true_label"]}


def refused(line: Line, error: TsukijiError | None) -> Item:
    told = (error.to_dict() if error else {}) | {"line": line.number}
    return {"custom_id": line.custom_id, "sha256": None, "bytes": 0, "error": told, "true_label": None}


def read_url(services: Services, url: str) -> bytes:
    largest = services.settings.limits.image_bytes
    data = services.sources.open(url).read(largest)
    if len(data) > largest:
        raise ImageTooManyBytes(f"More than {largest:,} bytes.")
    return data


# --- a data set ------------------------------------------------------------------------------------------------------


def from_dataset(services: Services, job: Job, source: DatasetInput) -> Iterator[Item]:
    """Yield an item for every image in use of the data set, or of one split."""
    return map(item_of, images_of(services, job, source))


def item_of(image: Image) -> Item:
    return {
        "custom_id": custom_id(image.label, image.name),
        "sha256": image.sha256,
        "bytes": image.bytes,
        "true_label": image.label,
        "crop": image.crop,
        "error": None,
    }


def images_of(services: Services, job: Job, source: DatasetInput, after: str | None = None) -> Iterator[Image]:
    """Yield every image in use of the data set, or of one split as in the model's training: those `after` this id.

    Images that the training did not include have the data set's splits.
    """
    with services.database.reading() as session:
        dataset_id = datasets.find(session, source.dataset).id
        splits = trained_splits(services, session, job, dataset_id) if source.split else None
    window: Window | None = Window(PAGE, None if after is None else Window().cursor_after(after))
    while window:
        with services.database.reading() as session:
            rows = datasets.page_in_use(session, dataset_id, window)
        for image in rows.data:
            split = (splits or {}).get(image.sha256, image.split or image.drawn_split)
            if source.split in {None, split}:
                yield image
        window = Window(PAGE, rows.next_cursor) if rows.next_cursor else None


def trained_splits(services: Services, session: Session, job: Job, dataset_id: str) -> dict[str, str] | None:
    """Return the splits (by sha256) of the model's own snapshot, if it is of this data set."""
    model = registry.find_model(session, ClassificationRequest.of(job).model)
    if model.snapshot_id is None or model.dataset_id != dataset_id:
        return None
    snapshot = registry.find_snapshot(session, model.snapshot_id)
    return {item.sha256: item.split or "" for item in snapshots.loads(services.store.read(snapshot.sha256))}


def custom_id(label: str | None, name: str) -> str:
    """Return a name that is unique across classes."""
    folder = None if label is None else label_folder(label)
    return name if folder is None or PurePosixPath(name).parent.name == folder else f"{folder}/{name}"
